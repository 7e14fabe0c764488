// A server in memory that speaks the device protocol, written apart from the code
// under test: MACs by mbedTLS' own HMAC, signatures by its own ECDSA.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "machine.h"

namespace test {

// A signing key, made from its scalar.
class Signer {
 public:
  explicit Signer(const std::string &scalar_hex);
  std::string sign(const std::string &payload) const;  // 64 bytes
  std::string point() const { return point_; }         // 65 bytes
  std::string kid() const;

 private:
  std::string scalar_, point_;
};

std::string base64(const std::string &bytes);
std::string hmac(const std::string &key, const std::string &text);  // hex

// Two keys that devices trust, and one that they do not yet.
const Signer &first_key();
const Signer &second_key();
const Signer &new_key();

struct Request {
  std::string method, path, body;
  std::map<std::string, std::string> header;  // lower-case names
  std::string get(const std::string &name) const {
    auto found = header.find(name);
    return found == header.end() ? "" : found->second;
  }
};

class Server {
 public:
  Server();

  // give writes into a machine's storage what a device is given, and connects it.
  void give(Machine &machine);

  // want deploys an image. change may alter the payload's fields before it is signed.
  struct Deployment {
    std::string workspace = "ws1", device = "dev1", board = "flota:virtual:esp32", version = "1.4.0", keys,
                kind = "app";
    long long number = 0, security_version = 0, format = 1;
    size_t size = 0;
    std::string sha256;
    const Signer *signer = nullptr;
  };
  void want(long long number, const Bytes &image, const std::function<void(Deployment &)> &change = nullptr);
  void want_nothing() { number = 0; }
  std::string statement(const Deployment &d) const;  // as in an answer

  Served handle(const std::string &raw);
  Served answer(const Request &r, int status, const std::string &body, bool mac = true,
                const std::string &extra = "") const;
  static Served plain(int status, const std::string &headers = "", const std::string &body = "");

  // before may answer instead; it is asked first.
  std::function<bool(const Request &, Served &)> before;

  Machine *machine = nullptr;
  long long number = 0;  // of the deployment; 0: none
  std::string offer;     // statement
  Bytes image;
  int poll_s = 60;
  long long clock = 1'800'000'000;  // at the machine's 0
  bool down = false;
  int link_version = 1;  // only the newest link is good

  std::vector<std::string> reports;  // "confirmed", "rolled_back crash"
  std::vector<std::string> bodies;   // of reports
  std::vector<Request> requests;
  int polls = 0, images = 0, clocks = 0;
  uint64_t image_bytes = 0;
  std::vector<std::string> nonces;
};

constexpr const char *kKey = "fk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

// image makes an image of a size; equal seeds give equal bytes.
Bytes image(unsigned seed, size_t size);

}  // namespace test
