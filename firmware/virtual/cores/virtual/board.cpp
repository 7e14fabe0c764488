#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// Of the Arduino core, where that is linked: its heap knows best what is free, and what
// the host's libraries take is none of a chip's.
extern "C" {
__attribute__((weak)) uint32_t heap_free();
__attribute__((weak)) void heap_outside(bool on);
}

namespace {

// A statically initialised mutex needs no constructor, so it is good before main.
class Lock {
 public:
  explicit Lock(pthread_mutex_t &mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
  ~Lock() { pthread_mutex_unlock(&mutex_); }
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;

 private:
  pthread_mutex_t &mutex_;
};

const int kControl = 3;
const int kPowerCut = 99;
const int kPinPause = 20;  // between two words about pins

struct Pin {
  BoardPinMode mode;
  int level;
  bool dirty;
};

pthread_once_t once = PTHREAD_ONCE_INIT;
int folder = -1;       // BOARD_DIR
int flash = -1;        // flash.bin; opened at its first use
bool control = false;  // whether there is a chip at the other end
bool proxied = false;
BoardReset reset = BoardReset::unknown;
int slot = 0;
char chip[16] = "ESP32";
uint8_t mac[6] = {0x02, 0xf1, 0x07, 0xa0, 0x00, 0x01};
uint64_t started = 0;  // monotonic, microseconds
int wake = -1;         // eventfd of the control thread

pthread_mutex_t begun_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t begun_changed = PTHREAD_COND_INITIALIZER;
bool begun = false;

pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER;
int64_t clock_offset = 0;  // of the clock that is shown, microseconds

// Flash and NVS share one lock, since they share the power.
pthread_mutex_t medium_lock = PTHREAD_MUTEX_INITIALIZER;
bool cutting = false;
uint64_t cut_at = 0, written = 0;

pthread_mutex_t control_lock = PTHREAD_MUTEX_INITIALIZER;

pthread_mutex_t pin_lock = PTHREAD_MUTEX_INITIALIZER;
Pin pins[BOARD_PINS];
int inputs[BOARD_PINS];
uint64_t pins_told = 0;
void (*pin_changed)(int, int) = nullptr;

pthread_mutex_t watchdog_lock = PTHREAD_MUTEX_INITIALIZER;
uint64_t feed_pause = UINT64_MAX, last_feed = 0;  // microseconds

// What comes on the serial port, for two readers: the sketch, and the agent while it
// listens along. Positions count bytes since the start.
pthread_mutex_t serial_lock = PTHREAD_MUTEX_INITIALIZER;
uint8_t received[1024];
uint64_t serial_head = 0, sketch_at = 0, cable_at = 0;
const uint64_t kListening = 1000000;  // microseconds after its last look, the agent listens no more
uint64_t cable_looked = 0;
bool cable_on = false;

pthread_mutex_t wifi_lock = PTHREAD_MUTEX_INITIALIZER;
BoardWifi wifi = BoardWifi::none;
char wifi_name[33];
bool radio = true;  // false: everything is out of range

// By the kernel itself: the library's clocks may be the board's, which are made of these.
int64_t machine_us(clockid_t clock) {
  timespec t;
  syscall(SYS_clock_gettime, clock, &t);
  return int64_t(t.tv_sec) * 1000000 + t.tv_nsec / 1000;
}

uint64_t monotonic_us() { return uint64_t(machine_us(CLOCK_MONOTONIC)); }
int64_t realtime_us() { return machine_us(CLOCK_REALTIME); }

// A line on the control line; lost when nobody is there.
__attribute__((format(printf, 1, 2))) void tell(const char *format, ...) {
  if (!control) return;
  char line[160];
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (n < 0 || n >= int(sizeof line) - 1) return;
  line[n++] = '\n';
  Lock lock(control_lock);
  for (int at = 0; at < n;) {
    ssize_t sent = send(kControl, line + at, n - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;
    at += sent;
  }
}

const char *mode_name(BoardPinMode mode) {
  static const char *const names[] = {"none", "in", "out", "pullup", "pulldown", "pwm", "adc"};
  return names[int(mode)];
}

// Tells what changed; the caller holds pin_lock.
void tell_pins() {
  pins_told = monotonic_us();
  for (int i = 0; i < BOARD_PINS; i++) {
    if (!pins[i].dirty) continue;
    pins[i].dirty = false;
    tell("pin %d %s %d", i, mode_name(pins[i].mode), pins[i].level);
  }
}

void obey(const char *line) {
  int number, value;
  char end;
  if (sscanf(line, "pin %d %d%c", &number, &value, &end) == 2 && number >= 0 && number < BOARD_PINS && value >= 0) {
    void (*call)(int, int) = nullptr;
    {
      Lock lock(pin_lock);
      if (inputs[number] != value) call = pin_changed;
      inputs[number] = value;
    }
    if (call) call(number, value);
  } else if (sscanf(line, "wifi %d%c", &value, &end) == 1) {
    Lock lock(wifi_lock);
    radio = value != 0;
    if (radio && wifi == BoardWifi::lost) wifi = BoardWifi::connected;
    if (!radio && wifi == BoardWifi::connected) wifi = BoardWifi::lost;
  }
}

// Reads lines from the chip. The first call, before there is a thread, takes what was
// waiting at the start, so that a button that is held is known to setup().
struct Lines {
  char text[128];
  size_t size;

  // False when the other side is gone.
  bool take(int flags) {
    for (;;) {
      ssize_t n = recv(kControl, text + size, sizeof text - 1 - size, flags);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
      if (n == 0) return false;
      size += n;
      char *line = text;
      while (char *end = static_cast<char *>(memchr(line, '\n', text + size - line))) {
        *end = 0;
        obey(line);
        line = end + 1;
      }
      size = text + size - line;
      memmove(text, line, size);
      if (size == sizeof text - 1) size = 0;  // no word of ours is that long
    }
  }
};

Lines lines = {};  // constant: a constructor elsewhere may need it before its turn

void *listen_to_chip(void *) {
  for (;;) {
    int timeout = -1;
    {
      Lock lock(pin_lock);
      bool dirty = false;
      for (const Pin &pin : pins) dirty = dirty || pin.dirty;
      uint64_t due = pins_told + kPinPause * 1000, now = monotonic_us();
      if (dirty && now >= due) {
        tell_pins();
      } else if (dirty) {
        timeout = int((due - now) / 1000) + 1;
      }
    }
    pollfd ready[2] = {{kControl, POLLIN, 0}, {wake, POLLIN, 0}};
    if (poll(ready, 2, timeout) < 0 && errno != EINTR) return nullptr;
    uint64_t count;
    if (ready[1].revents && read(wake, &count, sizeof count) < 0 && errno != EAGAIN) return nullptr;
    // Without a chip there is no power.
    if (ready[0].revents && !lines.take(MSG_DONTWAIT)) _exit(kPowerCut);
  }
}

// A thread of little memory.
void start_thread(void *(*body)(void *)) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 * 1024);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  if (pthread_create(&thread, &attributes, body, nullptr) != 0) abort();
  pthread_attr_destroy(&attributes);
}

// The value of a member of a flat JSON object of strings.
bool member(const char *json, const char *name, char *value, size_t room) {
  char quoted[32];
  snprintf(quoted, sizeof quoted, "\"%s\"", name);
  const char *at = strstr(json, quoted);
  if (!at) return false;
  at += strlen(quoted);
  at += strspn(at, " \t\r\n:");
  if (*at++ != '"') return false;
  size_t n = strcspn(at, "\"\\");
  if (at[n] != '"' || n >= room) return false;
  memcpy(value, at, n);
  value[n] = 0;
  return true;
}

void read_fuses() {
  char json[256], value[16];
  int f = openat(folder, "efuse.json", O_RDONLY | O_CLOEXEC);
  if (f < 0) return;
  ssize_t n = read(f, json, sizeof json - 1);
  close(f);
  if (n <= 0) return;
  json[n] = 0;
  member(json, "chip", chip, sizeof chip);
  unsigned b[6];
  if (member(json, "mac", value, sizeof value) &&
      sscanf(value, "%2x%2x%2x%2x%2x%2x", b, b + 1, b + 2, b + 3, b + 4, b + 5) == 6)
    for (int i = 0; i < 6; i++) mac[i] = uint8_t(b[i]);
}

BoardReset reset_named(const char *name) {
  static const char *const names[] = {"power", "software", "crash", "watchdog", "brownout", "sleep", "external"};
  for (int i = 0; name && i < 7; i++)
    if (strcmp(name, names[i]) == 0) return BoardReset(i);
  return BoardReset::unknown;
}

void bring_up() {
  started = monotonic_us();
  signal(SIGPIPE, SIG_IGN);
  const char *dir = getenv("BOARD_DIR"), *value;
  folder = open(board_dir(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  read_fuses();
  reset = reset_named(getenv("BOARD_RESET"));
  slot = (value = getenv("BOARD_SLOT")) && strcmp(value, "app1") == 0;
  proxied = (value = getenv("BOARD_NET")) && strcmp(value, "proxy") == 0;
  if ((value = getenv("BOARD_CUT"))) {
    cutting = true;
    cut_at = strtoull(value, nullptr, 10);
  }
  if ((value = getenv("BOARD_TIME"))) clock_offset = strtoll(value, nullptr, 10) * 1000000 - realtime_us();
  for (int &input : inputs) input = -1;

  int type = 0;
  socklen_t size = sizeof type;
  control = dir && getsockopt(kControl, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
  if (!control) return;
  fcntl(kControl, F_SETFD, FD_CLOEXEC);
  if (!lines.take(MSG_DONTWAIT)) _exit(kPowerCut);
  wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) abort();
  start_thread(listen_to_chip);
}

void up() { pthread_once(&once, bring_up); }

// --- The medium: what is written to flash and NVS, and where that may end ------------

// Says how much of a write still happens; the caller holds medium_lock, writes so
// much, and calls cut_power where that is less than it wanted.
size_t spend(size_t size, const char *where) {
  uint64_t before = written;
  written += size;
  if (!cutting) return size;
  tell("written %llu %llu %s", (unsigned long long)before, (unsigned long long)written, where);
  if (written <= cut_at) return size;
  return cut_at > before ? size_t(cut_at - before) : 0;
}

[[noreturn]] void cut_power() { _exit(kPowerCut); }

bool transfer(ssize_t (*how)(int, void *, size_t, off_t), uint32_t offset, void *data, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t n = how(flash, static_cast<char *>(data) + at, size - at, offset + at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
  }
  return true;
}

ssize_t pwrite_any(int f, void *data, size_t size, off_t at) { return pwrite(f, data, size, at); }

// The caller holds medium_lock.
bool flash_ready(uint32_t offset, size_t size) {
  if (offset > BOARD_FLASH_SIZE || size > BOARD_FLASH_SIZE - offset) return false;
  if (flash < 0) flash = openat(folder, "flash.bin", O_RDWR | O_CLOEXEC);
  return flash >= 0;
}

const char *partition_at(uint32_t offset) {
  size_t count;
  const BoardPartition *all = board_partitions(&count);
  for (size_t i = 0; i < count; i++)
    if (offset >= all[i].offset && offset - all[i].offset < all[i].size) return all[i].label;
  return "flash";
}

// --- otadata -------------------------------------------------------------------------

struct Select {
  uint32_t seq;
  uint8_t label[20];
  uint32_t state;
  uint32_t crc;
};
static_assert(sizeof(Select) == 32, "esp_ota_select_entry_t");

const uint32_t kOtadata = 0xe000;

// CRC-32 of seq, as ESP-IDF starts it: the register begins at 0.
uint32_t select_crc(const Select &entry) {
  uint32_t crc = 0;
  for (int byte = 0; byte < 4; byte++) {
    crc ^= entry.seq >> 8 * byte & 0xFF;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

bool select_written(const Select &entry) { return entry.seq != 0xFFFFFFFF && entry.crc == select_crc(entry); }

bool select_valid(const Select &entry) {
  return select_written(entry) && entry.state != BOARD_OTA_INVALID && entry.state != BOARD_OTA_ABORTED;
}

int select_slot(const Select &entry) { return int((entry.seq - 1) % 2); }

pthread_mutex_t select_lock = PTHREAD_MUTEX_INITIALIZER;

bool select_read(Select entries[2]) {
  return board_flash_read(kOtadata, &entries[0], sizeof(Select)) &&
         board_flash_read(kOtadata + BOARD_SECTOR, &entries[1], sizeof(Select));
}

bool select_write(Select entry, int sector) {
  uint32_t at = kOtadata + sector * BOARD_SECTOR;
  entry.crc = select_crc(entry);
  return board_flash_erase(at, BOARD_SECTOR) && board_flash_write(at, &entry, sizeof entry);
}

// The entry that counts, -1 when there is none.
int select_active(const Select entries[2]) {
  bool first = select_valid(entries[0]), second = select_valid(entries[1]);
  if (first && second) return entries[0].seq >= entries[1].seq ? 0 : 1;
  return first ? 0 : second ? 1 : -1;
}

// --- NVS ------------------------------------------------------------------------------

const size_t kEntries = 504, kEntrySize = 32, kLongestString = 3999;

bool is_name(const char *s) {
  size_t n = s ? strlen(s) : 0;
  if (n < 1 || n > 15 || *s == '.') return false;
  for (; *s; s++)
    if (*s <= ' ' || *s > '~' || *s == '/') return false;
  return true;
}

// Entries that a value takes in NVS: integers are in the entry itself, a string has one
// before it, a blob an index besides.
size_t entries_of(char type, size_t size) {
  if (type == 's') return 1 + (size + 1 + kEntrySize - 1) / kEntrySize;
  if (type == 'b') return 2 + (size + kEntrySize - 1) / kEntrySize;
  return 1;
}

int open_folder(int at, const char *name) { return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

// Calls each with every name in a folder that may be a namespace's or a key's. By the
// system call, since opendir takes a tenth of a chip's memory.
template <typename Each>
void each_name(int dir, Each each) {
  struct Entry {
    uint64_t inode;
    int64_t next;
    uint16_t size;
    uint8_t type;
    char name[1];
  };
  alignas(Entry) char some[1024];
  lseek(dir, 0, SEEK_SET);
  for (long n; (n = syscall(SYS_getdents64, dir, some, sizeof some)) > 0;) {
    for (long at = 0; at < n;) {
      const Entry *entry = reinterpret_cast<const Entry *>(some + at);
      at += entry->size;
      if (is_name(entry->name)) each(entry->name);
    }
  }
}

// Calls each for every value in nvs/<space>.
template <typename Each>
void each_value(int nvs, const char *space, Each each) {
  int dir = open_folder(nvs, space);
  if (dir < 0) return;
  each_name(dir, [&](const char *key) {
    int f = openat(dir, key, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat s;
    char type;
    if (f >= 0 && fstat(f, &s) == 0 && read(f, &type, 1) == 1) each(key, type, size_t(s.st_size) - 1);
    if (f >= 0) close(f);
  });
  close(dir);
}

size_t entries_free() {
  size_t used = 0;
  int nvs = open_folder(folder, "nvs");
  if (nvs >= 0) {
    each_name(nvs, [&](const char *space) {
      used++;
      each_value(nvs, space, [&](const char *, char type, size_t size) { used += entries_of(type, size); });
    });
    close(nvs);
  }
  return used < kEntries ? kEntries - used : 0;
}

// The folder of a namespace, or -1.
int open_space(const char *space, bool make) {
  if (!is_name(space)) return -1;
  if (make) mkdirat(folder, "nvs", 0700);
  int nvs = open_folder(folder, "nvs");
  if (nvs < 0) return -1;
  if (make) mkdirat(nvs, space, 0700);
  int f = open_folder(nvs, space);
  close(nvs);
  return f;
}

// --- Sockets --------------------------------------------------------------------------

int left(uint64_t deadline) {
  uint64_t now = monotonic_us();
  return now >= deadline ? 0 : int((deadline - now) / 1000) + 1;
}

// Waits until something can be done with a socket; 0 or -errno.
int await_socket(int s, short events, uint64_t deadline) {
  for (;;) {
    pollfd one = {s, events, 0};
    int n = poll(&one, 1, left(deadline));
    if (n > 0) return 0;
    if (n == 0) return -ETIMEDOUT;
    if (errno != EINTR) return -errno;
  }
}

// Connects within the time and makes the socket blocking again; closes it on failure.
int finish_connect(int s, const sockaddr *address, socklen_t size, uint64_t deadline) {
  int failed = 0;
  fcntl(s, F_SETFL, fcntl(s, F_GETFL) | O_NONBLOCK);
  while (connect(s, address, size) != 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN && address->sa_family == AF_UNIX) {  // its queue is full
      if (left(deadline) == 0) {
        failed = -ETIMEDOUT;
        break;
      }
      usleep(5000);
      continue;
    }
    if (errno != EINPROGRESS) {
      failed = -errno;
      break;
    }
    failed = await_socket(s, POLLOUT, deadline);
    socklen_t length = sizeof failed;
    int error = 0;
    if (failed == 0 && getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &length) == 0) failed = -error;
    break;
  }
  if (failed) {
    close(s);
    return failed;
  }
  fcntl(s, F_SETFL, fcntl(s, F_GETFL) & ~O_NONBLOCK);
  return s;
}

int connect_direct(const char *host, uint16_t port, uint64_t deadline) {
  char service[8];
  snprintf(service, sizeof service, "%u", port);
  addrinfo hints = {}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (heap_outside) heap_outside(true);
  int unknown = getaddrinfo(host, service, &hints, &found);
  if (heap_outside) heap_outside(false);
  if (unknown) return -EHOSTUNREACH;
  int result = -EHOSTUNREACH;
  for (addrinfo *a = found; a && result < 0; a = a->ai_next) {
    int s = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0) continue;
    result = finish_connect(s, a->ai_addr, a->ai_addrlen, deadline);
  }
  freeaddrinfo(found);
  int on = 1;
  if (result >= 0) setsockopt(result, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return result;
}

// The address of a socket in net/, by way of the folder's descriptor where the path is
// too long for one.
bool unix_address(const char *name, sockaddr_un *address) {
  *address = {};
  address->sun_family = AF_UNIX;
  int n = snprintf(address->sun_path, sizeof address->sun_path, "%s/net/%s", board_dir(), name);
  if (n >= 0 && n < int(sizeof address->sun_path)) return true;
  n = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/net/%s", folder, name);
  return n >= 0 && n < int(sizeof address->sun_path);
}

int connect_proxied(const char *host, uint16_t port, uint64_t deadline) {
  sockaddr_un address;
  char line[300];
  int n = snprintf(line, sizeof line, "CONNECT %s:%u\n", host, port);
  if (!unix_address("out", &address) || n < 0 || n >= int(sizeof line)) return -EHOSTUNREACH;
  int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s < 0) return -errno;
  s = finish_connect(s, reinterpret_cast<sockaddr *>(&address), sizeof address, deadline);
  if (s < 0) return s == -ENOENT ? -ENETUNREACH : s;
  int failed = send(s, line, n, MSG_NOSIGNAL) == n ? 0 : -ECONNREFUSED;
  // Byte by byte, so that nothing of what follows the line is taken.
  char answer[4] = {};
  for (size_t at = 0; !failed;) {
    failed = await_socket(s, POLLIN, deadline);
    if (failed) break;
    char c;
    ssize_t got = recv(s, &c, 1, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got != 1) failed = -ECONNREFUSED;
    if (failed || c == '\n') break;
    if (at < sizeof answer - 1) answer[at++] = c;
    if (at == sizeof answer - 1) failed = -ECONNREFUSED;  // longer than "ok"
  }
  if (!failed && strcmp(answer, "ok") != 0) failed = -ECONNREFUSED;
  if (!failed) return s;
  close(s);
  return failed;
}

}  // namespace

// --- Start and end -------------------------------------------------------------------

void board_begin() {
  up();
  Lock lock(begun_lock);
  begun = true;
  pthread_cond_broadcast(&begun_changed);
}

void board_await_begin() {
  Lock lock(begun_lock);
  while (!begun) pthread_cond_wait(&begun_changed, &begun_lock);
}

const char *board_dir() {
  const char *dir = getenv("BOARD_DIR");
  return dir ? dir : ".";
}

BoardReset board_reset() { return up(), reset; }
const char *board_chip() { return up(), chip; }

void board_mac(uint8_t out[6]) {
  up();
  memcpy(out, mac, 6);
}

uint64_t board_uptime_us() { return up(), monotonic_us() - started; }

int64_t board_clock_us() {
  up();
  Lock lock(clock_lock);
  return realtime_us() + clock_offset;
}

void board_set_clock_us(int64_t now) {
  up();
  Lock lock(clock_lock);
  clock_offset = now - realtime_us();
}

uint32_t board_random() {
  uint32_t value;
  while (getrandom(&value, sizeof value, 0) != sizeof value) {
  }
  return value;
}

uint32_t board_free_heap() {
  if (heap_free) return heap_free();
  const size_t heap = 320 * 1024;
  struct mallinfo2 info = mallinfo2();
  size_t used = info.uordblks + info.hblkhd;
  return used < heap ? uint32_t(heap - used) : 0;
}

void board_restart() { _exit(64); }
void board_brownout() { _exit(66); }

void board_deep_sleep(uint64_t us, int pin, int level) {
  up();
  if (pin >= 0) {
    tell("sleep %llu %d %d", (unsigned long long)us, pin, level);
  } else {
    tell("sleep %llu", (unsigned long long)us);
  }
  _exit(65);
}

bool board_rtc_save(const void *data, size_t size) {
  up();
  int f = openat(folder, "rtc.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (f < 0) return false;
  bool ok = write(f, data, size) == ssize_t(size);
  return close(f) == 0 && ok;
}

bool board_rtc_load(void *data, size_t size) {
  up();
  if (reset != BoardReset::sleep) return false;
  int f = openat(folder, "rtc.bin", O_RDONLY | O_CLOEXEC);
  if (f < 0) return false;
  struct stat s;
  bool ok = fstat(f, &s) == 0 && size_t(s.st_size) == size && read(f, data, size) == ssize_t(size);
  close(f);
  return ok;
}

// --- Flash -----------------------------------------------------------------------------

const BoardPartition *board_partitions(size_t *count) {
  static const BoardPartition table[] = {
      {"nvs", 1, 0x02, 0x9000, 0x5000},        {"otadata", 1, 0x00, 0xe000, 0x2000},
      {"app0", 0, 0x10, 0x10000, 0x140000},    {"app1", 0, 0x11, 0x150000, 0x140000},
      {"spiffs", 1, 0x82, 0x290000, 0x160000},
  };
  *count = sizeof table / sizeof *table;
  return table;
}

const BoardPartition *board_partition(const char *label) {
  size_t count;
  const BoardPartition *table = board_partitions(&count);
  for (size_t i = 0; i < count; i++)
    if (strcmp(table[i].label, label) == 0) return &table[i];
  return nullptr;
}

const BoardPartition *board_running() { return up(), board_partition(slot ? "app1" : "app0"); }
const BoardPartition *board_other() { return up(), board_partition(slot ? "app0" : "app1"); }

bool board_flash_read(uint32_t offset, void *data, size_t size) {
  up();
  Lock lock(medium_lock);
  return flash_ready(offset, size) && transfer(pread, offset, data, size);
}

bool board_flash_write(uint32_t offset, const void *data, size_t size) {
  up();
  Lock lock(medium_lock);
  if (!flash_ready(offset, size)) return false;
  size_t allowed = spend(size, partition_at(offset));
  const uint8_t *from = static_cast<const uint8_t *>(data);
  uint8_t cells[BOARD_SECTOR];
  for (size_t at = 0; at < allowed;) {
    size_t n = allowed - at < sizeof cells ? allowed - at : sizeof cells;
    if (!transfer(pread, offset + at, cells, n)) return false;
    for (size_t i = 0; i < n; i++) cells[i] &= from[at + i];
    if (!transfer(pwrite_any, offset + at, cells, n)) return false;
    at += n;
  }
  if (allowed < size) cut_power();
  return true;
}

bool board_flash_erase(uint32_t offset, size_t size) {
  up();
  Lock lock(medium_lock);
  if (offset % BOARD_SECTOR != 0 || size % BOARD_SECTOR != 0 || !flash_ready(offset, size)) return false;
  uint8_t blank[BOARD_SECTOR];
  memset(blank, 0xFF, sizeof blank);
  for (size_t at = 0; at < size; at += BOARD_SECTOR) {
    size_t allowed = spend(BOARD_SECTOR, partition_at(offset + at));
    if (!transfer(pwrite_any, offset + at, blank, allowed)) return false;
    if (allowed < BOARD_SECTOR) cut_power();
  }
  return true;
}

uint32_t board_image_size(const BoardPartition &in) {
  uint8_t header[36];
  if (!board_flash_read(in.offset, header, sizeof header)) return 0;
  if (header[0] != 0xE9 || header[1] != 1 || header[23] != 1) return 0;
  if (memcmp(header + 32, "\x7f\x45LF", 4) != 0) return 0;
  uint32_t payload = header[28] | header[29] << 8 | header[30] << 16 | uint32_t(header[31]) << 24;
  if (payload > in.size) return 0;
  uint32_t size = (32 + payload + 1 + 15) / 16 * 16 + 32;
  return size <= in.size ? size : 0;
}

BoardOta board_ota_state(const BoardPartition &of) {
  Lock lock(select_lock);
  Select entries[2];
  if (of.type != 0 || !select_read(entries)) return BOARD_OTA_UNDEFINED;
  for (const Select &entry : entries)
    if (select_written(entry) && select_slot(entry) == of.subtype - 0x10) return BoardOta(entry.state);
  return BOARD_OTA_UNDEFINED;
}

bool board_ota_boot(const BoardPartition &next) {
  if (next.type != 0 || board_image_size(next) == 0) return false;
  Lock lock(select_lock);
  Select entries[2];
  if (!select_read(entries)) return false;
  int active = select_active(entries);
  Select entry;
  memset(&entry, 0xFF, sizeof entry);
  entry.state = BOARD_OTA_NEW;
  entry.seq = next.subtype - 0x10 + 1;
  if (active >= 0)
    while (entry.seq < entries[active].seq) entry.seq += 2;
  return select_write(entry, active == 0 ? 1 : 0);
}

bool board_ota_confirm() {
  Lock lock(select_lock);
  Select entries[2];
  int active;
  if (!select_read(entries) || (active = select_active(entries)) < 0) return false;
  if (entries[active].state == BOARD_OTA_VALID) return true;
  entries[active].state = BOARD_OTA_VALID;
  return select_write(entries[active], active);
}

bool board_ota_revert() {
  const BoardPartition *other = board_other();
  if (board_image_size(*other) == 0) return false;
  Lock lock(select_lock);
  Select entries[2];
  int active;
  if (!select_read(entries) || (active = select_active(entries)) < 0) return false;
  if (!select_valid(entries[1 - active]) || select_slot(entries[1 - active]) == select_slot(entries[active]))
    return false;
  entries[active].state = BOARD_OTA_INVALID;
  return select_write(entries[active], active);
}

// --- Non-volatile storage -------------------------------------------------------------

int board_nvs_get(const char *space, const char *key, char *type, void *value, size_t room) {
  up();
  Lock lock(medium_lock);
  if (!is_name(key)) return -1;
  int dir = open_space(space, false);
  int f = dir < 0 ? -1 : openat(dir, key, O_RDONLY | O_CLOEXEC);
  if (dir >= 0) close(dir);
  if (f < 0) return -1;
  struct stat s;
  char first;
  int size = -1;
  if (fstat(f, &s) == 0 && s.st_size >= 1 && s.st_size <= 1 << 20 && read(f, &first, 1) == 1) {
    size = int(s.st_size) - 1;
    if (type) *type = first;
    if (size_t(size) <= room && read(f, value, size) != size) size = -1;
  }
  close(f);
  return size;
}

bool board_nvs_put(const char *space, const char *key, char type, const void *value, size_t size) {
  up();
  Lock lock(medium_lock);
  bool integer = type == 'u' || type == 'i';
  if (!is_name(space) || !is_name(key) || (!integer && type != 's' && type != 'b')) return false;
  if (integer && size != 1 && size != 2 && size != 4 && size != 8) return false;
  if (type == 's' && size > kLongestString) return false;
  int dir = open_space(space, true);
  if (dir < 0) return false;

  // NVS too writes the new value before it drops the old one, so both need room.
  bool ok = entries_of(type, size) <= entries_free();
  int f = ok ? openat(dir, ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
  if (f >= 0) {
    char where[48];
    snprintf(where, sizeof where, "nvs %s/%s", space, key);
    size_t allowed = spend(1 + size, where);
    ok = allowed == 0 || write(f, &type, 1) == 1;
    if (ok && allowed > 1) ok = write(f, value, allowed - 1) == ssize_t(allowed - 1);
    if (allowed < 1 + size) cut_power();
    ok = close(f) == 0 && ok;
    if (ok && spend(1, where) == 0) cut_power();
    ok = ok && renameat(dir, ".new", dir, key) == 0;
    if (!ok) unlinkat(dir, ".new", 0);
  } else {
    ok = false;
  }
  close(dir);
  return ok;
}

bool board_nvs_erase(const char *space, const char *key) {
  up();
  Lock lock(medium_lock);
  if (!is_name(key)) return false;
  int dir = open_space(space, false);
  if (dir < 0) return false;
  char where[48];
  snprintf(where, sizeof where, "nvs %s/%s", space, key);
  bool ok = faccessat(dir, key, F_OK, 0) == 0;
  if (ok && spend(1, where) == 0) cut_power();
  ok = ok && unlinkat(dir, key, 0) == 0;
  close(dir);
  return ok;
}

bool board_nvs_clear(const char *space) {
  up();
  if (!is_name(space)) return false;
  Lock lock(medium_lock);
  int dir = open_space(space, false);
  if (dir < 0) return true;
  bool ok = true;
  // Names move while others go: again, until there are none.
  for (bool some = true; some && ok;) {
    some = false;
    each_name(dir, [&](const char *key) {
      char where[48];
      snprintf(where, sizeof where, "nvs %s/%.15s", space, key);
      if (spend(1, where) == 0) cut_power();
      some = true;
      ok = unlinkat(dir, key, 0) == 0 && ok;
    });
  }
  close(dir);
  return ok;
}

bool board_nvs_exists(const char *space) {
  up();
  Lock lock(medium_lock);
  int dir = open_space(space, false);
  if (dir >= 0) close(dir);
  return dir >= 0;
}

size_t board_nvs_free() {
  up();
  Lock lock(medium_lock);
  return entries_free();
}

void board_nvs_list(const char *space, void (*each)(const char *, char, size_t, void *), void *context) {
  up();
  if (!is_name(space)) return;
  Lock lock(medium_lock);
  int nvs = open_folder(folder, "nvs");
  if (nvs < 0) return;
  each_value(nvs, space, [&](const char *key, char type, size_t size) { each(key, type, size, context); });
  close(nvs);
}

// --- Watchdog ----------------------------------------------------------------------

void board_watchdog(unsigned seconds) {
  up();
  Lock lock(watchdog_lock);
  feed_pause = seconds ? uint64_t(seconds) * 1000000 / 8 : UINT64_MAX;
  if (feed_pause > 500000 && seconds) feed_pause = 500000;
  last_feed = monotonic_us();
  tell("watchdog %u", seconds);
}

void board_feed() {
  up();
  Lock lock(watchdog_lock);
  uint64_t now = monotonic_us();
  if (now - last_feed < feed_pause) return;
  last_feed = now;
  tell("feed");
}

// --- Pins ----------------------------------------------------------------------------

void board_pin(int pin, BoardPinMode mode, int value) {
  up();
  if (pin < 0 || pin >= BOARD_PINS) return;
  Lock lock(pin_lock);
  Pin &p = pins[pin];
  if (p.mode == mode && p.level == value) return;
  p.mode = mode;
  p.level = value;
  p.dirty = true;
  if (monotonic_us() - pins_told >= kPinPause * 1000) {
    tell_pins();
  } else if (wake >= 0) {
    uint64_t one = 1;
    if (write(wake, &one, sizeof one) < 0) return;  // full: it wakes anyway
  }
}

int board_pin_input(int pin) {
  up();
  Lock lock(pin_lock);
  return pin >= 0 && pin < BOARD_PINS ? inputs[pin] : -1;
}

void board_on_pin(void (*changed)(int, int)) {
  up();
  Lock lock(pin_lock);
  pin_changed = changed;
}

// --- Serial port ----------------------------------------------------------------------

namespace {

// Takes what has come; the caller holds serial_lock. What a sketch does not read while
// the agent listens along is lost to it, as in a receive buffer that overflows.
void serial_pump() {
  cable_on = cable_on && monotonic_us() - cable_looked < kListening;
  for (;;) {
    uint64_t tail = cable_on ? cable_at : sketch_at;
    size_t room = sizeof received - size_t(serial_head - tail), at = serial_head % sizeof received;
    if (room > sizeof received - at) room = sizeof received - at;
    pollfd in = {STDIN_FILENO, POLLIN, 0};
    if (room == 0 || poll(&in, 1, 0) != 1) return;
    ssize_t n = read(STDIN_FILENO, received + at, room);
    if (n <= 0) return;
    serial_head += n;
    if (serial_head - sketch_at > sizeof received) sketch_at = serial_head - sizeof received;
  }
}

size_t serial_take(uint64_t &position, uint8_t *data, size_t room) {
  size_t n = 0;
  while (n < room && position < serial_head) data[n++] = received[position++ % sizeof received];
  return n;
}

}  // namespace

size_t board_serial_available() {
  up();
  Lock lock(serial_lock);
  serial_pump();
  return size_t(serial_head - sketch_at);
}

int board_serial_peek() {
  up();
  Lock lock(serial_lock);
  serial_pump();
  return sketch_at < serial_head ? received[sketch_at % sizeof received] : -1;
}

size_t board_serial_read(uint8_t *data, size_t room) {
  up();
  Lock lock(serial_lock);
  serial_pump();
  return serial_take(sketch_at, data, room);
}

void board_serial_write(const void *data, size_t size) {
  up();
  for (size_t at = 0; at < size;) {
    ssize_t n = write(STDOUT_FILENO, static_cast<const char *>(data) + at, size - at);
    if (n > 0) at += n;
    if (n < 0 && errno == EAGAIN) {
      pollfd out = {STDOUT_FILENO, POLLOUT, 0};
      poll(&out, 1, -1);
    } else if (n < 0 && errno != EINTR) {
      return;
    }
  }
}

void board_baud(unsigned long baud) {
  up();
  tell("baud %lu", baud);
}

size_t board_cable_read(uint8_t *data, size_t room) {
  up();
  Lock lock(serial_lock);
  if (!cable_on) cable_at = sketch_at;
  cable_on = true;
  cable_looked = monotonic_us();
  serial_pump();
  return serial_take(cable_at, data, room);
}

// --- Network ---------------------------------------------------------------------------

namespace {

// Looks a network up in BOARD_WIFI: lines of a name, a tab and a password. Without it,
// nearly every network is there.
BoardWifi join(const char *ssid, const char *password) {
  const char *air = getenv("BOARD_WIFI");
  if (!air && strcmp(ssid, "nowhere") == 0) return BoardWifi::no_ssid;
  if (!air && strcmp(ssid, "locked") == 0 && strcmp(password, "password") != 0) return BoardWifi::wrong_password;
  if (!air) return BoardWifi::connected;
  for (size_t n = strlen(ssid); air && *air; air = strchr(air, '\n') ? strchr(air, '\n') + 1 : nullptr) {
    if (strncmp(air, ssid, n) != 0 || air[n] != '\t') continue;
    const char *wanted = air + n + 1;
    size_t size = strcspn(wanted, "\n");
    return strlen(password) == size && memcmp(wanted, password, size) == 0 ? BoardWifi::connected
                                                                           : BoardWifi::wrong_password;
  }
  return BoardWifi::no_ssid;
}

}  // namespace

BoardWifi board_wifi_connect(const char *ssid, const char *password) {
  up();
  Lock lock(wifi_lock);
  if (ssid && strlen(ssid) >= sizeof wifi_name) return wifi = BoardWifi::no_ssid;
  if (ssid && *ssid) strcpy(wifi_name, ssid);
  if (!*wifi_name) strcpy(wifi_name, "virtual");
  wifi = radio ? join(wifi_name, password ? password : "") : BoardWifi::no_ssid;
  return wifi;
}

BoardWifi board_wifi_status() {
  up();
  Lock lock(wifi_lock);
  return wifi;
}

void board_wifi_disconnect() {
  up();
  Lock lock(wifi_lock);
  wifi = BoardWifi::none;
}

void board_wifi_ssid(char ssid[33]) {
  up();
  Lock lock(wifi_lock);
  if (wifi == BoardWifi::connected) {
    memcpy(ssid, wifi_name, sizeof wifi_name);
  } else {
    *ssid = 0;
  }
}

int board_wifi_rssi() { return board_wifi_status() == BoardWifi::connected ? -50 : 0; }

int board_connect(const char *host, uint16_t port, uint32_t timeout_ms) {
  up();
  if (board_wifi_status() != BoardWifi::connected) return -ENETUNREACH;
  uint64_t deadline = monotonic_us() + uint64_t(timeout_ms) * 1000;
  return proxied ? connect_proxied(host, port, deadline) : connect_direct(host, port, deadline);
}

int board_listen(uint16_t port) {
  up();
  sockaddr_un by_name;
  sockaddr_in by_number = {};
  sockaddr *address = reinterpret_cast<sockaddr *>(&by_number);
  socklen_t size = sizeof by_number;
  by_number.sin_family = AF_INET;
  by_number.sin_port = htons(port);
  by_number.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (proxied) {
    char name[8];
    snprintf(name, sizeof name, "%u", port);
    if (!unix_address(name, &by_name)) return -ENAMETOOLONG;
    unlink(by_name.sun_path);
    address = reinterpret_cast<sockaddr *>(&by_name);
    size = sizeof by_name;
  }
  int s = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s < 0) return -errno;
  int on = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(s, address, size) != 0 || listen(s, 4) != 0) {
    int failed = -errno;
    close(s);
    return failed;
  }
  return s;
}
