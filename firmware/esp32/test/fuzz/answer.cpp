// Answers of a server, byte by byte whatever they are: to a poll, which must not count as
// a check-in, and to a download, which must not be started.
#include <cstdio>

#include "fuzz/believing.h"
#include "server.h"

using namespace flota;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const test::Bytes old = test::image(1, 5000), next = test::image(2, 6000);
  static test::Machine &m = *new test::Machine;
  static test::Server &server = *new test::Server;
  if (m.agent() == nullptr) {
    server.give(m);
    m.flash.flash(0, old);
    m.known[test::sha256(old)] = "old";
    m.run(10'000);
    server.want(7, next);
    m.known.erase(test::sha256(next));  // the machine throws where it is started
  }
  std::string answer(reinterpret_cast<const char *>(data), size);
  bool image = size > 0 && data[size - 1] % 2 == 0;
  server.number = image ? 7 : 0;
  server.requests.clear();
  server.before = [&](const test::Request &r, test::Served &s) {
    if ((r.path.rfind("/d/v1/image", 0) == 0) != image) return false;
    s.answer = answer;
    s.piece = 1 + size % 700;
    return true;
  };
  uint32_t before = m.agent()->checkins();
  m.agent()->check();
  m.run(2'000);
  if (!image) require(m.agent()->checkins() == before);
  require(m.starts.size() == 1);
  // The next input finds it as it was.
  for (const char *key : {"accepted", "decided", "t.fetch", "t.offset", "t.reports"}) m.storage.values.erase(key);
  m.agent()->changed();
  m.run(100);
  return 0;
}
