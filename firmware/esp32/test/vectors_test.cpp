// Every file of firmware/vectors, as far as it concerns a device.
#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "client.h"
#include "http.h"
#include "index.h"
#include "mbedtls/crypto.h"
#include "provision.h"
#include "reason.h"
#include "server.h"
#include "settings.h"
#include "sign.h"
#include "statement.h"

using nlohmann::json;
using namespace flota;

namespace {

json cases(const std::string &name) {
  std::ifstream in(std::string(VECTORS) + "/" + name);
  REQUIRE_MESSAGE(in.good(), "no ", name);
  json all = json::parse(in)["cases"];
  REQUIRE(all.size() > 0);
  return all;
}

Text text(const std::string &s) { return Text(s.data(), s.size()); }

void bytes(const std::string &hex_text, uint8_t *to, size_t size) { REQUIRE(unhex(text(hex_text), to, size)); }

std::string hex_of(const uint8_t *data, size_t size) {
  std::string s(2 * size + 1, 0);
  hex(data, size, s.data());
  s.pop_back();
  return s;
}

std::string decoded(const std::string &base64) {
  std::string s(base64.size(), 0);
  int n = unbase64(text(base64), reinterpret_cast<uint8_t *>(s.data()), s.size());
  REQUIRE(n >= 0);
  s.resize(size_t(n));
  return s;
}

}  // namespace

TEST_CASE("derive.json") {
  MbedtlsCrypto crypto;
  for (const json &c : cases("derive.json")) {
    CAPTURE(c["name"]);
    if (c.contains("key")) {
      std::string key = c["key"];
      CHECK(valid_key(text(key)) == c["valid"].get<bool>());
      if (!c["valid"].get<bool>()) continue;
      Credential credential;
      derive(crypto, text(key), &credential);
      CHECK(hex_of(credential.k, 32) == c["k"]);
      CHECK(credential.key_id == c["key_id"].get<std::string>());
    } else {
      std::string base64 = c.value("public", "");
      uint8_t key[kPoint + 3];
      bool valid = unbase64(text(base64), key, sizeof key) == int(kPoint) && crypto.point(key);
      CHECK(valid == c["valid"].get<bool>());
      if (!valid) continue;
      char kid[17];
      key_name(crypto, key, kid);
      CHECK(kid == c["kid"].get<std::string>());
    }
  }
}

TEST_CASE("request.json") {
  MbedtlsCrypto crypto;
  int made = 0;
  for (const json &c : cases("request.json")) {
    CAPTURE(c["name"]);
    uint8_t k[32];
    bytes(c["k"], k, 32);
    const json &r = c["request"];
    std::string method = r["method"], path = r["path"], nonce = r["nonce"], time = r["time"], running = r["running"],
                etag = r["etag"], body = r["body"];
    char mac[65] = "";
    bool done = request_mac(
        crypto, k, {text(method), text(path), text(nonce), text(time), text(running), text(etag), text(body)}, mac);
    // A MAC that the server takes is the one that is made here; one that it refuses is not.
    if (c["verdict"] == "accepted" || c["verdict"] == "clock") {
      CHECK(done);
      CHECK(mac == c["mac"].get<std::string>());
      made++;
    } else if (c["verdict"] == "mac") {
      CHECK(mac != c["mac"].get<std::string>());
    }
  }
  CHECK(made >= 8);
}

TEST_CASE("answer.json") {
  MbedtlsCrypto crypto;
  int checkins = 0;
  for (const json &c : cases("answer.json")) {
    CAPTURE(c["name"]);
    uint8_t k[32];
    bytes(c["k"], k, 32);
    std::string nonce = c["nonce"], poll = c["poll"], etag = c["etag"], body = c["body"], mac = c["mac"];
    // By way of the bytes on the wire.
    std::string wire =
        "HTTP/1.1 " + std::to_string(c["status"].get<int>()) + " Some words\r\nx-flota-mac: " + mac + "\r\n";
    if (!poll.empty()) wire += "X-Flota-Poll:" + poll + "\r\n";
    if (!etag.empty()) wire += "ETAG:  " + etag + " \r\n";
    wire += "\r\n";
    AnswerHead head;
    AnswerHead::Result result = AnswerHead::Result::more;
    for (char byte : wire) {
      REQUIRE(result == AnswerHead::Result::more);
      result = head.add(byte);
    }
    REQUIRE(result == AnswerHead::Result::done);
    const Answer &a = head.answer();
    bool checkin = outcome(a.status) == Outcome::ok &&
                   genuine(crypto, k, {text(nonce), a.status, a.poll, a.etag, text(body)}, a.mac);
    CHECK(checkin == c["checkin"].get<bool>());
    checkins += checkin;
  }
  CHECK(checkins >= 3);
}

TEST_CASE("statement.json") {
  MbedtlsCrypto crypto;
  std::set<std::string> reasons;
  for (const json &c : cases("statement.json")) {
    CAPTURE(c["name"]);
    const json &d = c["device"];
    std::string workspace = d["workspace"], device = d["device"], board = d["board"];
    std::string groups = d.contains("groups") && !d["groups"].is_null() ? d["groups"].dump() : "";
    TrustedKeys keys;
    for (const auto &key : d["keys"]) {
      std::string raw = decoded(key.get<std::string>());
      REQUIRE(raw.size() == kPoint);
      std::memcpy(keys.key[keys.count++], raw.data(), kPoint);
    }
    Knowledge k;
    k.workspace = text(workspace);
    k.device = text(device);
    k.board = text(board);
    k.groups = groups.data();
    k.groups_size = groups.size();
    if (groups.empty()) k.groups = nullptr;
    k.keys = &keys;
    k.accepted = d["accepted"];
    k.security_version = d["security_version"];
    k.room = {d["slot"], d["filesystem"], d["files"]};

    std::string body = json({{"statement", c["statement"]}, {"link", "/d/v1/image/t0ken"}}).dump();
    // Exactly as large as it is: what reads beyond its end is found by ASan.
    std::vector<char> room(body.begin(), body.end());
    Offer offer;
    Statement s;
    REQUIRE(parse_offer(room.data(), room.size(), &offer));
    Reason reason = check(crypto, offer, k, &s);
    CHECK(word(reason) == c["reason"].get<std::string>());
    reasons.insert(word(reason));
    if (reason != Reason::none) {
      CHECK(s.deployment == c["decided"].get<int64_t>());
      continue;
    }
    CHECK(s.deployment == c["accepted"].get<int64_t>());
    CHECK(std::max(s.security_version, k.security_version) == c["security_version"].get<int64_t>());
    const TrustedKeys &after = s.new_keys ? s.keys : keys;
    REQUIRE(after.count == c["keys"].size());
    for (uint8_t i = 0; i < after.count; i++) {
      CHECK(std::memcmp(after.key[i], decoded(c["keys"][i].get<std::string>()).data(), kPoint) == 0);
    }
  }
  for (const char *reason : {"", "format", "target", "board", "replay", "downgrade", "too_large", "signature"}) {
    CAPTURE(reason);
    CHECK(reasons.count(reason) == 1);
  }
}

TEST_CASE("index.json") {
  int accepted = 0;
  for (const json &c : cases("index.json")) {
    CAPTURE(c["name"]);
    std::vector<std::string> paths;
    for (const json &p : c["parts"]) paths.push_back(p.value("path", ""));
    std::vector<Part> parts(paths.size());
    for (size_t i = 0; i < parts.size(); i++) {
      parts[i].kind = c["parts"][i]["kind"] == "file" ? Part::Kind::file : Part::Kind::app;
      parts[i].path = text(paths[i]);
    }
    Index index(parts.data(), uint8_t(parts.size()));
    bool good = true;
    json files = json::array();
    for (char byte : c["text"].get<std::string>()) {
      Index::Result result = index.add(byte);
      good = good && result != Index::Result::bad;
      if (result != Index::Result::file) continue;
      const Part &f = index.file();
      files.push_back({{"kind", "file"},
                       {"path", std::string(f.path.data, f.path.size)},
                       {"size", f.size},
                       {"sha256", hex_of(f.sha256, kDigest)}});
    }
    good = index.finish() && good;
    CHECK(good == !c["files"].is_null());
    if (good) CHECK(files == c["files"]);
    accepted += good;
  }
  CHECK(accepted >= 3);
}

// Each line is written to a device that was given something else before; one that it
// refuses changes nothing.
TEST_CASE("provision.json") {
  for (const json &c : cases("provision.json")) {
    CAPTURE(c["name"]);
    test::Server server;
    test::Machine machine;
    server.give(machine);
    auto before = machine.storage.values;
    struct Quiet final : Provisioned {
      ServerStatus status() override { return ServerStatus(); }
      void changed() override {}
    } quiet;
    std::vector<char> room(kMaxLine);
    Dialogue dialogue(machine.ports, quiet, room.data());
    std::string line = c["line"].get<std::string>() + "\r\n";
    dialogue.receive(reinterpret_cast<const uint8_t *>(line.data()), line.size());
    const std::string &out = machine.serial.out;
    if (c["answer"] == "") {
      CHECK(out.empty());
      continue;
    }
    REQUIRE(!out.empty());
    CHECK(out.back() == '\n');
    CHECK(std::count(out.begin(), out.end(), '\n') == 1);
    json answer = json::parse(out);
    CHECK(answer["flota"] == c["answer"]);
    CHECK(answer.value("field", "") == c["field"]);
    CHECK((machine.storage.values == before) ==
          (c["answer"] == "error" || c["answer"] == "hello" || c["answer"] == "status"));
    if (c["answer"] != "provisioned") continue;
    // All of it is there, word for word.
    json given = json::parse(c["line"].get<std::string>());
    auto &v = machine.storage.values;
    for (const char *name : {"server", "workspace", "device", "product_id", "key", "board", "ca"})
      CHECK(v[name] == given.value(name, ""));
    for (const char *name : {"groups", "wifi"}) {
      json none = json::array();
      CHECK((v[name].empty() ? none : json::parse(v[name])) == given.value(name, none));
    }
    std::string keys;
    for (const auto &key : given["keys"]) keys += decoded(key.get<std::string>());
    CHECK(v["keys"] == keys);
    CHECK(provisioned(machine.storage));
    MbedtlsCrypto crypto;
    CHECK(Settings().load(machine.storage, crypto));
  }
}

TEST_CASE("link.json") {
  for (const json &c : cases("link.json")) {
    CAPTURE(c["name"]);
    std::string path = c["path"];
    int status = c["status"];
    Outcome o = outcome(status);
    if (status == 200 || status == 206) {
      CHECK(valid_link(text(path)));
      CHECK(o == Outcome::ok);
    } else if (status == 403) {
      CHECK(o == Outcome::forbidden);
    } else {
      CHECK(o == Outcome::wrong);
    }
  }
}

// What reports say is among what the server takes, and its refusals are those after
// which a report is dropped.
TEST_CASE("report.json") {
  std::set<std::string> states;
  for (const json &c : cases("report.json")) {
    CAPTURE(c["name"]);
    int status = c["status"];
    CHECK((status == 204 ? Outcome::ok : Outcome::wrong) == outcome(status));
    json body = json::parse(c.value("body", ""), nullptr, false);
    if (status == 204 && body.is_object()) states.insert(body["state"].get<std::string>());
  }
  for (uint8_t s = 0; s < kStates; s++) CHECK(states.count(word(State(s))) == 1);
}

// The static links are for stock clients. Their answers are HTTP that this agent would read, too.
TEST_CASE("httpupdate.json") {
  for (const json &c : cases("httpupdate.json")) {
    CAPTURE(c["name"]);
    std::string wire = "HTTP/1.1 " + std::to_string(c["status"].get<int>()) + " X\r\n";
    if (c.contains("headers") && c["headers"].is_object()) {
      for (const auto &h : c["headers"].items()) {
        std::string value = h.value();
        if (!value.empty()) wire += h.key() + ": " + value + "\r\n";  // empty: it is not there
      }
    }
    wire += "\r\n";
    AnswerHead head;
    AnswerHead::Result result = AnswerHead::Result::more;
    for (char byte : wire) result = head.add(byte);
    CHECK(result == AnswerHead::Result::done);
    CHECK(head.answer().status == c["status"].get<int>());
  }
}
