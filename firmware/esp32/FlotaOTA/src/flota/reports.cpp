#include "reports.h"

#include <string.h>

#include "names.h"

namespace flota {

namespace {

// A report in the storage: deployment (8 bytes, little-endian), state, reason.
constexpr size_t kStored = 10;

}  // namespace

void Reports::load() {
  uint8_t bytes[kMax * kStored];
  int size = storage_.get(key::reports, bytes, sizeof bytes);
  count_ = 0;
  if (size < 0 || size % int(kStored) != 0) return;
  for (const uint8_t *p = bytes; p < bytes + size; p += kStored) {
    uint64_t deployment = 0;
    for (int i = 7; i >= 0; i--) deployment = deployment << 8 | p[i];
    if (deployment > uint64_t(kMaxNumber) || p[8] >= kStates || p[9] >= kReasons) continue;
    Report &r = reports_[count_++];
    r.deployment = int64_t(deployment);
    r.state = State(p[8]);
    r.reason = Reason(p[9]);
    r.percent = 0;
  }
}

void Reports::add(const Report &report) {
  for (uint8_t i = 0; i < count_; i++) {
    if (reports_[i].deployment == report.deployment && reports_[i].state == report.state) drop(i);
  }
  if (count_ == kMax) drop(0);
  reports_[count_++] = report;
  if (report.state != State::downloading) save();
}

void Reports::drop(uint8_t i) {
  count_--;
  memmove(reports_ + i, reports_ + i + 1, (count_ - i) * sizeof *reports_);
}

void Reports::clear() {
  count_ = 0;
  save();
}

void Reports::save() {
  uint8_t bytes[kMax * kStored], stored[kMax * kStored];
  size_t size = 0;
  for (uint8_t i = 0; i < count_; i++) {
    const Report &r = reports_[i];
    if (r.state == State::downloading) continue;
    for (int k = 0; k < 8; k++) bytes[size++] = uint8_t(uint64_t(r.deployment) >> (8 * k));
    bytes[size++] = uint8_t(r.state);
    bytes[size++] = uint8_t(r.reason);
  }
  // The flash wears out: what is there already is not written.
  int before = storage_.get(key::reports, stored, sizeof stored);
  if ((before < 0 ? 0 : size_t(before)) == size && memcmp(bytes, stored, size) == 0) return;
  if (size == 0) {
    storage_.erase(key::reports);
  } else {
    storage_.put(key::reports, bytes, size);
  }
}

}  // namespace flota
