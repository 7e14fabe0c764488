// Improv over serial (https://www.improv-wifi.com/serial/): how a browser gives a board
// its Wi-Fi over the cable. Packets out of bytes and back; what they bring about is the
// device's business. No allocation.
//
//   "IMPROV" 0x01 type length data[length] checksum [LF]
//
// where the checksum is the sum of all bytes before it.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace improv {

enum class State : uint8_t { authorized = 2, provisioning = 3, provisioned = 4 };
enum class Error : uint8_t { none = 0, invalid = 1, unknown_command = 2, unable_to_connect = 3 };

// Network is what a client asked to join. Its texts end with a NUL.
struct Network {
  char ssid[33];
  char password[65];
};

// Device is the board behind the cable.
class Device {
 public:
  virtual ~Device() = default;
  virtual void send(const uint8_t *data, size_t size) = 0;
  // join begins to join a network; whether that succeeded is told by Improv::joined.
  virtual void join(const Network &network) = 0;
  // connected tells whether the board has a network.
  virtual bool connected() = 0;
  // info gives what a client shows: firmware, its version, chip, the device's name. Each
  // has at most 60 bytes.
  virtual void info(const char *texts[4]) = 0;
  // scan answers with Improv::found for every network around.
  virtual void scan() = 0;
};

class Improv {
 public:
  explicit Improv(Device &device) : device_(device) {}

  // receive takes the next byte. It returns how many bytes turned out to be somebody else's:
  // 0 while they are, or may be, a packet. They are in passed(). A packet begins at the
  // start of a line or behind another packet, and nowhere else.
  size_t receive(uint8_t byte);
  const uint8_t *passed() const { return room_; }

  // joined ends what Device::join began; url is where the board can be visited, or "".
  void joined(bool success, const char *url);
  // found is one network of a scan.
  void found(const char *ssid, int rssi, bool locked);

 private:
  static constexpr size_t kHead = 9;  // up to and with the length

  void packet();
  void command(const uint8_t *data, size_t size);
  void wifi(const uint8_t *data, size_t size);
  void state(State state);
  void error(Error error);
  // result answers a command with texts.
  void result(uint8_t command, const char *const *texts, size_t count);
  void write(uint8_t type, const uint8_t *data, size_t size);

  Device &device_;
  uint8_t room_[kHead + 255 + 1];
  size_t size_ = 0;
  bool fresh_ = true;  // at the start of a line
  bool joining_ = false;
};

}  // namespace improv
