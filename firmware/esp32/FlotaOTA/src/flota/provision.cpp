#include "provision.h"

#include "json.h"
#include "settings.h"
#include "sign.h"

namespace flota {

namespace {

constexpr size_t kMaxGroupCount = 8;
constexpr const char *kNoJson = "This is no JSON.";
constexpr const char *kNoNetworks =
    "The networks must be at most 4, each an SSID of 1 to 32 bytes and a password of 8 to 63, or none.";
// All networks as JSON: each byte of a name may take six characters.
constexpr size_t kWifiText = kMaxNetworks * (6 * (32 + 64) + 28) + 3;

const char *const kGiven[] = {key::server, key::workspace, key::device, key::product_id, key::board,
                              key::groups, key::ca,        key::wifi,   key::keys,       key::key};
const char *const kKept[] = {key::accepted, key::decided, key::secversion, key::fetch,
                             key::offset,   key::trial,   key::running,    key::reports};

bool id_character(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool name_character(char c) { return id_character(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-'; }
bool graphic(char c) { return c > ' ' && c <= '~'; }
bool not_nul(char c) { return c != 0; }
bool hex_character(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool between(Text text, size_t least, size_t most) { return text.size >= least && text.size <= most; }

bool valid_ssid(Text ssid) { return between(ssid, 1, 32) && ssid.consists_of(not_nul); }

// A passphrase or a key, as in IEEE 802.11i, annex H.4.
bool valid_password(Text password) {
  if (password.size == 64) return password.consists_of(hex_character);
  return password.empty() || (between(password, 8, 63) && password.consists_of(not_nul));
}

bool valid_certificate(Text ca) {
  const Text begin("-----BEGIN CERTIFICATE-----"), end("-----END CERTIFICATE-----");
  while (!ca.empty() && strchr(" \t\r\n", ca.data[ca.size - 1])) ca.size--;
  return ca.size <= kMaxValue && ca.starts(begin) && ca.size > begin.size + end.size &&
         Text(ca.data + ca.size - end.size, end.size) == end && ca.consists_of(not_nul);
}

// read_wifi reads an array of networks, to its end. It returns their number, or -1 when one of them is none.
int read_wifi(Json *json, Wifi *networks) {
  if (!json->array()) return -1;
  int count = 0;
  bool right = true;
  for (; json->element(); count++) {
    Text ssid, password;
    bool texts = json->object(), object = texts;
    for (Text name; object && json->member(&name);) {
      if (name == "ssid") {
        texts = json->text(&ssid) && texts;
      } else if (name == "password") {
        texts = json->text(&password) && texts;
      } else {
        json->skip();
      }
    }
    right = right && count < int(kMaxNetworks) && texts && valid_ssid(ssid) && valid_password(password);
    if (!right) continue;
    copy(ssid, networks[count].ssid, sizeof networks->ssid);
    copy(password, networks[count].password, sizeof networks->password);
  }
  return right ? count : -1;
}

// Array writes a JSON array.
class Array {
 public:
  explicit Array(char *room) : begin_(room), at_(room) {}
  char *next() {
    char separator = at_ == begin_ ? '[' : ',';
    *at_++ = separator;
    return at_;
  }
  void wrote(size_t size) { at_ += size; }
  size_t finish() {
    if (at_ == begin_) *at_++ = '[';
    *at_++ = ']';
    return size_t(at_ - begin_);
  }

 private:
  char *const begin_;
  char *at_;
};

size_t write_wifi(const Wifi *networks, size_t count, char *room) {
  Array array(room);
  for (size_t i = 0; i < count; i++) {
    char *at = array.next();
    JsonObject object(at, kWifiText - 2 - size_t(at - room));
    array.wrote(object.add("ssid", networks[i].ssid).add("password", networks[i].password).finish());
  }
  return array.finish();
}

}  // namespace

bool provisioned(Storage &storage) {
  char text[kMaxName + 1];
  TrustedKeys keys;
  const char *const needed[] = {key::server, key::workspace, key::device, key::board, key::key};
  for (const char *name : needed) {
    if (get_text(storage, name, text, sizeof text) <= 0) return false;
  }
  bool valid = valid_key(text);
  wipe(text, sizeof text);
  return valid && get_keys(storage, &keys);
}

bool forget(Storage &storage) {
  bool done = storage.erase(key::key);  // the first, so that half of it is nothing
  for (const char *name : kGiven) done = storage.erase(name) && done;
  for (const char *name : kKept) done = storage.erase(name) && done;
  return done;
}

size_t get_wifi(Storage &storage, Wifi networks[kMaxNetworks]) {
  char text[kWifiText + 1];
  int size = get_text(storage, key::wifi, text, sizeof text);
  if (size <= 0) return 0;
  Json json(text, size_t(size));
  int count = read_wifi(&json, networks);
  wipe(text, sizeof text);
  return count > 0 ? size_t(count) : 0;
}

bool put_wifi(Storage &storage, const Wifi *networks, size_t count) {
  if (count > kMaxNetworks) return false;
  for (size_t i = 0; i < count; i++) {
    if (!valid_ssid(networks[i].ssid) || !valid_password(networks[i].password)) return false;
  }
  char text[kWifiText + 1];
  bool done = storage.put(key::wifi, text, write_wifi(networks, count, text));
  wipe(text, sizeof text);
  return done;
}

// Given is what a line "provision" brings. Its texts lie in the line.
struct Dialogue::Given {
  Text server, workspace, device, product_id, board, ca, key_text;
  bool ca_is_text = true;
  char key[kKeyLength + 1] = "";
  TrustedKeys keys;
  bool keys_right = true;
  char groups[kMaxGroupCount][kMaxId + 1];
  int group_count = 0;  // -1: they are wrong
  Wifi wifi[kMaxNetworks];
  int wifi_count = 0;  // -1: they are wrong
  ~Given() {
    wipe(key, sizeof key);
    wipe(wifi, sizeof wifi);
  }
};

void Dialogue::step() {
  uint8_t data[64];
  for (int n; (n = machine_.cable.read(data, sizeof data)) > 0;) receive(data, size_t(n));
}

void Dialogue::receive(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (data[i] != '\n') {
      if (size_ < kMaxLine) {
        room_[size_++] = char(data[i]);
      } else {
        too_long_ = true;
      }
      continue;
    }
    if (size_ > 0 && room_[size_ - 1] == '\r') size_--;
    line(size_);
    wipe(room_, size_);
    size_ = 0;
    too_long_ = false;
  }
}

void Dialogue::line(size_t size) {
  if (size == 0 || room_[0] != '{') return;
  Json json(room_, size);
  Text name, word;
  if (!json.object() || !json.member(&name) || name != "flota" || json.peek() != Json::Kind::text) return;
  if (too_long_) return error("invalid", "", "The line is too long.");
  if (!json.text(&word)) return;
  command(word, &json);
}

void Dialogue::command(Text word, Json *json) {
  if (word == "provision") return provision(json);
  if (word == "wifi") return wifi(json);
  for (Text name; json->member(&name);) json->skip();
  if (!json->finish()) return error("invalid", "", kNoJson);
  if (word == "hello") return hello();
  if (word == "status") return status();
  if (word == "erase") return erase();
  error("invalid", "flota", "There is no such command.");
}

void Dialogue::hello() {
  char room[512], board[kMaxName + 1];
  JsonObject object(room, sizeof room);
  get_text(machine_.storage, key::board, board, sizeof board);
  object.add("flota", "hello").add("agent", kAgent).add("chip", machine_.board.chip()).add("mac", machine_.board.mac());
  object.add("board", board).add("slot_size", int64_t(machine_.slots.size()));
  object.add("rollback", machine_.slots.rollback());
  object.add("provisioned", flota::provisioned(machine_.storage));
  answer(&object);
}

void Dialogue::status() {
  char room[384], address[48] = "";
  JsonObject object(room, sizeof room);
  ServerStatus status = device_.status();
  machine_.network.address(address, sizeof address);
  object.add("flota", "status").add("network", machine_.network.state()).add("ip", address);
  object.add("rssi", int64_t(machine_.board.rssi())).add("server", status.server);
  object.add("deployment", status.deployment).add("version", status.version);
  answer(&object);
}

void Dialogue::erase() {
  device_.changed();
  bool done = forget(machine_.storage);
  device_.changed();
  machine_.network.reload();
  if (!done) return error("storage", "", "The storage could not be erased.");
  char room[32];
  JsonObject object(room, sizeof room);
  object.add("flota", "erased");
  answer(&object);
}

void Dialogue::wifi(Json *json) {
  Wifi networks[kMaxNetworks];
  int count = -1;
  for (Text name; json->member(&name);) {
    if (name == "wifi") {
      count = read_wifi(json, networks);
    } else {
      json->skip();
    }
  }
  if (!json->finish()) {
    error("invalid", "", kNoJson);
  } else if (count < 0) {
    error("invalid", key::wifi, kNoNetworks);
  } else if (!flota::put_wifi(machine_.storage, networks, size_t(count))) {
    error("storage", "wifi", "It could not be stored.");
  } else {
    machine_.network.reload();
    char room[64];
    JsonObject object(room, sizeof room);
    object.add("flota", "wifi").add("networks", int64_t(count));
    answer(&object);
  }
  wipe(networks, sizeof networks);
}

// read takes the members of a line "provision"; false when it is no JSON. A member of
// another kind counts as empty.
bool Dialogue::read(Json *json, Given *g) {
  const struct {
    const char *name;
    Text *value;
  } texts[] = {{key::server, &g->server},         {key::workspace, &g->workspace}, {key::device, &g->device},
               {key::product_id, &g->product_id}, {key::board, &g->board},         {key::key, &g->key_text}};
  for (Text name, item; json->member(&name);) {
    if (name == key::keys) {
      bool array = json->array();
      g->keys.count = 0;
      g->keys_right = array;
      while (array && json->element()) {
        bool right = json->text(&item) && g->keys.count < 2 &&
                     unbase64(item, g->keys.key[g->keys.count], kPoint) == int(kPoint) &&
                     machine_.crypto.point(g->keys.key[g->keys.count]);
        if (right) g->keys.count++;
        g->keys_right = g->keys_right && right;
      }
    } else if (name == key::groups) {
      bool array = json->array();
      g->group_count = array ? 0 : -1;
      while (array && json->element()) {
        bool right = json->text(&item) && g->group_count >= 0 && g->group_count < int(kMaxGroupCount) &&
                     between(item, 1, kMaxId) && item.consists_of(not_nul);
        if (right) copy(item, g->groups[g->group_count], sizeof g->groups[0]);
        g->group_count = right ? g->group_count + 1 : -1;
      }
    } else if (name == key::wifi) {
      g->wifi_count = read_wifi(json, g->wifi);
    } else if (name == key::ca) {
      g->ca_is_text = json->text(&g->ca);
    } else {
      Text *value = nullptr;
      for (const auto &text : texts) {
        if (name == text.name) value = text.value;
      }
      if (value != nullptr) {
        json->text(value);
      } else {
        json->skip();
      }
    }
  }
  return json->finish();
}

void Dialogue::provision(Json *json) {
  Given g;
  Origin origin;
  if (!read(json, &g)) return error("invalid", "", kNoJson);
  if (!parse_origin(g.server, &origin)) {
    return error("invalid", key::server, "The server must be an origin like http://flota.local:8081.");
  }
  if (!between(g.workspace, 1, kMaxId) || !g.workspace.consists_of(id_character)) {
    return error("invalid", key::workspace, "The workspace must have 1 to 64 of a-z and 0-9.");
  }
  if (!between(g.device, 1, kMaxId) || !g.device.consists_of(id_character)) {
    return error("invalid", key::device, "The device must have 1 to 64 of a-z and 0-9.");
  }
  if (!between(g.product_id, 1, kMaxId) || !g.product_id.consists_of(name_character)) {
    return error("invalid", key::product_id, "The product ID must have 1 to 64 of A-Z, a-z, 0-9, dot, _ and -.");
  }
  if (!valid_key(g.key_text)) return error("invalid", key::key, "This is no device key.");
  if (!g.keys_right || g.keys.count == 0 || (g.keys.count == 2 && memcmp(g.keys.key[0], g.keys.key[1], kPoint) == 0)) {
    return error("invalid", key::keys, "The keys must be one or two public signing keys, different ones.");
  }
  if (!between(g.board, 1, kMaxName) || !g.board.consists_of(graphic)) {
    return error("invalid", key::board, "The board must have 1 to 128 printable characters without spaces.");
  }
  if (g.group_count < 0) return error("invalid", key::groups, "The groups must be at most 8 names of 1 to 64 bytes.");
  if (!g.ca_is_text || (!g.ca.empty() && !valid_certificate(g.ca))) {
    return error("invalid", key::ca, "This is no certificate in PEM of at most 3999 bytes.");
  }
  if (g.wifi_count < 0) return error("invalid", key::wifi, kNoNetworks);
  copy(g.key_text, g.key, sizeof g.key);
  device_.changed();  // what is under way for who it was before ends here
  const char *failed = store(g);
  device_.changed();
  machine_.network.reload();
  if (failed != nullptr) return error("storage", failed, "It could not be stored.");
  char room[128], device[kMaxId + 1];
  get_text(machine_.storage, key::device, device, sizeof device);
  JsonObject object(room, sizeof room);
  object.add("flota", "provisioned").add("device", device);
  answer(&object);
}

// store writes everything, and the key last: a device that lost its power in between
// was given nothing, and waits for the cable. It returns the field that could not be stored.
const char *Dialogue::store(const Given &g) {
  Storage &storage = machine_.storage;
  char workspace[kMaxId + 1], device[kMaxId + 1];
  bool same = get_text(storage, key::workspace, workspace, sizeof workspace) > 0 && g.workspace == workspace &&
              get_text(storage, key::device, device, sizeof device) > 0 && g.device == device;
  if (!storage.erase(key::key)) return key::key;
  for (const char *name : kKept) {
    if (!same && !storage.erase(name)) return name;
  }
  const struct {
    const char *name;
    Text value;
  } texts[] = {{key::server, g.server},         {key::workspace, g.workspace}, {key::device, g.device},
               {key::product_id, g.product_id}, {key::board, g.board},         {key::ca, g.ca}};
  for (const auto &text : texts) {
    bool done = text.value.empty() ? storage.erase(text.name) : put(text.name, text.value.data, text.value.size);
    if (!done) return text.name;
  }
  if (!put(key::keys, g.keys.key, g.keys.count * kPoint)) return key::keys;
  if (!put_groups(g)) return key::groups;
  if (!put_wifi(g)) return key::wifi;
  return put(key::key, g.key, kKeyLength) ? nullptr : key::key;
}

// put writes a value and reads it back. MACs stand for the two, so that no second
// buffer of the value's size is needed.
bool Dialogue::put(const char *key, const void *value, size_t size) {
  static const uint8_t zeros[32] = {};
  uint8_t before[32], after[32];
  machine_.crypto.hmac_sha256(zeros, value, size, before);
  if (!machine_.storage.put(key, value, size)) return false;
  if (machine_.storage.get(key, const_cast<void *>(value), size) != int(size)) return false;
  machine_.crypto.hmac_sha256(zeros, value, size, after);
  return same(before, after, sizeof before);
}

// These two are composed where the line was, which is not needed any more.
bool Dialogue::put_wifi(const Given &g) {
  if (g.wifi_count == 0) return machine_.storage.erase(key::wifi);
  return put(key::wifi, room_, write_wifi(g.wifi, size_t(g.wifi_count), room_));
}

bool Dialogue::put_groups(const Given &g) {
  if (g.group_count == 0) return machine_.storage.erase(key::groups);
  Array array(room_);
  for (int i = 0; i < g.group_count; i++) {
    char *at = array.next();
    array.wrote(quote(g.groups[i], at));
  }
  size_t size = array.finish();
  return size <= kMaxGroups && put(key::groups, room_, size);
}

void Dialogue::error(const char *code, const char *field, const char *message) {
  char room[256];
  JsonObject object(room, sizeof room);
  object.add("flota", "error").add("code", code).add("field", field).add("message", message);
  answer(&object);
}

void Dialogue::answer(JsonObject *object) {
  size_t size = object->finish();
  const char *text = object->text();
  if (size > 0) machine_.cable.write(text, size);
  machine_.cable.write("\n", 1);
}

}  // namespace flota
