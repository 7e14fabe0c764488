// A Pico in memory: flash with a program and arduino-pico's OTA bootloader, LittleFS, and power that
// can be cut within any write. What a sketch does wrong is a property of its image.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "machine.h"
#include "pico/slots.h"
#include "pico/storage.h"
#include "server.h"

namespace test {

// Littlefs is a file system as LittleFS is seen from outside: a file that is written is there when it
// was closed, whole or not at all, and so is what was renamed or removed.
class Littlefs final : public flota::Files {
 public:
  Littlefs(Power &power, size_t capacity) : power_(power), capacity_(capacity) {}

  int32_t size(const char *name) override;
  bool read(const char *name, uint32_t offset, void *data, size_t size) override;
  bool write(const char *name, const void *data, size_t size) override;
  bool append(const char *name, const void *data, size_t size) override;
  bool truncate(const char *name, uint32_t size) override;
  bool sync() override;
  bool remove(const char *name) override;
  bool rename(const char *from, const char *to) override;
  uint32_t room() override;

  // restart forgets what was appended and not made certain.
  void restart() { open_.clear(); }

  std::map<std::string, Bytes> files;
  std::map<std::string, int> begun;  // how often a file was begun by appending
  size_t capacity() const { return capacity_; }

 private:
  void step(size_t bytes);

  Power &power_;
  const size_t capacity_;
  std::string open_;
  Bytes appended_;  // the whole of the file that is open
};

// Xip is the program in the flash.
class Xip final : public flota::Program {
 public:
  static constexpr size_t kSize = 128 * 1024;
  Xip() : flash(kSize, 0xff) {}
  const uint8_t *data() override { return flash.data(); }
  uint32_t size() override;  // as the linker left it in the image
  uint32_t limit() override { return kSize; }
  Bytes image() { return Bytes(flash.begin(), flash.begin() + long(size())); }

  Bytes flash;
};

// Pico is a board with its agent.
class Pico : public flota::Sketch {
 public:
  explicit Pico(size_t file_system = 160 * 1024);

  test::Server server;
  Machine m;  // its power, network, board and cable; its slots and its storage are not used
  Littlefs files;
  Xip program;
  std::unique_ptr<flota::PicoSlots> slots;
  flota::PicoStorage storage{files};
  std::map<std::string, Behaviour> behaviours;  // by digest; before_agent is behind what runs first
  std::map<std::string, bool> unprotected;      // by digest: it ends even before that
  std::vector<std::string> starts, told;
  std::map<std::string, std::string> known;  // digests that may be started, and their names

  void flash(const Bytes &image);  // by cable
  void want(long long number, const Bytes &image, const std::function<void(Server::Deployment &)> &change = nullptr);
  void run(uint64_t ms, const std::function<bool()> &done = nullptr);
  void cut(flota::Reset reason = flota::Reset::power) { next_ = reason; }
  flota::Agent *agent() { return agent_.get(); }
  std::string running() { return sha256(program.image()); }
  int64_t number(const char *key) { return flota::get_number(storage, key); }
  std::string all() const;  // reports

  void update(const flota::Event &event) override;
  bool accepts(const flota::Event &) override { return true; }
  bool ready() override { return true; }
  bool works() override { return behaviours[running()].passes; }

 private:
  bool bootloader();
  void boot(flota::Reset reason);

  flota::MbedtlsCrypto crypto_;
  std::unique_ptr<flota::Machine> ports_;
  std::unique_ptr<flota::Agent> agent_;
  bool on_ = false;
  flota::Reset next_ = flota::Reset::power;
};

// program makes an image for a Pico; equal seeds give equal bytes. layout is where its file system is.
Bytes program(unsigned seed, size_t size, uint32_t layout = 0x100ff000);

}  // namespace test
