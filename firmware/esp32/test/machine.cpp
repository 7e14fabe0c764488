#include "machine.h"

namespace test {

std::string sha256(const void *data, size_t size) {
  static flota::MbedtlsCrypto crypto;
  uint8_t digest[32];
  char text[65];
  crypto.sha256_begin();
  crypto.sha256_add(data, size);
  crypto.sha256_end(digest);
  flota::hex(digest, 32, text);
  return text;
}

bool Flash::running(uint8_t digest[32]) { return flota::unhex(flota::Text(sha256(image(active)).c_str()), digest, 32); }

bool Flash::erase(uint32_t offset, uint32_t length) {
  if (offset % 4096 != 0 || length % 4096 != 0 || offset + length > kSlot) throw std::logic_error("erase");
  if (fail_writes > 0 && fail_writes-- > 0) return false;
  for (uint32_t at = offset; at < offset + length; at += 4096) {
    // A sector that loses its power while it is erased holds neither.
    if (power_.spend(16) < 16) {
      std::memset(&slots[1 - active][at], 0x5a, 2048);
      power_.cut();
    }
    std::memset(&slots[1 - active][at], 0xff, 4096);
  }
  return true;
}

bool Flash::write(uint32_t offset, const uint8_t *data, size_t size) {
  if (offset + size > kSlot || offset % 16 != 0) throw std::logic_error("write");
  if (fail_writes > 0 && fail_writes-- > 0) return false;
  size_t done = power_.spend(size);
  for (size_t i = 0; i < done; i++) {
    uint8_t &cell = slots[1 - active][offset + i];
    if (cell != 0xff) throw std::logic_error("written twice without erase");
    cell &= data[i];
  }
  bytes_written += done;
  if (done < size) power_.cut();
  return true;
}

bool Flash::read(uint32_t offset, uint8_t *data, size_t size) {
  if (offset + size > kSlot) throw std::logic_error("read");
  std::memcpy(data, &slots[1 - active][offset], size);
  return true;
}

// state changes an entry of the bootloader's, whole or not at all.
bool Flash::state(int slot, State to, int number) {
  if (power_.spend(32) < 32) power_.cut();
  states[slot] = to;
  sequence[slot] = number;
  return true;
}

bool Flash::activate() { return state(1 - active, fresh, sequence[active] + 1); }
bool Flash::confirm() { return confirms && state(active, valid, sequence[active]); }
bool Flash::revert() {
  if (states[1 - active] == blank) return false;
  return state(active, invalid, 0);
}

void Flash::boot() {
  if (!rollback) {
    active = sequence[1] > sequence[0] ? 1 : 0;
    return;
  }
  for (int slot : {0, 1}) {
    if (states[slot] == pending) states[slot] = aborted, sequence[slot] = 0;
  }
  active = sequence[1] > sequence[0] ? 1 : 0;
  if (states[active] == fresh) states[active] = pending;
}

void Flash::flash(int slot, const Bytes &image) {
  slots[slot].assign(kSlot, 0xff);
  std::copy(image.begin(), image.end(), slots[slot].begin());
}

Bytes Flash::image(int slot) const {
  const Bytes &b = slots[slot];
  size_t size = b[1] | size_t(b[2]) << 8 | size_t(b[3]) << 16;
  return b[0] == 0xe9 && size <= kSlot ? Bytes(b.begin(), b.begin() + long(size)) : b;
}

int Memory::get(const char *key, void *value, size_t room) {
  auto found = values.find(key);
  if (fails || found == values.end() || found->second.size() > room) return -1;
  std::memcpy(value, found->second.data(), found->second.size());
  return int(found->second.size());
}

bool Memory::put(const char *key, const void *value, size_t size) {
  if (std::strlen(key) > 15) throw std::logic_error(std::string("key too long: ") + key);
  if (fails) return false;
  if (power_.spend(size + 8) < size + 8) power_.cut();
  values[key].assign(static_cast<const char *>(value), size);
  return true;
}

bool Memory::erase(const char *key) {
  if (fails) return false;
  if (values.count(key) == 0) return true;
  if (power_.spend(8) < 8) power_.cut();
  values.erase(key);
  return true;
}

bool Wire::open(const char *to, uint16_t p, bool with_tls, const char *pem, uint32_t timeout_ms) {
  host = to;
  port = p;
  tls = with_tls;
  ca = pem == nullptr ? "" : pem;
  connections++;
  if (!up || !reachable) {
    power_.advance(timeout_ms);
    return false;
  }
  power_.advance(3);
  open_ = true;
  answered_ = false;
  request_.clear();
  at_ = 0;
  return true;
}

bool Wire::write(const uint8_t *data, size_t size, uint32_t) {
  if (!open_ || !up) return false;
  power_.advance(1);
  sent += size;
  request_.append(reinterpret_cast<const char *>(data), size);
  return true;
}

int Wire::read(uint8_t *data, size_t size, uint32_t timeout_ms) {
  if (!open_) return -1;
  if (!answered_) {
    served_ = server(request_);
    answered_ = true;
  }
  if (at_ >= served_.cut || !up || !reachable || at_ == served_.answer.size()) {
    if (served_.hangs || !up || !reachable) power_.advance(timeout_ms);
    return at_ == served_.answer.size() && !served_.hangs ? 0 : -1;
  }
  size_t n = std::min({size, served_.piece, served_.answer.size() - at_, served_.cut - at_});
  power_.advance(served_.ms_per_piece);
  std::memcpy(data, served_.answer.data() + at_, n);
  at_ += n;
  received += n;
  return int(n);
}

uint32_t Lab::random() {
  seed ^= seed << 13;  // xorshift32
  seed ^= seed >> 17;
  seed ^= seed << 5;
  return seed;
}

int Serial::read(uint8_t *data, size_t room) {
  size_t n = std::min(room, in.size());
  std::memcpy(data, in.data(), n);
  in.erase(0, n);
  return int(n);
}

std::map<std::string, bool> Remembering::known_;

bool Remembering::verify(const uint8_t key[65], const uint8_t digest[32], const uint8_t signature[64]) {
  std::string name(reinterpret_cast<const char *>(key), 65);
  name.append(reinterpret_cast<const char *>(digest), 32).append(reinterpret_cast<const char *>(signature), 64);
  auto found = known_.find(name);
  return found != known_.end() ? found->second : (known_[name] = real_.verify(key, digest, signature));
}

bool Remembering::point(const uint8_t key[65]) {
  std::string name(reinterpret_cast<const char *>(key), 65);
  auto found = known_.find(name);
  return found != known_.end() ? found->second : (known_[name] = real_.point(key));
}

void Machine::boot(flota::Reset reason) {
  on_ = true;
  power.booted = power.now;
  power.end_at = UINT64_MAX;
  board.why = reason;
  board.fed = power.now;
  flash.boot();
  std::string digest = running();
  if (known.count(digest) == 0) throw std::logic_error("an image that nobody knows was started: " + digest);
  starts.push_back(known[digest]);
  const Behaviour &b = behaviours[digest];
  power.advance(100);
  wire.up = b.online;
  power.end_at = b.ends_after_ms;
  power.end_reason = b.reset;
  if (b.before_agent) throw Ended{b.reset};
  agent_ = std::make_unique<flota::Agent>(ports, *this);
  agent_->begin();
}

void Machine::run(uint64_t ms, const std::function<bool()> &done) {
  uint64_t until = power.now + ms;
  if (next_ != flota::Reset::unknown) on_ = false;
  while (power.now < until && !(done && done())) {
    try {
      if (!on_) {
        flota::Reset reason = next_ != flota::Reset::unknown ? next_ : flota::Reset::power;
        next_ = flota::Reset::unknown;
        boot(reason);
      }
      agent_->step();
    } catch (const Ended &ended) {
      agent_.reset();
      on_ = false;
      next_ = ended.reset;
      power.end_at = UINT64_MAX;
    }
  }
}

void Machine::update(const flota::Event &e) {
  std::string text = flota::word(e.state);
  if (e.state == flota::State::downloading) return;
  if (e.reason != flota::Reason::none) text += std::string(" ") + flota::word(e.reason);
  told.push_back(text);
}

bool Machine::works() { return behaviours[running()].passes; }

}  // namespace test
