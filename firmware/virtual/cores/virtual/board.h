// The machine around a sketch's process, as firmware/chip/README.md tells it: flash,
// non-volatile storage, pins, serial port, network, clock and the ways to end. Plain
// POSIX; the Arduino core and FlotaOTA's POSIX adapter are both written on it. All of
// it may be called from any thread, and from static constructors: the first call
// brings the machine up. Nothing here throws.
//
// Sizes are bytes, times milliseconds unless a name says otherwise.
#pragma once

#include <stddef.h>
#include <stdint.h>

// --- Start and end ---------------------------------------------------------------

enum class BoardReset : uint8_t { power, software, crash, watchdog, brownout, sleep, external, unknown };

// board_begin says that static constructors are done; the core's main calls it once,
// just before initArduino and setup(). board_await_begin waits for that: what runs in
// a thread that a static constructor started calls it first.
void board_begin();
void board_await_begin();

const char *board_dir();               // the board's folder; the current one without BOARD_DIR
BoardReset board_reset();              // why this start happened
const char *board_chip();              // "ESP32", from efuse.json
void board_mac(uint8_t mac[6]);        // from efuse.json
uint64_t board_uptime_us();            // since the start of the process; never goes back
int64_t board_clock_us();              // unix time in microseconds; see BOARD_TIME
void board_set_clock_us(int64_t now);  // for this process only
uint32_t board_random();               // unpredictable
uint32_t board_free_heap();            // of an ESP32's 320 KiB

// What has been printed to stdout by way of stdio is the caller's to flush.
[[noreturn]] void board_restart();   // reason software
[[noreturn]] void board_brownout();  // reason brownout
// board_deep_sleep ends the process until `us` have passed (0: no timer) or `pin` is
// at `level` (-1: no pin).
[[noreturn]] void board_deep_sleep(uint64_t us, int pin, int level);

// Memory that outlives deep sleep. load gives back what was saved before it: false after
// any other reset, and where the size is another.
bool board_rtc_save(const void *data, size_t size);
bool board_rtc_load(void *data, size_t size);

// --- Flash -------------------------------------------------------------------------

const uint32_t BOARD_FLASH_SIZE = 4 << 20;
const uint32_t BOARD_SECTOR = 4096;

struct BoardPartition {
  const char *label;
  uint8_t type;     // 0 app, 1 data
  uint8_t subtype;  // app: 0x10 ota_0, 0x11 ota_1; data: 0 ota, 2 nvs, 0x82 spiffs
  uint32_t offset, size;
};

// The partitions in ../../partitions.csv, in its order.
const BoardPartition *board_partitions(size_t *count);
const BoardPartition *board_partition(const char *label);  // nullptr when there is none
const BoardPartition *board_running();                     // the slot that runs
const BoardPartition *board_other();                       // the slot for the next update

// NOR flash, addressed from its beginning: writing clears bits and sets none; erasing
// sets sectors to 0xFF, offset and size are multiples of BOARD_SECTOR. False outside
// of the flash or when the medium fails. What was written is in the kernel when the
// call returns: killing the process loses nothing.
bool board_flash_read(uint32_t offset, void *data, size_t size);
bool board_flash_write(uint32_t offset, const void *data, size_t size);
bool board_flash_erase(uint32_t offset, size_t size);

// board_image_size is the length of the image at the start of a slot, as a file, by its
// header: 0 where its form is not right. It reads the header alone; digest and checksum are
// judged by the bootloader at the next start (and by whoever wrote the image).
uint32_t board_image_size(const BoardPartition &slot);

// --- Which slot starts (otadata) -----------------------------------------------------

enum BoardOta : uint32_t {
  BOARD_OTA_NEW = 0,      // to be tried at the next start
  BOARD_OTA_PENDING = 1,  // on trial: this is its one start
  BOARD_OTA_VALID = 2,
  BOARD_OTA_INVALID = 3,  // gone back from
  BOARD_OTA_ABORTED = 4,  // its one start ended before it was made valid
  BOARD_OTA_UNDEFINED = 0xFFFFFFFF,
};

// As esp_ota_get_state_partition, esp_ota_set_boot_partition (which refuses what
// board_image_size does), esp_ota_mark_app_valid_cancel_rollback and
// esp_ota_mark_app_invalid_rollback_and_reboot, the last without the reboot: it is false where
// there is no other image to go back to.
BoardOta board_ota_state(const BoardPartition &slot);
bool board_ota_boot(const BoardPartition &slot);
bool board_ota_confirm();
bool board_ota_revert();

// --- Non-volatile storage ---------------------------------------------------------

// Names of namespaces and keys have 1 to 15 characters of printable ASCII, no '/', and do not
// begin with a '.'. Types: 's' string (at most 3999 bytes, kept without its 0), 'b'
// blob, 'u' and 'i' integers of 1, 2, 4 or 8 bytes, little-endian. The whole holds
// what an NVS partition of 20 KiB does: 504 entries of 32 bytes.

// board_nvs_get gives the length of a value, -1 where there is none. The value is
// copied where it fits into room; type may be nullptr.
int board_nvs_get(const char *space, const char *key, char *type, void *value, size_t room);
// board_nvs_put keeps a value whole, or the old one and returns false.
bool board_nvs_put(const char *space, const char *key, char type, const void *value, size_t size);
bool board_nvs_erase(const char *space, const char *key);  // false where there was none
bool board_nvs_clear(const char *space);                   // true also where there was nothing
bool board_nvs_exists(const char *space);
size_t board_nvs_free();  // entries of 32 bytes
// board_nvs_list calls each for every key of a namespace, in no order. It must not call back into the storage.
void board_nvs_list(const char *space, void (*each)(const char *key, char type, size_t size, void *context),
                    void *context);

// --- Watchdog ----------------------------------------------------------------------

// From now on board_feed must be called within so many seconds, again and again, else
// the board is reset; 0: no more. One for the process. Feeding often is cheap.
void board_watchdog(unsigned seconds);
void board_feed();

// --- Pins ----------------------------------------------------------------------------

const int BOARD_PINS = 40;
const int BOARD_BUTTON = 0;  // pressed is 0
const int BOARD_LED = 2;

enum class BoardPinMode : uint8_t { none, in, out, pullup, pulldown, pwm, adc };

// board_pin tells the outside a pin's mode and level, when one changes; changes that
// follow each other within 20 ms are told as one.
void board_pin(int pin, BoardPinMode mode, int value);
// board_pin_input is what somebody outside put on a pin; -1: nobody has.
int board_pin_input(int pin);
// board_on_pin names what to call, in the machine's own thread, when an input changes.
void board_on_pin(void (*changed)(int pin, int value));

// --- Serial port (UART 0) ---------------------------------------------------------

// What has come and was not read; never wait.
size_t board_serial_available();
int board_serial_peek();  // -1: nothing
size_t board_serial_read(uint8_t *data, size_t room);
// board_serial_write blocks while the port is busy.
void board_serial_write(const void *data, size_t size);
void board_baud(unsigned long baud);

// What the update agent reads of the same port. Who calls this listens along until a second
// passes without another call: it gets every byte, and so does the sketch, which loses
// what it does not read in time. Never waits.
size_t board_cable_read(uint8_t *data, size_t room);

// --- Network -------------------------------------------------------------------------

enum class BoardWifi : uint8_t { none, connected, no_ssid, wrong_password, lost };

// One state for the sketch's WiFi and the agent. What is in range is in BOARD_WIFI; without it,
// every network with any password, but for "nowhere", which is not there, and "locked", whose
// password is "password". Connecting takes no time. `lost` becomes `connected` by itself.
// An empty ssid is the network that was joined last in this process, or any.
BoardWifi board_wifi_connect(const char *ssid, const char *password);
BoardWifi board_wifi_status();
void board_wifi_disconnect();
void board_wifi_ssid(char ssid[33]);  // "" when not connected
int board_wifi_rssi();                // dBm; 0 when not connected

// Sockets, blocking, or -errno: ENETUNREACH without Wi-Fi, ETIMEDOUT, ECONNREFUSED (also
// where the runner does not permit it). The caller closes them. They need not be TCP: in a
// sandbox they are Unix sockets to the runner.
int board_connect(const char *host, uint16_t port, uint32_t timeout_ms);
int board_listen(uint16_t port);
