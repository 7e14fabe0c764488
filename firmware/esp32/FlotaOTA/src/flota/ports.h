// What the update agent needs of the machine that it runs on. Everything else
// in this folder is portable C++17 and knows neither Arduino nor POSIX.
// Adapters: ../esp32 (arduino-esp32 2.x and 3.x), ../pico (arduino-pico), ../posix (a Linux process).
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace flota {

// The network: at most one connection at a time.
class Network {
 public:
  virtual ~Network() = default;
  // ready tells whether there is a network at all (Wi-Fi is connected). It is
  // asked often; bring-up happens elsewhere, or in here without blocking.
  virtual bool ready() = 0;
  // open connects within timeout_ms. With tls, ca is a PEM certificate to pin, or
  // nullptr for the machine's own roots. False on any failure.
  virtual bool open(const char *host, uint16_t port, bool tls, const char *ca, uint32_t timeout_ms) = 0;
  // write sends all of it or returns false.
  virtual bool write(const uint8_t *data, size_t size, uint32_t timeout_ms) = 0;
  // read returns 1…size bytes, 0 when the other side closed in order, -1 on a
  // failure or when nothing came within timeout_ms.
  virtual int read(uint8_t *data, size_t size, uint32_t timeout_ms) = 0;
  virtual void close() = 0;

  // What the cable's "status" tells: "none", "connecting", "connected", or the word
  // for why not ("no_ssid", "wrong_password").
  virtual const char *state() { return ready() ? "connected" : "connecting"; }
  // address writes the machine's own address as text, "" where there is none.
  virtual void address(char *text, size_t room) {
    if (room > 0) text[0] = 0;
  }
  // untrusted tells that the last open failed for the other side's certificate.
  virtual bool untrusted() { return false; }
  // reload says that the networks in the storage ("wifi") are others now.
  virtual void reload() {}
};

// How the bootloader sees the image that runs.
enum class Trial : uint8_t {
  none,     // it is good, or was written by cable
  pending,  // it is new: unless confirmed, the next start goes back to the other
};

// The two slots for images. "Other" is the one that does not run.
class Slots {
 public:
  virtual ~Slots() = default;
  virtual uint32_t size() = 0;  // of the other slot, in bytes
  // running gives the SHA-256 of the image that runs, as a file (with whatever is
  // appended to it). False when it cannot be told.
  virtual bool running(uint8_t digest[32]) = 0;
  // erase makes ready [offset, offset + length) of the other slot; both are
  // multiples of 4096. It is called just before these bytes are written.
  virtual bool erase(uint32_t offset, uint32_t length) = 0;
  // write and read take any offset and length within the slot; nothing is written
  // twice without erase.
  virtual bool write(uint32_t offset, const uint8_t *data, size_t size) = 0;
  virtual bool read(uint32_t offset, uint8_t *data, size_t size) = 0;
  // acceptable tells whether the machine could start what was written (for an
  // ESP32: the form of the image and its chip). It is asked after the digest was right.
  virtual bool acceptable(uint32_t length) = 0;
  // activate makes the other slot the next to start, pending.
  virtual bool activate() = 0;
  virtual Trial trial() = 0;   // of the image that runs
  virtual bool confirm() = 0;  // the image that runs is good
  virtual bool revert() = 0;   // the other image is the next to start; the one that runs is bad
  // rolls_back tells whether the bootloader goes back by itself when a pending
  // image does not live long enough to revert.
  virtual bool rolls_back() = 0;
  // rollback is the protocol's word for what this machine can do: "bootloader", "agent-only" or "none".
  virtual const char *rollback() { return rolls_back() ? "bootloader" : "agent-only"; }
};

// Small values that outlive a restart, each written whole or not at all, keys of
// at most 15 characters (NVS, namespace "flota"; the keys are in firmware/README.md).
// Where NVS tells strings from blobs, names.h says which a key is; sizes are without
// the NUL at a string's end, here as in get.
class Storage {
 public:
  virtual ~Storage() = default;
  // get returns the value's length, or -1 when there is none or it does not fit.
  virtual int get(const char *key, void *value, size_t room) = 0;
  virtual bool put(const char *key, const void *value, size_t size) = 0;
  virtual bool erase(const char *key) = 0;  // true also when there was none
};

// Why the machine started.
enum class Reset : uint8_t { power, software, crash, watchdog, brownout, sleep, external, unknown };

// What the status LED tells.
enum class Light : uint8_t { idle, offline, checking, downloading, installing, failed };

class Board {
 public:
  virtual ~Board() = default;
  virtual uint64_t millis() = 0;       // since the start; never goes back
  virtual void wait(uint32_t ms) = 0;  // lets others run; feeds no watchdog
  virtual uint32_t random() = 0;       // unpredictable
  virtual Reset reset() = 0;           // why this start happened
  [[noreturn]] virtual void restart() = 0;
  virtual void feed() = 0;  // the watchdog of the agent's own step: of 90 s, since a request may stand still for 30 s
  virtual bool pressed() = 0;  // the trigger button, debounced
  virtual void light(Light light) = 0;
  virtual const char *chip() = 0;           // "ESP32-C3"
  virtual const char *mac() { return ""; }  // "a0b1c2d3e4f5", for the cable's "hello"
  virtual uint32_t free_heap() = 0;         // bytes
  virtual int rssi() = 0;                   // dBm; 0 when unknown
};

// SHA-256, HMAC-SHA256 and ECDSA P-256, by the machine's own library: ../mbedtls/crypto.h
// for all machines but a Pico, whose core ships BearSSL (../bearssl/crypto.h).
class Crypto {
 public:
  virtual ~Crypto() = default;
  // One digest at a time.
  virtual void sha256_begin() = 0;
  virtual void sha256_add(const void *data, size_t size) = 0;
  virtual void sha256_end(uint8_t digest[32]) = 0;
  virtual void hmac_sha256(const uint8_t key[32], const void *data, size_t size, uint8_t mac[32]) = 0;
  // verify checks r‖s (64 bytes) over a digest by an uncompressed point (65 bytes).
  virtual bool verify(const uint8_t key[65], const uint8_t digest[32], const uint8_t signature[64]) = 0;
  // point tells whether 65 bytes are an uncompressed point of P-256.
  virtual bool point(const uint8_t key[65]) = 0;
};

// The serial port, for provisioning; a sketch has it to itself once the device is provisioned.
class Cable {
 public:
  virtual ~Cable() = default;
  virtual int read(uint8_t *data, size_t room) = 0;  // what has come, 0 when nothing; never waits
  virtual void write(const char *data, size_t size) = 0;
};

struct Machine {
  Network &network;
  Slots &slots;
  Storage &storage;
  Board &board;
  Crypto &crypto;
  Cable &cable;
};

// Provided by the adapter: the one machine, and a task of its own for the agent,
// which goes on whatever the sketch does. start may be called before main (from a
// static constructor); the adapter waits until its machine is up.
Machine &machine();
void start(void (*agent)());

}  // namespace flota
