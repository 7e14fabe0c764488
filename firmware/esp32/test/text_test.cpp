#include "text.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "server.h"

using namespace flota;

TEST_CASE("base64 is strict") {
  std::mt19937 generator(3);
  for (size_t size = 0; size < 70; size++) {
    std::string bytes;
    for (size_t i = 0; i < size; i++) bytes += char(generator());
    std::string text = test::base64(bytes);
    std::vector<uint8_t> room(size);
    REQUIRE(unbase64(Text(text.data(), text.size()), room.data(), size) == int(size));
    CHECK(std::string(room.begin(), room.end()) == bytes);
    if (size > 0) CHECK(unbase64(Text(text.data(), text.size()), room.data(), size - 1) == -1);
  }
  uint8_t room[16];
  for (const char *bad :
       {"A", "AA", "AAA", "AA=", "AB==", "AAB=", "AA=A", "=AAA", "AA==AAAA", "A\nAA", "AA-_", "===="}) {
    CAPTURE(bad);
    CHECK(unbase64(bad, room, sizeof room) == -1);
  }
}

TEST_CASE("hex is lower-case") {
  uint8_t b[2];
  CHECK(unhex("00ff", b, 2));
  CHECK(b[1] == 0xff);
  for (const char *bad : {"00FF", "00f", "00fff", "0 ff", "00fg", ""}) CHECK_FALSE(unhex(bad, b, 2));
}

TEST_CASE("numbers") {
  CHECK(number("0") == 0);
  CHECK(number("9007199254740992") == 9007199254740992);
  for (const char *bad : {"", "9007199254740993", "99999999999999999", "-1", "+1", " 1", "1 ", "1e3", "0x1"})
    CHECK(number(bad) == -1);
  char text[21];
  CHECK(decimal(INT64_MIN, text) == 20);
  CHECK(std::string(text) == "-9223372036854775808");
  CHECK(decimal(0, text) == 1);
}

TEST_CASE("UTF-8") {
  for (const char *good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    CHECK(valid_utf8(good));
  // Too long, halves of pairs, beyond the last, cut short, a stray continuation.
  for (const char *bad :
       {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\x80", "a\xff"}) {
    CHECK_FALSE(valid_utf8(bad));
  }
}

TEST_CASE("copies never end within a character") {
  char room[4];
  copy("a\xe2\x82\xac", room, sizeof room);
  CHECK(std::string(room) == "a");
  printable(
      "\x01"
      "a\n\xe2\x82\xac"
      "b",
      room, sizeof room);
  CHECK(std::string(room) == "a");
  char large[300];
  std::string many;
  for (int i = 0; i < 100; i++) many += "\xc3\xa9";
  printable(Text(many.data(), many.size()), large, sizeof large);
  CHECK(std::strlen(large) == 128);
}
