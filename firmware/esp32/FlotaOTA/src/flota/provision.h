// The dialogue over the cable by which a device is given what it needs (device
// protocol, "Provisioning over the cable").
#pragma once

#include "names.h"
#include "ports.h"
#include "text.h"

namespace flota {

// ServerStatus is what the agent knows for the cable's "status".
struct ServerStatus {
  const char *server = "none";  // the protocol's word
  int64_t deployment = 0;       // that runs; 0 when unknown
  char version[kMaxText + 1] = "";
};

// Provisioned is told of the dialogue's doings, and asked for what it does not know.
class Provisioned {
 public:
  virtual ~Provisioned() = default;
  virtual ServerStatus status() = 0;
  virtual void changed() = 0;  // what is in the storage is other than before
};

// Dialogue is one side of the cable. The agent runs one while the device was given
// nothing; the base sketch always does.
class Dialogue {
 public:
  // room holds kMaxLine bytes and is the dialogue's for as long as that lives.
  Dialogue(Machine &machine, Provisioned &device, char *room) : machine_(machine), device_(device), room_(room) {}

  // receive takes what came over the cable and answers through it. Lines that are
  // not the protocol's are passed over.
  void receive(const uint8_t *data, size_t size);
  // step receives what is in the machine's cable.
  void step();

 private:
  struct Given;

  void line(size_t size);
  void command(Text word, class Json *json);
  void hello();
  void provision(Json *json);
  bool read(Json *json, Given *given);
  void wifi(Json *json);
  void status();
  void erase();
  const char *store(const Given &given);
  bool put(const char *key, const void *value, size_t size);
  bool put_wifi(const Given &given);
  bool put_groups(const Given &given);
  void error(const char *code, const char *field, const char *message);
  void answer(class JsonObject *object);

  Machine &machine_;
  Provisioned &device_;
  char *const room_;
  size_t size_ = 0;
  bool too_long_ = false;
};

// provisioned tells whether a device was given all that it needs.
bool provisioned(Storage &storage);

// forget erases everything that the device was given, and all that the agent keeps.
bool forget(Storage &storage);

// Wifi is a network of the storage's list, in the order in which they are tried.
struct Wifi {
  char ssid[33];
  char password[65];  // "" for an open one
};
// get_wifi reads the list and returns how many networks there are.
size_t get_wifi(Storage &storage, Wifi networks[kMaxNetworks]);
// put_wifi writes it; false when a network is not one or the storage fails.
bool put_wifi(Storage &storage, const Wifi *networks, size_t count);

}  // namespace flota
