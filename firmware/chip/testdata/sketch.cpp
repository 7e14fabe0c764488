// A process that does what the test tells it over the serial port: a word and its
// arguments a line. It answers "ok", "no" or a value, a line each.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "board.h"

static void answer(const std::string &text) {
  std::string line = text + "\n";
  board_serial_write(line.data(), line.size());
}

static void done(bool ok) { answer(ok ? "ok" : "no"); }

static std::string hex(const std::vector<uint8_t> &data) {
  std::string text;
  char two[3];
  for (uint8_t b : data) {
    snprintf(two, sizeof two, "%02x", b);
    text += two;
  }
  return text;
}

static std::vector<uint8_t> unhex(const std::string &text) {
  std::vector<uint8_t> data;
  for (size_t i = 0; i + 1 < text.size(); i += 2) data.push_back(strtoul(text.substr(i, 2).c_str(), nullptr, 16));
  return data;
}

static std::string read_line() {
  std::string line;
  for (;;) {
    uint8_t c;
    if (board_serial_read(&c, 1) == 0) {
      usleep(1000);
    } else if (c == '\n') {
      return line;
    } else {
      line += char(c);
    }
  }
}

static std::string fetch(int s) {
  if (s < 0) return strerror(-s);
  std::string got;
  char buffer[256];
  if (write(s, "hello\n", 6) != 6) return "write";
  for (ssize_t n; (n = read(s, buffer, sizeof buffer)) > 0;) got.append(buffer, n);
  close(s);
  return got;
}

static std::string state(const BoardPartition &slot) {
  static const char *const states[] = {"new", "pending", "valid", "invalid", "aborted"};
  BoardOta state = board_ota_state(slot);
  return state == BOARD_OTA_UNDEFINED ? "undefined" : states[state];
}

static void serve(int listener) {
  if (listener < 0) return answer(strerror(-listener));
  done(true);
}

int main() {
  static const char *const resets[] = {"power", "software", "crash", "watchdog", "brownout", "sleep", "external", "?"};
  board_begin();
  board_on_pin([](int pin, int value) { answer("pin " + std::to_string(pin) + " " + std::to_string(value)); });
  answer(std::string("up ") + board_running()->label + " " + resets[int(board_reset())] + " " +
         state(*board_running()) + " " + std::to_string(board_pin_input(0)));
  for (;;) {
    std::string line = read_line();
    char a[512] = "", b[512] = "", c[512] = "", d[512] = "", word[64] = "";
    int n = sscanf(line.c_str(), "%63s %511s %511s %511s %511s", word, a, b, c, d) - 1;
    if (n < 0) continue;
    std::string w = word;
    uint32_t x = strtoul(a, nullptr, 0), y = strtoul(b, nullptr, 0);
    if (w == "restart") board_restart();
    if (w == "brownout") board_brownout();
    if (w == "abort") abort();
    if (w == "exit") exit(x);
    if (w == "segv") raise(SIGSEGV);
    if (w == "sleep") board_deep_sleep(x, n > 1 ? int(y) : -1, atoi(c));
    if (w == "sleepforever") _exit(65);
    if (w == "say") answer(line.substr(4));
    if (w == "count") answer(std::to_string(line.size() - 6));
    if (w == "watchdog") board_watchdog(x), done(true);
    if (w == "feed") {
      for (uint64_t until = board_uptime_us() + x * 1000; board_uptime_us() < until; usleep(10000)) board_feed();
      done(true);
    }
    if (w == "pin") board_pin(int(x), BoardPinMode::out, int(y));
    if (w == "input") answer(std::to_string(board_pin_input(int(x))));
    if (w == "read") {
      std::vector<uint8_t> data(y);
      board_flash_read(x, data.data(), y) ? answer(hex(data)) : done(false);
    }
    if (w == "write") done(board_flash_write(x, unhex(b).data(), unhex(b).size()));
    if (w == "erase") done(board_flash_erase(x, y));
    if (w == "put") done(board_nvs_put(a, b, *c, d, strlen(d)));
    if (w == "fill") {
      std::vector<uint8_t> data(strtoul(c, nullptr, 0), 'x');
      done(board_nvs_put(a, b, 'b', data.data(), data.size()));
    }
    if (w == "get") {
      char type, value[512];
      int size = board_nvs_get(a, b, &type, value, sizeof value);
      size < 0 ? done(false) : answer(std::string(1, type) + " " + std::string(value, size));
    }
    if (w == "forget") done(board_nvs_erase(a, b));
    if (w == "clear") done(board_nvs_clear(a));
    if (w == "list") {
      std::string all;
      board_nvs_list(
          a,
          [](const char *key, char type, size_t size, void *context) {
            *static_cast<std::string *>(context) += std::string(key) + type + std::to_string(size) + " ";
          },
          &all);
      answer(all);
    }
    if (w == "rtcsave") done(board_rtc_save(a, strlen(a)));
    if (w == "rtcload") {
      char value[8] = "";
      answer(board_rtc_load(value, x) ? value : "no");
    }
    if (w == "state") answer(state(*board_partition(a)));
    if (w == "boot") done(board_ota_boot(*board_partition(a)));
    if (w == "confirm") done(board_ota_confirm());
    if (w == "revert") done(board_ota_revert());
    if (w == "imagesize") answer(std::to_string(board_image_size(*board_partition(a))));
    if (w == "clock") answer(std::to_string(board_clock_us() / 1000000));
    if (w == "mac") {
      std::vector<uint8_t> mac(6);
      board_mac(mac.data());
      answer(hex(mac) + " " + board_chip());
    }
    if (w == "wifi") answer(std::to_string(int(board_wifi_connect(a, b))));
    if (w == "wifistatus") answer(std::to_string(int(board_wifi_status())));
    if (w == "fetch") answer(fetch(board_connect(a, uint16_t(y), 5000)));
    if (w == "listen") {
      int listener = board_listen(uint16_t(x));
      serve(listener);
      int s = accept(listener, nullptr, nullptr);
      answer(fetch(s));
      close(listener);
    }
    if (w == "fork") {
      if (fork() == 0)
        for (;;) pause();
      done(true);
    }
    if (w == "eat") {
      for (;;) memset(new char[1 << 20], 1, 1 << 20);
    }
    if (w == "flood") {
      for (uint32_t i = 0; i < x; i++) board_serial_write("0123456789abcdef", 16);
      done(true);
    }
    if (w == "cableread") {
      uint8_t data[64];
      size_t size = board_cable_read(data, sizeof data);
      answer(hex(std::vector<uint8_t>(data, data + size)));
    }
    if (w == "fds") {
      std::string all;
      for (int f = 0; f < 32; f++)
        if (char path[40]; snprintf(path, sizeof path, "/proc/self/fd/%d", f) > 0 && access(path, F_OK) == 0)
          all += std::to_string(f) + " ";
      answer(all);
    }
  }
}
