// What the device was given (device protocol, "What a device is given"), as the
// agent reads it from the storage.
#pragma once

#include "names.h"
#include "ports.h"
#include "sign.h"
#include "statement.h"
#include "text.h"

namespace flota {

// Origin is where the server is.
struct Origin {
  bool tls = false;
  Text authority;  // host and port as given, for the Host header
  Text host;       // without brackets around an IPv6 address
  uint16_t port = 0;
};

// parse_origin reads "http://host" or "https://host", with a port or without; the
// texts lie in the server's. False for anything else.
bool parse_origin(Text server, Origin *origin);

// get_text reads a string and puts a NUL behind it. It returns the length, or -1.
int get_text(Storage &storage, const char *key, char *value, size_t room);

// get_keys reads the trusted keys; false when there are none.
bool get_keys(Storage &storage, TrustedKeys *keys);
bool put_keys(Storage &storage, const TrustedKeys &keys);

// Settings is what every request needs.
struct Settings {
  char server[kMaxName + 1] = "";
  Credential credential = {};

  // load returns false for a device that was not given all that it needs.
  bool load(Storage &storage, Crypto &crypto);
};

// Identity is what a statement is checked against, read when it is needed.
struct Identity {
  char workspace[kMaxName + 1];
  char device[kMaxName + 1];
  char board[kMaxName + 1];
  char groups[kMaxGroups + 1];
  TrustedKeys keys;

  bool load(Storage &storage);
};

}  // namespace flota
