// The recovery portal: an access point of the board's own, with one page on which Wi-Fi
// can be entered. The access point has a password; a board that cannot have one opens none.
#pragma once

#include <Arduino.h>

class Portal {
 public:
  // entered is called with what somebody sent; it returns "" or why that is no network.
  typedef const char *(*Entered)(const String &ssid, const String &password);

  explicit Portal(Entered entered) : entered_(entered) {}

  // open starts the access point; the password has at least 8 characters.
  bool open(const char *name, const char *password);
  void close();
  bool is_open() const { return open_; }
  void step();  // in loop()

 private:
  void page(int status, const char *message);

  Entered entered_;
  bool open_ = false;
};
