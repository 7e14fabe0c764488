#include "statement.h"

#include "index.h"
#include "json.h"
#include "sign.h"

namespace flota {

namespace {

// Fields notes which members of an object were there.
class Fields {
 public:
  // once is false for a member that is there a second time.
  bool once(uint8_t field) {
    uint32_t bit = uint32_t(1) << field;
    bool first = (seen_ & bit) == 0;
    seen_ |= bit;
    return first;
  }

 private:
  uint32_t seen_ = 0;
};

// Reader reads a payload to its end even where a field is wrong: the number of a
// statement that is refused is remembered, and it may stand last.
class Reader {
 public:
  Reader(Crypto &crypto, char *payload, size_t size, Statement *statement)
      : crypto_(crypto), json_(payload, size), s_(*statement) {}

  // read returns false when a field does not keep to its form.
  bool read();

  Text workspace, target_device, target_group, board;
  uint8_t new_key[kPoint];
  bool has_key = false;

 private:
  void member(Text name, Fields *fields);
  void target();
  void parts();
  void part(Part *part, bool first);
  void keys();
  void text(Text *value) { good_ = optional() || json_.text(value) ? good_ : false; }
  void number(int64_t *value, int64_t low) {
    if (optional()) return;
    if (!json_.number(value) || *value < low || *value > kMaxNumber) good_ = false;
  }
  // optional passes over null, which is like a missing field.
  bool optional() {
    if (json_.peek() != Json::Kind::null) return false;
    json_.skip();
    return true;
  }

  Crypto &crypto_;
  Json json_;
  Statement &s_;
  int64_t format_ = 0;
  bool good_ = true;
};

bool Reader::read() {
  Fields fields;
  if (!json_.object()) return false;
  for (Text name; json_.member(&name);) member(name, &fields);
  if (!json_.finish()) {
    s_.deployment = 0;
    return false;
  }
  if (s_.deployment < 1 || s_.deployment > kMaxNumber) {
    s_.deployment = 0;
    return false;
  }
  return good_ && format_ == 1 && !workspace.empty() && !board.empty() &&
         target_device.empty() != target_group.empty() && s_.count > 0;
}

void Reader::member(Text name, Fields *fields) {
  static const char *const names[] = {"format",  "workspace",  "target",           "board", "release",
                                      "version", "deployment", "security_version", "parts", "keys"};
  uint8_t field = 0;
  while (field < sizeof names / sizeof *names && name != names[field]) field++;
  if (field == sizeof names / sizeof *names) return json_.skip();
  if (!fields->once(field)) {
    good_ = false;
    if (field == 6) s_.deployment = -1;
    return json_.skip();
  }
  Text ignored;
  switch (field) {
    case 0:
      return number(&format_, 0);
    case 1:
      return text(&workspace);
    case 2:
      return target();
    case 3:
      return text(&board);
    case 4:
      return text(&ignored);
    case 5:
      return text(&s_.version);
    case 6:
      return number(&s_.deployment, 1);
    case 7:
      return number(&s_.security_version, 0);
    case 8:
      return parts();
    default:
      return keys();
  }
}

void Reader::target() {
  if (optional()) return;
  Fields fields;
  if (!json_.object()) {
    good_ = false;
    return;
  }
  for (Text name; json_.member(&name);) {
    bool device = name == "device";
    if (!device && name != "group") {
      json_.skip();
    } else if (fields.once(device)) {
      text(device ? &target_device : &target_group);
    } else {
      good_ = false;
      json_.skip();
    }
  }
}

void Reader::parts() {
  if (optional()) return;
  if (!json_.array()) {
    good_ = false;
    return;
  }
  while (json_.element()) {
    if (s_.count < kMaxParts) {
      part(&s_.parts[s_.count], s_.count == 0);
      s_.count++;
    } else {
      good_ = false;
      json_.skip();
    }
  }
  for (uint8_t i = 0; i < s_.count; i++) {
    const Part &p = s_.parts[i];
    if (p.kind == Part::Kind::index && i + 1 < s_.count) good_ = false;
    for (uint8_t j = 0; p.kind == Part::Kind::file && j < i; j++) {
      if (s_.parts[j].kind == Part::Kind::file && s_.parts[j].path == p.path) good_ = false;
    }
  }
}

void Reader::part(Part *part, bool first) {
  static const char *const names[] = {"kind", "path", "offset", "size", "sha256"};
  static const char *const kinds[] = {"app", "file", "filesystem", "index"};
  Fields fields;
  if (!json_.object()) {
    good_ = false;
    return;
  }
  Text kind, sha256;
  for (Text name; json_.member(&name);) {
    uint8_t field = 0;
    while (field < sizeof names / sizeof *names && name != names[field]) field++;
    if (field == sizeof names / sizeof *names) {
      json_.skip();
    } else if (!fields.once(field)) {
      good_ = false;
      json_.skip();
    } else if (field == 0) {
      text(&kind);
    } else if (field == 1) {
      text(&part->path);
    } else if (field == 2) {
      number(&part->offset, 0);
    } else if (field == 3) {
      number(&part->size, 0);
    } else {
      text(&sha256);
    }
  }
  uint8_t k = 0;
  while (k < sizeof kinds / sizeof *kinds && kind != kinds[k]) k++;
  if (k == sizeof kinds / sizeof *kinds) {
    good_ = false;
    return;
  }
  part->kind = Part::Kind(k);
  bool file = part->kind == Part::Kind::file;
  good_ = good_ && (part->kind != Part::Kind::app || first) && (file ? valid_path(part->path) : part->path.empty()) &&
          (part->kind == Part::Kind::filesystem || part->offset == 0) && (file || part->size > 0) &&
          (part->kind != Part::Kind::index || part->size <= int64_t(kMaxIndex)) && unhex(sha256, part->sha256, kDigest);
}

void Reader::keys() {
  if (optional()) return;
  if (!json_.array()) {
    good_ = false;
    return;
  }
  while (json_.element()) {
    Text key;
    bool right =
        json_.text(&key) && !has_key && unbase64(key, new_key, kPoint) == int(kPoint) && crypto_.point(new_key);
    has_key = true;
    if (!right) good_ = false;
  }
}

bool member_of(char *groups, size_t size, Text name) {
  if (groups == nullptr) return false;
  Json json(groups, size);
  bool found = false;
  if (json.array()) {
    for (Text group; json.element();) found = (json.text(&group) && group == name) || found;
  }
  return json.finish() && found;
}

// fits tells whether there is room; for what the device has no such thing, there is none, be it empty.
bool fits(const Statement &s, const Room &room) {
  int64_t files = 0;
  for (uint8_t i = 0; i < s.count; i++) {
    const Part &p = s.parts[i];
    switch (p.kind) {
      case Part::Kind::app:
        if (p.size > room.slot) return false;
        break;
      case Part::Kind::filesystem:
        if (p.offset > room.filesystem || p.size > room.filesystem - p.offset) return false;
        break;
      default:  // files, and the list of more of them
        if (p.size > room.files - files) return false;
        files += p.size;
    }
  }
  return true;
}

// signer is the trusted key that a signature is by, or -1.
int signer(Crypto &crypto, const Offer &offer, const TrustedKeys &keys) {
  if (!offer.whole_signature) return -1;
  uint8_t digest[kDigest];
  crypto.sha256_begin();
  crypto.sha256_add(offer.payload, offer.payload_size);
  crypto.sha256_end(digest);
  for (uint8_t i = 0; i < keys.count; i++) {
    char kid[17];
    key_name(crypto, keys.key[i], kid);
    if (offer.kid == kid && crypto.verify(keys.key[i], digest, offer.signature)) return i;
  }
  return -1;
}

bool link_character(char c) { return c > ' ' && c <= '~'; }

}  // namespace

bool valid_link(Text link) {
  return link.starts("/") && !link.starts("//") && link.size < kMaxPath && link.consists_of(link_character);
}

bool valid_path(Text path) {
  if (path.empty() || path.size > 128 || !valid_utf8(path)) return false;
  size_t segment = 0;  // where it begins
  for (size_t i = 0; i <= path.size; i++) {
    if (i < path.size && path.data[i] != '/') {
      uint8_t c = uint8_t(path.data[i]);
      // Control characters are those of Unicode's category Cc: U+0080 to U+009F, too.
      if (c < ' ' || c == 0x7f || c == '\\' || (c == 0xc2 && uint8_t(path.data[i + 1]) < 0xa0)) return false;
      continue;
    }
    Text name(path.data + segment, i - segment);
    if (name.empty() || name == "." || name == "..") return false;
    segment = i + 1;
  }
  return true;
}

bool parse_offer(char *body, size_t size, Offer *offer) {
  Json json(body, size);
  Text payload, signature;
  bool good = true;
  Fields fields;
  if (!json.object()) return false;
  for (Text name; json.member(&name);) {
    if (name == "link") {
      good = fields.once(0) && json.text(&offer->link) && good;
    } else if (name == "statement") {
      good = fields.once(1) && json.object() && good;
      if (!good) return false;
      while (json.member(&name)) {
        if (name == "payload") {
          good = fields.once(2) && json.text(&payload) && good;
        } else if (name == "kid") {
          good = fields.once(3) && json.text(&offer->kid) && good;
        } else if (name == "sig") {
          good = fields.once(4) && json.text(&signature) && good;
        } else {
          json.skip();
        }
        if (!good) return false;
      }
    } else {
      json.skip();
    }
    if (!good) return false;
  }
  if (!json.finish() || !valid_link(offer->link)) return false;
  uint8_t sig[68];
  int n = unbase64(signature, sig, sizeof sig);
  // A signature of another length is a wrong one; longer than the room it is as well.
  if (n < 0 && signature.size <= 88) return false;
  offer->whole_signature = n == int(sizeof offer->signature);
  if (offer->whole_signature) memcpy(offer->signature, sig, sizeof offer->signature);
  offer->payload = const_cast<char *>(payload.data);
  n = unbase64(payload, reinterpret_cast<uint8_t *>(offer->payload), payload.size);
  if (n < 0) return false;
  offer->payload_size = size_t(n);
  return true;
}

Reason check(Crypto &crypto, const Offer &offer, const Knowledge &device, Statement *s) {
  int by = signer(crypto, offer, *device.keys);
  if (by < 0) return Reason::signature;
  const uint8_t *signed_by = device.keys->key[by];
  Reader reader(crypto, offer.payload, offer.payload_size, s);
  if (!reader.read() || offer.payload_size > kMaxPayload) return Reason::format;
  if (reader.has_key && memcmp(reader.new_key, signed_by, kPoint) == 0) return Reason::format;
  bool target = reader.target_group.empty() ? reader.target_device == device.device
                                            : member_of(device.groups, device.groups_size, reader.target_group);
  if (reader.workspace != device.workspace || !target) return Reason::target;
  if (reader.board != device.board) return Reason::board;
  if (s->deployment < device.accepted) return Reason::replay;
  if (s->security_version < device.security_version) return Reason::downgrade;
  if (!fits(*s, device.room)) return Reason::too_large;
  if (reader.has_key) {
    s->new_keys = true;
    s->keys.count = 2;
    memcpy(s->keys.key[0], signed_by, kPoint);
    memcpy(s->keys.key[1], reader.new_key, kPoint);
  }
  return Reason::none;
}

}  // namespace flota
