// Statements and offers: whatever is signed, and whatever comes instead.
#include "statement.h"

#include "fuzz/believing.h"
#include "json.h"

using namespace flota;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<char> body(data, data + size);
  Offer offer;
  if (parse_offer(body.data(), size, &offer)) {
    require(valid_link(offer.link));
    require(offer.payload_size <= size);
  }

  std::vector<char> payload(data, data + size);
  offer.payload = payload.data();
  offer.payload_size = size;
  offer.kid = "0000000000000000";
  offer.whole_signature = true;
  Believing crypto;
  TrustedKeys keys = {};
  keys.count = 1;
  char groups[] = "[\"greenhouse\",\"\\u0061\"]";
  Knowledge device;
  device.workspace = "d2k1v0h5q8s0c7a1b2c3";
  device.device = "d2k1v1p5q8s0c7a1b2d0";
  device.board = "flota:virtual:esp32";
  device.groups = groups;
  device.groups_size = strlen(groups);
  device.keys = &keys;
  device.accepted = 1795312700;
  device.security_version = 3;
  device.room.slot = 1310720;
  device.room.filesystem = size % 2 == 0 ? 1048576 : -1;
  device.room.files = size % 3 == 0 ? 65536 : -1;
  Statement s;
  Reason reason = check(crypto, offer, device, &s);
  require(s.deployment >= 0 && s.deployment <= kMaxNumber && s.count <= kMaxParts);
  if (reason != Reason::none) return 0;
  require(size <= kMaxPayload && s.deployment >= device.accepted && s.security_version >= 3 && s.count > 0);
  int64_t files = 0;
  for (uint8_t i = 0; i < s.count; i++) {
    const Part &p = s.parts[i];
    bool file = p.kind == Part::Kind::file;
    require(p.size >= 0 && (file || p.size > 0) && (!file || valid_path(p.path)) && valid_utf8(p.path));
    if (p.kind == Part::Kind::app) require(i == 0 && p.size <= device.room.slot);
    if (p.kind == Part::Kind::filesystem) require(p.offset >= 0 && p.offset + p.size <= device.room.filesystem);
    if (file || p.kind == Part::Kind::index) files += p.size;
  }
  require(files == 0 || files <= device.room.files);
  return 0;
}
