// The signed statement, and a device's decision about one: all of the protocol's
// rules in the protocol's order ("The signed statement").
#pragma once

#include "names.h"
#include "ports.h"
#include "reason.h"
#include "text.h"

namespace flota {

// Offer is the body of an answer 200 to a poll. Its texts lie in the body.
struct Offer {
  char *payload = nullptr;  // the bytes that were signed
  size_t payload_size = 0;
  Text kid;
  uint8_t signature[64];
  bool whole_signature = false;  // it had 64 bytes
  Text link;
};

// parse_offer reads a body in place. False when it is not of the protocol's form.
bool parse_offer(char *body, size_t size, Offer *offer);

struct Part {
  enum class Kind : uint8_t { app, file, filesystem, index };
  Kind kind = Kind::app;
  Text path;
  int64_t offset = 0;
  int64_t size = 0;
  uint8_t sha256[kDigest];
};

// TrustedKeys are the one or two signing keys that a device believes.
struct TrustedKeys {
  uint8_t key[2][kPoint];
  uint8_t count = 0;
};

// Room is how large what may be, in bytes; -1 where this device has no such thing.
struct Room {
  int64_t slot = -1;
  int64_t filesystem = -1;
  int64_t files = -1;  // all of them together, those of an index, too
};

// Knowledge is what a device knows when it decides.
struct Knowledge {
  Text workspace, device, board;
  char *groups = nullptr;  // a JSON array of names, which is decoded in place
  size_t groups_size = 0;
  const TrustedKeys *keys = nullptr;
  int64_t accepted = 0;
  int64_t security_version = 0;
  Room room;
};

// Statement lies in the payload, which was decoded in place.
struct Statement {
  int64_t deployment = 0;  // 0: there is no number to be believed
  int64_t security_version = 0;
  Text version;
  Part parts[kMaxParts];
  uint8_t count = 0;
  bool new_keys = false;  // keys are others once the statement is accepted
  TrustedKeys keys;
};

// check decides. Where it refuses, the statement's deployment is to be remembered as
// decided unless it is 0.
Reason check(Crypto &crypto, const Offer &offer, const Knowledge &device, Statement *statement);

// valid_path tells whether a file may have this path.
bool valid_path(Text path);

// valid_link tells whether a text can be a link: a path of the same server, shorter than 200 characters.
bool valid_link(Text link);

}  // namespace flota
