// Names and limits of the device protocol, version 1 (firmware/README.md).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace flota {

constexpr const char *kAgent = "FlotaOTA/1.0";

constexpr const char *kPathUpdate = "/d/v1/update";
constexpr const char *kPathReport = "/d/v1/report";

constexpr size_t kMaxAnswer = 4096;   // bytes of an answer to a poll
constexpr size_t kMaxPayload = 2800;  // bytes of a statement's payload
constexpr size_t kMaxPath = 200;      // paths and links are shorter
constexpr size_t kMaxParts = 16;
constexpr size_t kMaxLine = 6144;  // of the provisioning dialogue
constexpr int64_t kMaxNumber = int64_t(1) << 53;
constexpr size_t kDigest = 32;
constexpr size_t kPoint = 65;      // an uncompressed point of P-256
constexpr size_t kKeyLength = 46;  // "fk_" and 43 characters
constexpr size_t kMaxText = 64;    // characters of version, chip and reason

// What the agent takes when it is given its settings, in bytes.
constexpr size_t kMaxName = 128;    // server and board
constexpr size_t kMaxId = 64;       // workspace, device, product_id and the name of a group
constexpr size_t kMaxGroups = 640;  // the array of them
constexpr size_t kMaxNetworks = 4;  // of Wi-Fi
constexpr size_t kMaxValue = 3999;  // of any string in NVS, without its NUL

// Keys in the storage. A string unless it says otherwise.
namespace key {
constexpr const char *server = "server";
constexpr const char *workspace = "workspace";
constexpr const char *device = "device";
constexpr const char *product_id = "product_id";
constexpr const char *key = "key";
constexpr const char *board = "board";
constexpr const char *groups = "groups";      // a JSON array of names
constexpr const char *ca = "ca";              // PEM
constexpr const char *wifi = "wifi";          // a JSON array of {"ssid","password"}
constexpr const char *keys = "keys";          // blob, 65 or 130 bytes
constexpr const char *accepted = "accepted";  // blob, 8 bytes, little-endian, as are the next two
constexpr const char *decided = "decided";
constexpr const char *secversion = "secversion";
// The agent's own, blobs; their form is in records.h.
constexpr const char *fetch = "t.fetch";
constexpr const char *offset = "t.offset";
constexpr const char *trial = "t.trial";
constexpr const char *running = "t.running";
constexpr const char *reports = "t.reports";
}  // namespace key

// is_text tells whether the value of a key in the storage is a string, as opposed to a blob.
inline bool is_text(const char *name) {
  const char *const texts[] = {key::server, key::workspace, key::device, key::product_id, key::key,
                               key::board,  key::groups,    key::ca,     key::wifi};
  for (const char *text : texts) {
    if (strcmp(name, text) == 0) return true;
  }
  return false;
}

}  // namespace flota
