// A machine in memory: two slots of NOR flash, a bootloader with rollback, storage,
// a clock that runs as fast as it is asked, and a power supply that can be cut at
// any byte. What a sketch does wrong is a property of its image.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "agent.h"
#include "mbedtls/crypto.h"

namespace test {

using Bytes = std::vector<uint8_t>;

// What a start ends with.
struct Ended {
  flota::Reset reset;
};

std::string sha256(const void *data, size_t size);  // hex
inline std::string sha256(const Bytes &b) { return sha256(b.data(), b.size()); }

// Behaviour is what is wrong with an image, counted from its start.
struct Behaviour {
  uint64_t ends_after_ms = UINT64_MAX;  // with this reason:
  flota::Reset reset = flota::Reset::crash;
  bool before_agent = false;  // it ends before the agent starts
  bool passes = true;         // the self-test
  bool online = true;         // it finds the network
};

class Machine;

// Clock and what ends a start: time, and the bytes that may still be written.
struct Power {
  uint64_t now = 0;      // ms, over all starts
  uint64_t booted = 0;   // when this start began
  uint64_t written = 0;  // bytes of flash and storage, in all
  uint64_t cut_at = UINT64_MAX;
  uint64_t end_at = UINT64_MAX;
  flota::Reset end_reason = flota::Reset::crash;

  void advance(uint64_t ms) {
    now += ms;
    if (now - booted >= end_at) throw Ended{end_reason};
  }
  // spend tells how many of these bytes are written before the power is cut.
  size_t spend(size_t size) {
    if (written + size <= cut_at) {
      written += size;
      return size;
    }
    size_t done = size_t(cut_at - written);
    written = cut_at;
    return done;
  }
  [[noreturn]] void cut() {
    cut_at = UINT64_MAX;
    throw Ended{flota::Reset::power};
  }
};

class Flash final : public flota::Slots {
 public:
  static constexpr uint32_t kSlot = 256 * 1024;
  // As ESP-IDF's esp_ota_img_states_t.
  enum State : uint8_t { blank, fresh, pending, valid, invalid, aborted };

  explicit Flash(Power &power) : power_(power) {
    for (Bytes &slot : slots) slot.assign(kSlot, 0xff);
    states[0] = valid;
  }

  uint32_t size() override { return kSlot; }
  bool running(uint8_t digest[32]) override;
  bool erase(uint32_t offset, uint32_t length) override;
  bool write(uint32_t offset, const uint8_t *data, size_t size) override;
  bool read(uint32_t offset, uint8_t *data, size_t size) override;
  bool acceptable(uint32_t length) override { return length > 0 && slots[1 - active][0] == 0xe9; }
  bool activate() override;
  flota::Trial trial() override {
    return rollback && states[active] == pending ? flota::Trial::pending : flota::Trial::none;
  }
  bool confirm() override;
  bool revert() override;
  bool rolls_back() override { return rollback; }

  // boot chooses the slot as the bootloader does.
  void boot();
  // image is what a slot holds. It begins with 0xe9 and its length in three bytes.
  Bytes image(int slot) const;
  void flash(int slot, const Bytes &image);

  Bytes slots[2];
  State states[2] = {blank, blank};
  int sequence[2] = {1, 0};  // the higher one is started
  int active = 0;
  bool rollback = true;
  bool confirms = true;
  int fail_writes = 0;  // so many fail from now on
  uint64_t bytes_written = 0;

 private:
  bool state(int slot, State state, int sequence);
  Power &power_;
};

class Memory final : public flota::Storage {
 public:
  explicit Memory(Power &power) : power_(power) {}
  int get(const char *key, void *value, size_t room) override;
  bool put(const char *key, const void *value, size_t size) override;
  bool erase(const char *key) override;

  std::map<std::string, std::string> values;
  bool fails = false;

 private:
  Power &power_;
};

// Served is a server in one function: request in, answer out. What it returns is sent
// in pieces; an answer that is cut ends the connection, or stands still.
struct Served {
  std::string answer;
  size_t cut = SIZE_MAX;  // bytes after which the connection breaks
  bool hangs = false;     // instead of breaking
  size_t piece = 1460;    // bytes at a time
  uint32_t ms_per_piece = 2;
};

class Wire final : public flota::Network {
 public:
  explicit Wire(Power &power) : power_(power) {}
  bool ready() override { return up; }
  bool open(const char *host, uint16_t port, bool tls, const char *ca, uint32_t timeout_ms) override;
  bool write(const uint8_t *data, size_t size, uint32_t timeout_ms) override;
  int read(uint8_t *data, size_t size, uint32_t timeout_ms) override;
  void close() override { open_ = false; }

  std::function<Served(const std::string &request)> server;
  bool up = true;
  bool reachable = true;
  std::string host;
  uint16_t port = 0;
  bool tls = false;
  std::string ca;
  int connections = 0;
  uint64_t sent = 0, received = 0;  // bytes

 private:
  Power &power_;
  bool open_ = false, answered_ = false;
  std::string request_;
  Served served_;
  size_t at_ = 0;
};

class Lab final : public flota::Board {
 public:
  explicit Lab(Power &power) : power_(power) {}
  uint64_t millis() override { return power_.now - power_.booted; }
  void wait(uint32_t ms) override { power_.advance(ms); }
  uint32_t random() override;
  flota::Reset reset() override { return why; }
  [[noreturn]] void restart() override { throw Ended{flota::Reset::software}; }
  void feed() override {
    longest = std::max(longest, power_.now - fed);
    fed = power_.now;
  }
  bool pressed() override { return button; }
  void light(flota::Light l) override { lit = l; }
  const char *chip() override { return "ESP32-C3"; }
  uint32_t free_heap() override { return 181240; }
  int rssi() override { return -61; }
  const char *mac() override { return "a0b1c2d3e4f5"; }

  flota::Reset why = flota::Reset::power;
  bool button = false;
  flota::Light lit = flota::Light::idle;
  uint64_t fed = 0, longest = 0;
  uint32_t seed = 1;

 private:
  Power &power_;
};

class Serial final : public flota::Cable {
 public:
  int read(uint8_t *data, size_t room) override;
  void write(const char *data, size_t size) override { out.append(data, size); }
  std::string in, out;
};

// Remembering checks a signature once: tests make the same one a thousand times.
class Remembering final : public flota::Crypto {
 public:
  void sha256_begin() override { real_.sha256_begin(); }
  void sha256_add(const void *data, size_t size) override { real_.sha256_add(data, size); }
  void sha256_end(uint8_t digest[32]) override { real_.sha256_end(digest); }
  void hmac_sha256(const uint8_t key[32], const void *data, size_t size, uint8_t mac[32]) override {
    real_.hmac_sha256(key, data, size, mac);
  }
  bool verify(const uint8_t key[65], const uint8_t digest[32], const uint8_t signature[64]) override;
  bool point(const uint8_t key[65]) override;

 private:
  flota::MbedtlsCrypto real_;
  static std::map<std::string, bool> known_;
};

// Machine is a board on a bench.
class Machine final : public flota::Sketch {
 public:
  Machine() : flash(power), storage(power), wire(power), board(power) {}

  Power power;
  Flash flash;
  Memory storage;
  Wire wire;
  Lab board;
  Serial serial;
  Remembering crypto;
  flota::Machine ports{wire, flash, storage, board, crypto, serial};

  std::map<std::string, Behaviour> behaviours;  // by the digest of an image
  std::map<std::string, std::string> known;     // digests that may be started, and their names
  std::vector<std::string> starts;              // what was started, by name
  std::vector<std::string> told;                // to the sketch: "confirmed", "failed format"
  bool safe = true;
  bool wanted = true;  // the sketch takes what is offered

  // run lets it run for so long, over all restarts, or until done says so.
  void run(uint64_t ms, const std::function<bool()> &done = nullptr);
  // cut takes the power away; the next run starts it again.
  void cut(flota::Reset reason = flota::Reset::power) { next_ = reason; }
  flota::Agent *agent() { return agent_.get(); }
  std::string running() const { return sha256(flash.image(flash.active)); }

  void update(const flota::Event &event) override;
  bool accepts(const flota::Event &) override { return wanted; }
  bool ready() override { return safe; }
  bool works() override;

 private:
  void boot(flota::Reset reason);

  std::unique_ptr<flota::Agent> agent_;
  bool on_ = false;
  flota::Reset next_ = flota::Reset::power;
};

}  // namespace test
