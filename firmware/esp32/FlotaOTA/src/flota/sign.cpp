#include "sign.h"

#include "names.h"

namespace flota {

namespace {

// Message collects what a MAC is over.
class Message {
 public:
  void add(Text text) {
    ok_ = ok_ && text.size <= sizeof room_ - size_;
    if (!ok_) return;
    memcpy(room_ + size_, text.data, text.size);
    size_ += text.size;
  }
  void line(Text text) {
    add(text);
    add("\n");
  }
  void body(Crypto &crypto, Text body) {
    uint8_t digest[kDigest];
    char text[2 * kDigest + 1];
    crypto.sha256_begin();
    crypto.sha256_add(body.data, body.size);
    crypto.sha256_end(digest);
    hex(digest, sizeof digest, text);
    add(text);
  }
  bool mac(Crypto &crypto, const uint8_t k[32], uint8_t mac[32]) const {
    if (ok_) crypto.hmac_sha256(k, room_, size_, mac);
    return ok_;
  }

 private:
  char room_[512];
  size_t size_ = 0;
  bool ok_ = true;
};

bool base64url(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

}  // namespace

bool valid_key(Text key) {
  // 43 characters hold 258 bits; the last two must be 0.
  return key.size == kKeyLength && key.starts("fk_") && Text(key.data + 3, key.size - 3).consists_of(base64url) &&
         strchr("AEIMQUYcgkosw048", key.data[key.size - 1]) != nullptr;
}

void derive(Crypto &crypto, Text key, Credential *credential) {
  crypto.sha256_begin();
  crypto.sha256_add(key.data, key.size);
  crypto.sha256_end(credential->k);
  uint8_t digest[kDigest];
  const Text prefix("flota-key-id\n");
  crypto.sha256_begin();
  crypto.sha256_add(prefix.data, prefix.size);
  crypto.sha256_add(credential->k, sizeof credential->k);
  crypto.sha256_end(digest);
  hex(digest, 16, credential->key_id);
}

void key_name(Crypto &crypto, const uint8_t key[65], char kid[17]) {
  uint8_t digest[kDigest];
  crypto.sha256_begin();
  crypto.sha256_add(key, kPoint);
  crypto.sha256_end(digest);
  hex(digest, 8, kid);
}

bool request_mac(Crypto &crypto, const uint8_t k[32], const RequestFields &request, char text[65]) {
  Message message;
  message.add("flota1-request\n");
  message.line(request.method);
  message.line(request.path);
  message.line(request.nonce);
  message.line(request.time);
  message.line(request.running);
  message.line(request.etag);
  message.body(crypto, request.body);
  uint8_t mac[32];
  if (!message.mac(crypto, k, mac)) return false;
  hex(mac, sizeof mac, text);
  return true;
}

bool genuine(Crypto &crypto, const uint8_t k[32], const AnswerFields &answer, Text text) {
  if (answer.status != 200 && answer.status != 204 && answer.status != 304) return false;
  uint8_t claimed[32], mac[32];
  if (!unhex(text, claimed, sizeof claimed)) return false;
  char status[21];
  decimal(answer.status, status);
  Message message;
  message.add("flota1-answer\n");
  message.line(answer.nonce);
  message.line(status);
  message.line(answer.poll);
  message.line(answer.etag);
  message.body(crypto, answer.body);
  return message.mac(crypto, k, mac) && same(mac, claimed, sizeof mac);
}

}  // namespace flota
