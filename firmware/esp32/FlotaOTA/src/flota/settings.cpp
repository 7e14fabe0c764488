#include "settings.h"

namespace flota {

namespace {

bool host_character(char c) { return c > ' ' && c <= '~' && strchr("/\\?#@[]<>\"^`{|}%", c) == nullptr; }

}  // namespace

bool parse_origin(Text server, Origin *origin) {
  Text scheme("http://");
  origin->tls = server.starts("https://");
  if (origin->tls) scheme = Text("https://");
  if (!server.starts(scheme) || server.size > kMaxName) return false;
  Text rest(server.data + scheme.size, server.size - scheme.size);
  origin->authority = rest;
  origin->port = origin->tls ? 443 : 80;
  size_t end = 0;  // of the host
  if (rest.starts("[")) {
    const char *bracket = static_cast<const char *>(memchr(rest.data, ']', rest.size));
    if (bracket == nullptr) return false;
    origin->host = Text(rest.data + 1, size_t(bracket - rest.data) - 1);
    end = origin->host.size + 2;
    if (!origin->host.consists_of([](char c) { return c == ':' || c == '.' || strchr("0123456789abcdefABCDEF", c); }))
      return false;
  } else {
    while (end < rest.size && rest.data[end] != ':') end++;
    origin->host = Text(rest.data, end);
    if (!origin->host.consists_of(host_character)) return false;
  }
  if (origin->host.empty()) return false;
  if (end == rest.size) return true;
  int64_t port = rest.data[end] == ':' ? number(Text(rest.data + end + 1, rest.size - end - 1)) : -1;
  origin->port = uint16_t(port);
  return port > 0 && port <= UINT16_MAX;
}

int get_text(Storage &storage, const char *key, char *value, size_t room) {
  int size = storage.get(key, value, room - 1);
  value[size < 0 ? 0 : size] = 0;
  return size;
}

bool get_keys(Storage &storage, TrustedKeys *keys) {
  int size = storage.get(key::keys, keys->key, sizeof keys->key);
  keys->count = size > 0 && size % int(kPoint) == 0 ? uint8_t(size / int(kPoint)) : 0;
  return keys->count > 0;
}

bool put_keys(Storage &storage, const TrustedKeys &keys) {
  return storage.put(key::keys, keys.key, keys.count * kPoint);
}

bool Settings::load(Storage &storage, Crypto &crypto) {
  char key[kKeyLength + 1];
  Origin origin;
  Identity identity;
  int length = get_text(storage, key::key, key, sizeof key);
  bool good = length > 0 && valid_key(Text(key, size_t(length)));
  if (good) derive(crypto, Text(key, size_t(length)), &credential);
  wipe(key, sizeof key);
  return good && get_text(storage, key::server, server, sizeof server) > 0 && parse_origin(server, &origin) &&
         identity.load(storage);
}

bool Identity::load(Storage &storage) {
  if (get_text(storage, key::groups, groups, sizeof groups) < 0) groups[0] = 0;
  return get_text(storage, key::workspace, workspace, sizeof workspace) > 0 &&
         get_text(storage, key::device, device, sizeof device) > 0 &&
         get_text(storage, key::board, board, sizeof board) > 0 && get_keys(storage, &keys);
}

}  // namespace flota
