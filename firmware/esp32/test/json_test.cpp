#include "json.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

using namespace flota;

namespace {

// read walks through everything and writes it anew.
std::string walk(Json *json) {
  Text text;
  int64_t number;
  bool flag;
  char digits[21];
  std::string out;
  switch (json->peek()) {
    case Json::Kind::object: {
      REQUIRE(json->object());
      out = "{";
      for (Text name; json->member(&name);) {
        if (out.size() > 1) out += ",";
        out += nlohmann::json(std::string(name.data, name.size)).dump() + ":" + walk(json);
      }
      return out + "}";
    }
    case Json::Kind::array:
      REQUIRE(json->array());
      out = "[";
      while (json->element()) {
        if (out.size() > 1) out += ",";
        out += walk(json);
      }
      return out + "]";
    case Json::Kind::text:
      if (!json->text(&text)) return "";
      CHECK(text.data[text.size] == 0);
      return nlohmann::json(std::string(text.data, text.size)).dump();
    case Json::Kind::number:
      if (!json->number(&number)) return "?";
      return std::string(digits, decimal(number, digits));
    case Json::Kind::boolean:
      if (!json->boolean(&flag)) return "";
      return flag ? "true" : "false";
    default:
      json->skip();
      return "null";
  }
}

bool valid(const std::string &text) {
  std::vector<char> room(text.begin(), text.end());
  Json json(room.data(), room.size());
  json.skip();
  return json.finish();
}

}  // namespace

TEST_CASE("what is read is what was written") {
  for (std::string text :
       {R"({"a":1,"b":[true,false,null,"x"],"c":{"d":{}},"e":[]})", R"("")", R"([[[1]]])", R"(-0)",
        R"([9007199254740992,-9007199254740992])", R"(["\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00"])",
        R"(["\u0000a"])", "[\"\xf0\x9f\x98\x80\"]"}) {
    CAPTURE(text);
    std::vector<char> room(text.begin(), text.end());
    Json json(room.data(), room.size());
    std::string again = walk(&json);
    CHECK(json.finish());
    CHECK(nlohmann::json::parse(again) == nlohmann::json::parse(text));
  }
}

TEST_CASE("what is no JSON") {
  for (std::string text : {"",
                           " ",
                           "{",
                           "}",
                           "[",
                           "]",
                           "[1",
                           "[1,]",
                           "[,1]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{,}",
                           "{a:1}",
                           "{'a':1}",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "1e",
                           "1e+",
                           "--1",
                           "-",
                           "tru",
                           "nul",
                           "falsey",
                           "\"",
                           "\"\\\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u123g\"",
                           "\"\\ud83d\"",
                           "\"\\ud83d\\u0041\"",
                           "\"\\ude00\"",
                           "\"\n\"",
                           "\"\xff\"",
                           "\"\xc3\"",
                           "1 2",
                           "[1]]",
                           "{}{}",
                           "{\"a\":1 \"b\":2}",
                           "[1 2]",
                           "nan",
                           "Infinity",
                           "/**/1"}) {
    CAPTURE(text);
    CHECK_FALSE(valid(text));
    CHECK_FALSE(nlohmann::json::accept(text));
  }
  CHECK(valid(std::string(32, '[') + std::string(32, ']')));
  CHECK_FALSE(valid(std::string(33, '[') + std::string(33, ']')));
}

TEST_CASE("a value of another kind is passed over") {
  std::string text = R"({"n":1.5,"t":7,"o":[1,{"x":"y"}],"big":9007199254740993,"e":1e2,"after":5})";
  Json json(text.data(), text.size());
  REQUIRE(json.object());
  Text name, value;
  int64_t number = 0;
  bool flag;
  CHECK(json.member(&name));
  CHECK_FALSE(json.number(&number));
  CHECK(json.member(&name));
  CHECK_FALSE(json.text(&value));
  CHECK(json.member(&name));
  CHECK_FALSE(json.boolean(&flag));
  CHECK(json.member(&name));
  CHECK_FALSE(json.number(&number));
  CHECK(json.member(&name));
  CHECK_FALSE(json.number(&number));
  CHECK(json.member(&name));
  CHECK(name == "after");
  CHECK(json.number(&number));
  CHECK(number == 5);
  CHECK_FALSE(json.member(&name));
  CHECK(json.finish());
}

// Whatever another parser takes, this one does, and the other way round, but for numbers
// and depths.
TEST_CASE("agrees with another parser about damaged texts") {
  std::mt19937 generator(5);
  const std::string good =
      R"({"statement":{"payload":"e30=","kid":"0123","sig":"AA=="},"link":"/d/v1","n":[1,-2,3.5e-1,null,true,"é\u00e9\n"]})";
  const std::string damage = "{}[],:\"\\0123eE.-ntfu\x80\xc3 ";
  int taken = 0;
  for (int i = 0; i < 20000; i++) {
    std::string text = good;
    for (int changes = 1 + int(generator() % 3); changes > 0; changes--) {
      size_t at = generator() % text.size();
      switch (generator() % 3) {
        case 0:
          text[at] = damage[generator() % damage.size()];
          break;
        case 1:
          text.erase(at, 1 + generator() % 3);
          break;
        default:
          text.insert(at, text, generator() % text.size(), 1 + generator() % 4);
      }
      if (text.empty()) text = " ";
    }
    CAPTURE(text);
    REQUIRE(valid(text) == nlohmann::json::accept(text));
    taken += valid(text);
  }
  CHECK(taken > 100);
}

TEST_CASE("objects are written") {
  char room[100];
  size_t size =
      JsonObject(room, sizeof room).add("a", "q\"\\\n\x01\xc3\xa9").add("b", int64_t(-5)).add("c", true).finish();
  CHECK(nlohmann::json::parse(std::string(room, size)) ==
        nlohmann::json({{"a", "q\"\\\n\x01\xc3\xa9"}, {"b", -5}, {"c", true}}));
  CHECK(room[size] == 0);
  for (size_t less = 2; less <= size; less++) {
    std::vector<char> small(less);
    CHECK(
        JsonObject(small.data(), less).add("a", "q\"\\\n\x01\xc3\xa9").add("b", int64_t(-5)).add("c", true).finish() ==
        0);
  }
  std::vector<char> enough(size + 1);
  CHECK(JsonObject(enough.data(), size + 1)
            .add("a", "q\"\\\n\x01\xc3\xa9")
            .add("b", int64_t(-5))
            .add("c", true)
            .finish() == size);
}
