#include "../base/improv.cpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using improv::Network;

namespace {

std::string packet(uint8_t type, const std::string &data) {
  std::string p = std::string("IMPROV\x01", 7) + char(type) + char(data.size()) + data;
  uint8_t total = 0;
  for (char c : p) total = uint8_t(total + uint8_t(c));
  return p + char(total);
}

std::string command(uint8_t word, const std::string &data) {
  return packet(3, std::string(1, char(word)) + char(data.size()) + data);
}

std::string counted(const std::string &text) { return std::string(1, char(text.size())) + text; }

struct Board : improv::Device {
  std::vector<std::string> sent;
  std::vector<std::string> joins;
  bool online = false;
  improv::Improv *improv = nullptr;

  void send(const uint8_t *data, size_t size) override {
    sent.emplace_back(reinterpret_cast<const char *>(data), size);
  }
  void join(const Network &network) override { joins.push_back(std::string(network.ssid) + "|" + network.password); }
  bool connected() override { return online; }
  void info(const char *texts[4]) override {
    texts[0] = "Flota";
    texts[1] = "1.0";
    texts[2] = "ESP32-C3";
    texts[3] = "bot_001";
  }
  void scan() override { improv->found("shed", -61, true); }
};

struct Bench {
  Board board;
  improv::Improv improv{board};
  Bench() { board.improv = &improv; }

  // give sends bytes and returns what was passed on.
  std::string give(const std::string &bytes) {
    std::string passed;
    for (char c : bytes) {
      size_t n = improv.receive(uint8_t(c));
      passed.append(reinterpret_cast<const char *>(improv.passed()), n);
    }
    return passed;
  }
  std::vector<std::string> answers() {
    std::vector<std::string> a;
    a.swap(board.sent);
    return a;
  }
};

const std::string kNoError = packet(2, std::string(1, '\0')) + "\n";
std::string state(char s) { return packet(1, std::string(1, s)) + "\n"; }

}  // namespace

// The example of the specification: SSID "MyWirelessAP", password "mysecurepassword".
TEST_CASE("improv: Wi-Fi is joined, and the client is told how that ended") {
  Bench b;
  CHECK(b.give(command(1, counted("MyWirelessAP") + counted("mysecurepassword"))).empty());
  CHECK(b.board.joins == std::vector<std::string>{"MyWirelessAP|mysecurepassword"});
  CHECK(b.answers() == std::vector<std::string>{kNoError, state(3)});
  SUBCASE("well") {
    b.improv.joined(true, "http://192.168.4.7/");
    CHECK(b.answers() == std::vector<std::string>{
                             state(4), packet(4, std::string(1, 1) + counted(counted("http://192.168.4.7/"))) + "\n"});
    b.improv.joined(true, "");
    CHECK(b.answers().empty());
  }
  SUBCASE("badly") {
    b.improv.joined(false, "");
    CHECK(b.answers() == std::vector<std::string>{packet(2, "\x03") + "\n", state(2)});
  }
  SUBCASE("not yet") {
    b.give(command(2, ""));
    CHECK(b.answers() == std::vector<std::string>{kNoError, state(3)});
  }
}

TEST_CASE("improv: an open network has no password") {
  Bench b;
  b.give(command(1, counted("cafe") + counted("")));
  CHECK(b.board.joins == std::vector<std::string>{"cafe|"});
}

TEST_CASE("improv: state, information and networks") {
  Bench b;
  b.give(command(2, ""));
  CHECK(b.answers() == std::vector<std::string>{kNoError, state(2)});
  b.board.online = true;
  b.give(command(2, ""));
  CHECK(b.answers() == std::vector<std::string>{kNoError, state(4), packet(4, std::string("\x02\x00", 2)) + "\n"});
  b.give(command(3, ""));
  std::string info = counted("Flota") + counted("1.0") + counted("ESP32-C3") + counted("bot_001");
  CHECK(b.answers() == std::vector<std::string>{kNoError, packet(4, "\x03" + counted(info)) + "\n"});
  b.give(command(4, ""));
  std::string found = counted("shed") + counted("-61") + counted("YES");
  CHECK(b.answers() == std::vector<std::string>{kNoError, packet(4, "\x04" + counted(found)) + "\n",
                                                packet(4, std::string("\x04\x00", 2)) + "\n"});
}

TEST_CASE("improv: what is wrong changes nothing") {
  const std::string invalid = packet(2, "\x01") + "\n";
  std::string broken = command(1, counted("shed") + counted("password"));
  broken.back() = char(broken.back() + 1);
  for (const std::string &bad : {
           broken,                                                              // checksum
           command(1, counted("shed")),                                         // no password
           command(1, counted("") + counted("password")),                       // no name
           command(1, counted(std::string(33, 'x')) + counted("password")),     // too long a name
           command(1, counted("shed") + counted(std::string(65, 'x'))),         // too long a password
           command(1, counted("shed") + counted("password") + "x"),             // something behind
           command(1, "\x30shed"),                                              // a length beyond the end
           command(1, counted(std::string("sh\0d", 4)) + counted("password")),  // a NUL
           packet(3, ""),                                                       // no command
           packet(3, "\x01"),                                                   // no length
           packet(3, std::string("\x01\x05", 2)),                               // another length
       }) {
    Bench b;
    CHECK(b.give(bad).empty());
    CHECK(b.board.joins.empty());
    CHECK(b.answers() == std::vector<std::string>{invalid});
    b.give(command(2, ""));  // and the next one is understood
    CHECK(b.answers() == std::vector<std::string>{kNoError, state(2)});
  }
  Bench b;
  b.give(command(9, ""));
  CHECK(b.answers() == std::vector<std::string>{packet(2, "\x02") + "\n"});
  b.give(packet(1, "\x02"));  // the device's own kind of packet
  CHECK(b.answers().empty());
}

TEST_CASE("improv: the lines of others are passed on, byte for byte") {
  Bench b;
  for (const std::string &line : {
           std::string("{\"flota\":\"hello\"}\n"),
           std::string("{\"flota\":\"wifi\",\"wifi\":[{\"ssid\":\"IMPROV\x01\"}]}\n"),  // not at the start of a line
           std::string("IMPROVED\n"),
           std::string("IM\n"),
           std::string("I\n"),
           std::string("IIMPROV\n"),
           std::string("IMPROV\x02\n"),
           std::string("\n\n"),
       }) {
    CAPTURE(line);
    CHECK(b.give(line) == line);
  }
  CHECK(b.answers().empty());
  // Both in turn, with and without the line feed that newer clients put behind a packet.
  CHECK(b.give(command(2, "") + "{\"a\":1}\n" + command(2, "") + "\n" + command(2, "")) == "{\"a\":1}\n\n");
  CHECK(b.answers().size() == 6);
}

TEST_CASE("improv: noise neither stops it nor makes it write beyond its room") {
  std::mt19937 generator(7);
  Bench b;
  for (int i = 0; i < 200000; i++) {
    std::string noise(1, char(generator()));
    if (generator() % 50 == 0) noise = "\nIMPROV\x01\x03";
    b.give(noise);
  }
  b.give("\n" + std::string(300, '\n'));  // ends whatever was begun
  b.answers();
  b.give(command(2, ""));
  CHECK(b.answers() == std::vector<std::string>{kNoError, state(2)});
}
