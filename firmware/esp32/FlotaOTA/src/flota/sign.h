// Who asks and who answers: what is derived from the device key, MACs of requests
// and of answers (device protocol, "Who asks").
#pragma once

#include "ports.h"
#include "text.h"

namespace flota {

// Credential is what the device key turns into; K is as secret as the key.
struct Credential {
  uint8_t k[32];
  char key_id[33];
};

// valid_key tells whether a text is a device key: "fk_" and 43 characters of base64url.
bool valid_key(Text key);
void derive(Crypto &crypto, Text key, Credential *credential);

// key_name writes the kid of a public signing key: 16 hex characters and a NUL.
void key_name(Crypto &crypto, const uint8_t key[65], char kid[17]);

// The values of a request or an answer as sent; what is not sent is empty.
struct RequestFields {
  Text method, path, nonce, time, running, etag, body;
};
struct AnswerFields {
  Text nonce;
  int status;
  Text poll, etag, body;
};

// request_mac writes 64 hex characters and a NUL; false when the fields are longer than the protocol's.
bool request_mac(Crypto &crypto, const uint8_t k[32], const RequestFields &request, char mac[65]);

// genuine tells whether an answer is the server's own and fresh: a check-in.
bool genuine(Crypto &crypto, const uint8_t k[32], const AnswerFields &answer, Text mac);

}  // namespace flota
