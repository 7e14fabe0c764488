// A virtual board as the agent's machine, and a thread for the agent.
#if defined(FLOTA_VIRTUAL)

#include <board.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../flota/names.h"
#include "../flota/text.h"
#include "../mbedtls/crypto.h"
#include "network.h"

namespace flota {

namespace {

constexpr const char *kSpace = "flota";
constexpr uint32_t kWatchdog = 90;  // seconds; see Board::feed
constexpr uint32_t kLeastWatchdog = 5;
constexpr size_t kStack = 256 * 1024;  // the host's resolver wants much more than a chip's

// BOARD_HURRY, for tests: the agent's time goes so much faster than the world's, so that
// trials and back-offs of minutes are over in seconds.
unsigned hurry() {
  const char *text = getenv("BOARD_HURRY");
  int factor = text ? atoi(text) : 1;
  return factor < 1 ? 1 : factor > 1000 ? 1000 : unsigned(factor);
}

class PosixStorage final : public Storage {
 public:
  int get(const char *key, void *value, size_t room) override {
    char type = 0;
    int size = board_nvs_get(kSpace, key, &type, value, room);
    return size >= 0 && size_t(size) <= room && type == type_of(key) ? size : -1;
  }
  bool put(const char *key, const void *value, size_t size) override {
    return board_nvs_put(kSpace, key, type_of(key), value, size);
  }
  bool erase(const char *key) override {
    return board_nvs_erase(kSpace, key) || board_nvs_get(kSpace, key, nullptr, nullptr, 0) < 0;
  }

 private:
  // A value of another type is none, as in NVS.
  static char type_of(const char *key) { return is_text(key) ? 's' : 'b'; }
};

class PosixSlots final : public Slots {
 public:
  uint32_t size() override { return board_other()->size; }

  // Read once: the image that runs does not change.
  bool running(uint8_t digest[32]) override {
    if (!known_) {
      uint32_t size = board_image_size(*board_running());
      known_ = size > 0 && hash(board_running()->offset, size, digest_);
    }
    if (known_) memcpy(digest, digest_, sizeof digest_);
    return known_;
  }

  bool erase(uint32_t offset, uint32_t length) override {
    return within(offset, length) && board_flash_erase(board_other()->offset + offset, length);
  }
  bool write(uint32_t offset, const uint8_t *data, size_t size) override {
    return within(offset, size) && board_flash_write(board_other()->offset + offset, data, size);
  }
  bool read(uint32_t offset, uint8_t *data, size_t size) override {
    return within(offset, size) && board_flash_read(board_other()->offset + offset, data, size);
  }

  // The form, and the digest that the bootloader checks: the image's last 32 bytes.
  bool acceptable(uint32_t length) override {
    uint8_t appended[32], digest[32];
    uint32_t size = board_image_size(*board_other()), offset = board_other()->offset;
    return size > 0 && size == length && board_flash_read(offset + size - 32, appended, 32) &&
           hash(offset, size - 32, digest) && memcmp(appended, digest, 32) == 0;
  }

  bool activate() override { return board_ota_boot(*board_other()); }
  Trial trial() override {
    return board_ota_state(*board_running()) == BOARD_OTA_PENDING ? Trial::pending : Trial::none;
  }
  bool confirm() override { return board_ota_confirm(); }
  bool revert() override { return board_ota_revert(); }
  bool rolls_back() override { return true; }

 private:
  static bool within(uint32_t offset, size_t size) {
    uint32_t slot = board_other()->size;
    return offset <= slot && size <= slot - offset;
  }

  static bool hash(uint32_t offset, uint32_t size, uint8_t digest[32]) {
    MbedtlsCrypto crypto;
    crypto.sha256_begin();
    uint8_t data[1024];
    for (uint32_t at = 0; at < size;) {
      uint32_t n = size - at < sizeof data ? size - at : uint32_t(sizeof data);
      if (!board_flash_read(offset + at, data, n)) return false;
      crypto.sha256_add(data, n);
      at += n;
    }
    crypto.sha256_end(digest);
    return true;
  }

  bool known_ = false;
  uint8_t digest_[32];
};

class PosixBoard final : public Board {
 public:
  explicit PosixBoard(unsigned pace) : pace_(pace) {
    uint8_t mac[6];
    board_mac(mac);
    hex(mac, sizeof mac, mac_);
  }

  uint64_t millis() override { return board_uptime_us() * pace_ / 1000; }
  void wait(uint32_t ms) override { usleep(useconds_t(uint64_t(ms) * 1000 / pace_)); }
  uint32_t random() override { return board_random(); }

  Reset reset() override {
    switch (board_reset()) {
      case BoardReset::power:
        return Reset::power;
      case BoardReset::software:
        return Reset::software;
      case BoardReset::crash:
        return Reset::crash;
      case BoardReset::watchdog:
        return Reset::watchdog;
      case BoardReset::brownout:
        return Reset::brownout;
      case BoardReset::sleep:
        return Reset::sleep;
      case BoardReset::external:
        return Reset::external;
      case BoardReset::unknown:
        break;
    }
    return Reset::unknown;
  }

  [[noreturn]] void restart() override {
    fflush(stdout);
    board_restart();
  }

  // The first one arms it: an agent that never came so far is none that hangs.
  void feed() override {
    if (!armed_) {
      uint32_t seconds = kWatchdog / pace_;
      board_watchdog(seconds < kLeastWatchdog ? kLeastWatchdog : seconds);
      armed_ = true;
    }
    board_feed();
  }

  bool pressed() override {
    bool down = board_pin_input(BOARD_BUTTON) == 0;
    uint64_t now = board_uptime_us();
    if (down != down_) {
      down_ = down;
      since_ = now;
    }
    return down && now - since_ >= 20000;
  }

  // The LED is the sketch's, but for an update and its failure: the brighter the further.
  void light(Light light) override {
    int brightness = light == Light::downloading  ? 32
                     : light == Light::installing ? 255
                     : light == Light::failed     ? 8
                                                  : 0;
    if (brightness == 0 && !lit_) return;
    lit_ = brightness != 0;
    board_pin(BOARD_LED, BoardPinMode::pwm, brightness);
  }

  const char *chip() override { return board_chip(); }
  const char *mac() override { return mac_; }
  uint32_t free_heap() override { return board_free_heap(); }
  int rssi() override { return board_wifi_rssi(); }

 private:
  const unsigned pace_;
  char mac_[13];
  bool armed_ = false, down_ = false, lit_ = false;
  uint64_t since_ = 0;
};

// The agent listens along, and the sketch hears everything, too.
class PosixCable final : public Cable {
 public:
  int read(uint8_t *data, size_t room) override { return int(board_cable_read(data, room)); }
  void write(const char *data, size_t size) override { board_serial_write(data, size); }
};

void (*agent_body)() = nullptr;

void *run_agent(void *) {
  board_await_begin();
  agent_body();
  return nullptr;
}

}  // namespace

Machine &machine() {
  static PosixStorage storage;
  static PosixSlots slots;
  static PosixBoard board(hurry());
  static MbedtlsCrypto crypto;
  static PosixCable cable;
  static PosixNetwork network(storage, hurry());
  static Machine machine{network, slots, storage, board, crypto, cable};
  return machine;
}

void start(void (*agent)()) {
  agent_body = agent;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  if (pthread_create(&thread, &attributes, run_agent, nullptr) != 0) abort();
  pthread_attr_destroy(&attributes);
}

}  // namespace flota

#endif
