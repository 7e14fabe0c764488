#include "server.h"

#include <mbedtls/base64.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/md.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <random>

namespace test {

namespace {

std::string unhex(const std::string &text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) bytes += char(std::stoi(text.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string hex(const std::string &bytes) {
  std::string text(2 * bytes.size() + 1, 0);
  flota::hex(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), text.data());
  text.pop_back();
  return text;
}

const unsigned char *u(const std::string &s) { return reinterpret_cast<const unsigned char *>(s.data()); }

int entropy(void *, unsigned char *to, size_t size) {
  static std::mt19937 generator(7);
  for (size_t i = 0; i < size; i++) to[i] = uint8_t(generator());
  return 0;
}

std::string k() { return unhex(sha256(kKey, std::strlen(kKey))); }

}  // namespace

Signer::Signer(const std::string &scalar_hex) : scalar_(unhex(scalar_hex)) {
  mbedtls_ecp_group group;
  mbedtls_ecp_point point;
  mbedtls_mpi d;
  mbedtls_ecp_group_init(&group);
  mbedtls_ecp_point_init(&point);
  mbedtls_mpi_init(&d);
  size_t size = 0;
  point_.resize(65);
  if (mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) != 0 ||
      mbedtls_mpi_read_binary(&d, u(scalar_), 32) != 0 ||
      mbedtls_ecp_mul(&group, &point, &d, &group.G, entropy, nullptr) != 0 ||
      mbedtls_ecp_point_write_binary(&group, &point, MBEDTLS_ECP_PF_UNCOMPRESSED, &size,
                                     reinterpret_cast<unsigned char *>(point_.data()), 65) != 0) {
    throw std::runtime_error("no key");
  }
  mbedtls_mpi_free(&d);
  mbedtls_ecp_point_free(&point);
  mbedtls_ecp_group_free(&group);
}

std::string Signer::sign(const std::string &payload) const {
  mbedtls_ecp_group group;
  mbedtls_mpi d, r, s;
  mbedtls_ecp_group_init(&group);
  mbedtls_mpi_init(&d);
  mbedtls_mpi_init(&r);
  mbedtls_mpi_init(&s);
  std::string digest = unhex(sha256(payload.data(), payload.size())), signature(64, 0);
  auto *to = reinterpret_cast<unsigned char *>(signature.data());
  if (mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) != 0 ||
      mbedtls_mpi_read_binary(&d, u(scalar_), 32) != 0 ||
      mbedtls_ecdsa_sign_det_ext(&group, &r, &s, &d, u(digest), 32, MBEDTLS_MD_SHA256, entropy, nullptr) != 0 ||
      mbedtls_mpi_write_binary(&r, to, 32) != 0 || mbedtls_mpi_write_binary(&s, to + 32, 32) != 0) {
    throw std::runtime_error("cannot sign");
  }
  mbedtls_mpi_free(&d);
  mbedtls_mpi_free(&r);
  mbedtls_mpi_free(&s);
  mbedtls_ecp_group_free(&group);
  return signature;
}

std::string Signer::kid() const { return sha256(point_.data(), point_.size()).substr(0, 16); }

std::string base64(const std::string &bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, 0);
  size_t size = 0;
  mbedtls_base64_encode(reinterpret_cast<unsigned char *>(text.data()), text.size(), &size, u(bytes), bytes.size());
  text.resize(size);
  return text;
}

std::string hmac(const std::string &key, const std::string &text) {
  std::string mac(32, 0);
  mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), u(key), key.size(), u(text), text.size(),
                  reinterpret_cast<unsigned char *>(mac.data()));
  return hex(mac);
}

const Signer &first_key() {
  static const Signer key(sha256("first", 5));
  return key;
}
const Signer &second_key() {
  static const Signer key(sha256("second", 6));
  return key;
}
const Signer &new_key() {
  static const Signer key(sha256("new", 3));
  return key;
}

Bytes image(unsigned seed, size_t size) {
  Bytes bytes(size);
  std::mt19937 generator(seed);
  // No 0xff: the flash tells from that whether a byte was written twice.
  for (uint8_t &b : bytes) b = uint8_t(generator() % 255);
  bytes[0] = 0xe9;
  for (int i = 0; i < 3; i++) bytes[1 + i] = uint8_t(size >> (8 * i));
  return bytes;
}

Server::Server() = default;

void Server::give(Machine &m) {
  machine = &m;
  auto &v = m.storage.values;
  v["server"] = "http://flota.local:8081";
  v["workspace"] = "ws1";
  v["device"] = "dev1";
  v["product_id"] = "bot_001";
  v["key"] = kKey;
  v["board"] = "flota:virtual:esp32";
  v["keys"] = first_key().point() + second_key().point();
  m.wire.server = [this](const std::string &raw) { return handle(raw); };
}

std::string Server::statement(const Deployment &d) const {
  nlohmann::json payload = {
      {"format", d.format},
      {"workspace", d.workspace},
      {"target", {{"device", d.device}}},
      {"board", d.board},
      {"release", "r1"},
      {"version", d.version},
      {"deployment", d.number},
      {"security_version", d.security_version},
      {"parts", {{{"kind", d.kind}, {"path", ""}, {"offset", 0}, {"size", d.size}, {"sha256", d.sha256}}}}};
  if (!d.keys.empty()) payload["keys"] = {base64(d.keys)};
  std::string text = payload.dump();
  const Signer &signer = d.signer == nullptr ? first_key() : *d.signer;
  return nlohmann::json({{"payload", base64(text)}, {"kid", signer.kid()}, {"sig", base64(signer.sign(text))}}).dump();
}

void Server::want(long long n, const Bytes &bytes, const std::function<void(Deployment &)> &change) {
  Deployment d;
  d.number = n;
  d.size = bytes.size();
  d.sha256 = sha256(bytes);
  if (change) change(d);
  number = n;
  image = bytes;
  offer = statement(d);
  if (machine != nullptr) machine->known[sha256(bytes)] = d.version;
}

Served Server::plain(int status, const std::string &headers, const std::string &body) {
  Served s;
  s.answer = "HTTP/1.1 " + std::to_string(status) + " X\r\n" + headers;
  if (!body.empty() || status != 204) s.answer += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  s.answer += "\r\n" + body;
  return s;
}

Served Server::answer(const Request &r, int status, const std::string &body, bool mac, const std::string &extra) const {
  bool poll = r.path == "/d/v1/update";
  std::string interval = poll ? std::to_string(poll_s) : "";
  std::string etag = poll && number > 0 ? "\"" + std::to_string(number) + "\"" : "";
  std::string headers = extra;
  if (!interval.empty()) headers += "X-Flota-Poll: " + interval + "\r\n";
  if (!etag.empty()) headers += "ETag: " + etag + "\r\n";
  if (mac) {
    std::string text = "flota1-answer\n" + r.get("x-flota-nonce") + "\n" + std::to_string(status) + "\n" + interval +
                       "\n" + etag + "\n" + sha256(body.data(), body.size());
    headers += "X-Flota-Mac: " + hmac(k(), text) + "\r\n";
  }
  return plain(status, headers, body);
}

Served Server::handle(const std::string &raw) {
  Request r;
  size_t end = raw.find("\r\n\r\n"), at = raw.find("\r\n");
  if (end == std::string::npos) throw std::logic_error("no request: " + raw);
  std::string line = raw.substr(0, at);
  r.method = line.substr(0, line.find(' '));
  r.path = line.substr(r.method.size() + 1, line.rfind(' ') - r.method.size() - 1);
  while (at < end) {
    size_t next = raw.find("\r\n", at + 2);
    std::string header = raw.substr(at + 2, next - at - 2);
    size_t colon = header.find(": ");
    std::string name = header.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    r.header[name] = header.substr(colon + 2);
    at = next;
  }
  r.body = raw.substr(end + 4);
  requests.push_back(r);
  if (down) {
    Served nothing;
    return nothing;
  }
  Served instead;
  if (before && before(r, instead)) return instead;

  if (r.path.rfind("/d/v1/image/", 0) == 0) {
    images++;
    if (r.path != "/d/v1/image/t" + std::to_string(link_version)) return plain(403, "", "{\"code\":\"expired\"}");
    size_t from = 0;
    std::string range = r.get("range");
    if (!range.empty()) from = std::stoul(range.substr(6));
    if (from >= image.size()) return plain(416);
    std::string body(image.begin() + long(from), image.end());
    image_bytes += body.size();
    std::string headers = "ETag: \"" + sha256(image) + "\"\r\nx-MD5: 00000000000000000000000000000000\r\n";
    if (from == 0) return plain(200, headers, body);
    return plain(206,
                 headers + "Content-Range: bytes " + std::to_string(from) + "-" + std::to_string(image.size() - 1) +
                     "/" + std::to_string(image.size()) + "\r\n",
                 body);
  }

  // A signed request.
  std::string key_id = sha256(("flota-key-id\n" + k()).data(), 13 + 32).substr(0, 32);
  std::string mac = hmac(k(), "flota1-request\n" + r.method + "\n" + r.path + "\n" + r.get("x-flota-nonce") + "\n" +
                                  r.get("x-flota-time") + "\n" + r.get("x-flota-running") + "\n" +
                                  r.get("if-none-match") + "\n" + sha256(r.body.data(), r.body.size()));
  if (r.get("authorization") != "Flota1 " + key_id + ":" + mac) return plain(401, "", "{\"code\":\"unknown\"}");
  long long now = clock + (long long)(machine->power.now / 1000);
  if (std::llabs(std::stoll(r.get("x-flota-time")) - now) > 300) {
    clocks++;
    return plain(401, "X-Flota-Clock: " + std::to_string(now) + "\r\n", "{\"code\":\"clock\"}");
  }
  std::string nonce = r.get("x-flota-nonce");
  if (std::find(nonces.begin(), nonces.end(), nonce) != nonces.end()) throw std::logic_error("a nonce was used twice");
  nonces.push_back(nonce);
  if (nonces.size() > 64) nonces.erase(nonces.begin());

  if (r.path == "/d/v1/report") {
    auto body = nlohmann::json::parse(r.body);
    std::string text = body["state"];
    if (body.contains("reason")) text += " " + std::string(body["reason"]);
    reports.push_back(text);
    bodies.push_back(r.body);
    return answer(r, 204, "");
  }
  if (r.path != "/d/v1/update") return plain(404);
  polls++;
  std::string etag = r.get("if-none-match");
  bool same = etag == "\"" + std::to_string(number) + "\"";
  if (number == 0 || same) return answer(r, etag.empty() ? 204 : 304, "");
  if (etag.empty() && r.get("x-flota-running") == sha256(image)) return answer(r, 204, "");
  return answer(r, 200, "{\"statement\":" + offer + ",\"link\":\"/d/v1/image/t" + std::to_string(link_version) + "\"}");
}

}  // namespace test
