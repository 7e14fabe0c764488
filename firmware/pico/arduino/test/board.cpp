#include "board.h"

#include <zlib.h>

#include <algorithm>

#include "pico/command.h"
#include "records.h"

namespace test {

using flota::OtaCommand;
using flota::Reset;

namespace {

constexpr size_t kSector = 4096;
constexpr size_t kLayout = 0x2ff0, kVectors = 0x3000, kLength = 0x3010;

Bytes unpacked(const Bytes &packed, size_t size) {
  Bytes b(size + 1);
  z_stream z = {};
  z.next_in = const_cast<uint8_t *>(packed.data());
  z.avail_in = uInt(packed.size());
  z.next_out = b.data();
  z.avail_out = uInt(b.size());
  if (inflateInit2(&z, 15 + 16) != Z_OK || inflate(&z, Z_FINISH) != Z_STREAM_END) throw std::logic_error("no gzip");
  b.resize(z.total_out);
  inflateEnd(&z);
  return b;
}

void put(Bytes &b, size_t at, uint32_t word) {
  for (int i = 0; i < 4; i++) b[at + size_t(i)] = uint8_t(word >> (8 * i));
}

}  // namespace

Bytes program(unsigned seed, size_t size, uint32_t layout) {
  Bytes b(size);
  uint32_t state = seed * 2654435761u + 1;
  for (size_t i = 0; i < size; i++) {  // code repeats itself
    state = state * 1664525 + 1013904223;
    b[i] = (i / 32) % 4 == 1 ? b[i - 32] : uint8_t(state >> 24);
  }
  for (size_t i = 0; i < kLayout; i++) b[i] = uint8_t(i);  // boot2 and the OTA bootloader are the core's
  put(b, kLayout, layout);
  put(b, kLayout + 4, 0x101ff000);
  put(b, kLayout + 8, 0x101ff000);
  put(b, kLayout + 12, 0xff000);
  put(b, kVectors, 0x20042000);
  put(b, kVectors + 4, 0x100030f7);
  put(b, kLength, uint32_t(size));
  return b;
}

// --- LittleFS --------------------------------------------------------------------------

// step is a change that is done or not: a block for each 4 KiB and one of metadata.
void Littlefs::step(size_t bytes) {
  if (power_.spend(bytes) < bytes) power_.cut();
}

int32_t Littlefs::size(const char *name) {
  if (open_ == name) return int32_t(appended_.size());
  auto found = files.find(name);
  return found == files.end() ? -1 : int32_t(found->second.size());
}

bool Littlefs::read(const char *name, uint32_t offset, void *data, size_t size) {
  sync();
  auto found = files.find(name);
  if (found == files.end() || offset + size > found->second.size()) return false;
  std::memcpy(data, found->second.data() + offset, size);
  return true;
}

bool Littlefs::write(const char *name, const void *data, size_t size) {
  sync();
  if (size > room()) return false;
  step(size + 16);  // aside
  step(16);         // renamed
  files[name].assign(static_cast<const uint8_t *>(data), static_cast<const uint8_t *>(data) + size);
  return true;
}

bool Littlefs::append(const char *name, const void *data, size_t size) {
  if (open_ != name) {
    sync();
    step(16);
    begun[name] += files.count(name) == 0;
    appended_ = files[name];  // it exists from here on
    open_ = name;
  }
  if (size > room()) return false;
  step(size);
  const uint8_t *bytes = static_cast<const uint8_t *>(data);
  appended_.insert(appended_.end(), bytes, bytes + size);
  return true;
}

bool Littlefs::sync() {
  if (open_.empty()) return true;
  step(16);
  files[open_] = appended_;
  open_.clear();
  return true;
}

bool Littlefs::truncate(const char *name, uint32_t size) {
  sync();
  step(16);
  files[name].resize(size);
  return true;
}

bool Littlefs::remove(const char *name) {
  sync();
  if (files.count(name) == 0) return true;
  step(16);
  files.erase(name);
  return true;
}

bool Littlefs::rename(const char *from, const char *to) {
  sync();
  if (files.count(from) == 0) return false;
  step(16);
  files[to] = files[from];
  files.erase(from);
  return true;
}

uint32_t Littlefs::room() {
  size_t used = 0;
  for (const auto &file : files) used += file.first == open_ ? 0 : file.second.size();
  if (!open_.empty()) used += appended_.size();
  return used < capacity_ ? uint32_t(capacity_ - used) : 0;
}

// --- Flash and bootloader ----------------------------------------------------------------

uint32_t Xip::size() {
  uint32_t size = 0;
  for (size_t i = 4; i-- > 0;) size = size << 8 | flash[kLength + i];
  return size <= kSize ? size : uint32_t(kSize);
}

// bootloader copies as libraries of arduino-pico tell it (ota.c); true when it did, and restarts.
bool Pico::bootloader() {
  OtaCommand command;
  auto found = files.files.find(flota::kCommandFile);
  if (found == files.files.end() || found->second.size() != sizeof command) return false;
  std::memcpy(&command, found->second.data(), sizeof command);
  if (!ota_valid(command)) return false;
  auto source = files.files.find(command.writes[0].file);
  if (source == files.files.end()) return false;
  uint32_t length = command.writes[0].length;
  Bytes image = source->second.size() > 2 && source->second[0] == 0x1f && source->second[1] == 0x8b
                    ? unpacked(source->second, length)
                    : source->second;
  if (image.size() < length) return false;
  size_t at = command.writes[0].address - flota::kProgramAddress;
  for (uint32_t done = 0; done < length; done += kSector, at += kSector) {
    Bytes sector(kSector, 0x77);  // what follows the end is whatever was in the buffer
    size_t n = std::min<size_t>(kSector, length - done);
    std::copy_n(image.begin() + long(done), n, sector.begin());
    if (std::equal(sector.begin(), sector.end(), program.flash.begin() + long(at))) continue;
    if (m.power.spend(64) < 64) {  // half erased
      std::fill_n(program.flash.begin() + long(at), kSector / 2, 0x5a);
      m.power.cut();
    }
    std::fill_n(program.flash.begin() + long(at), kSector, 0xff);
    size_t written = m.power.spend(kSector);
    std::copy_n(sector.begin(), written, program.flash.begin() + long(at));
    if (written < kSector) m.power.cut();
    m.power.advance(60);
  }
  // The block of the command is erased, in part when the power goes.
  bool whole = m.power.spend(16) == 16;
  std::fill(found->second.begin(), found->second.end(), whole ? 0xff : 0x5a);
  if (!whole) m.power.cut();
  return true;
}

Pico::Pico(size_t file_system) : files(m.power, file_system) {
  server.give(m);
  for (const auto &value : m.storage.values) storage.put(value.first.c_str(), value.second.data(), value.second.size());
}

void Pico::flash(const Bytes &image) {
  std::copy(image.begin(), image.end(), program.flash.begin());
  known[sha256(image)] = "old";
}

void Pico::want(long long number, const Bytes &image, const std::function<void(Server::Deployment &)> &change) {
  server.want(number, image, [&](auto &d) {
    d.version = "next";
    if (change) change(d);
  });
  known[sha256(image)] = "next";
}

void Pico::boot(Reset reason) {
  on_ = true;
  m.power.booted = m.power.now;
  m.power.end_at = UINT64_MAX;
  files.restart();
  if (bootloader()) throw Ended{Reset::software};
  std::string digest = running();
  if (known.count(digest) == 0) throw std::logic_error("an image that nobody knows was started: " + digest);
  starts.push_back(known[digest]);
  const Behaviour &b = behaviours[digest];
  m.power.advance(20);
  if (unprotected[digest]) throw Ended{b.reset};
  flota::PicoSlots::Early early;
  {
    flota::PicoSlots first(files, program, crypto_);
    early = first.early(reason);
  }
  if (early.restart) throw Ended{Reset::software};
  m.power.advance(100);
  m.board.why = early.returned ? early.cause : reason;
  m.board.fed = m.power.now;
  m.wire.up = b.online;
  m.power.end_at = b.ends_after_ms;
  m.power.end_reason = b.reset;
  if (b.before_agent) throw Ended{b.reset};
  slots = std::make_unique<flota::PicoSlots>(files, program, crypto_);
  ports_.reset(new flota::Machine{m.wire, *slots, storage, m.board, m.crypto, m.serial});
  agent_ = std::make_unique<flota::Agent>(*ports_, *this);
  agent_->begin();
}

void Pico::run(uint64_t ms, const std::function<bool()> &done) {
  uint64_t until = m.power.now + ms;
  if (next_ != Reset::unknown) on_ = false;
  while (m.power.now < until && !(done && done())) {
    try {
      if (!on_) {
        Reset reason = next_ != Reset::unknown ? next_ : Reset::power;
        next_ = Reset::unknown;
        boot(reason);
      }
      agent_->step();
    } catch (const Ended &ended) {
      agent_.reset();
      on_ = false;
      next_ = ended.reset;
      m.power.end_at = UINT64_MAX;
    }
  }
}

std::string Pico::all() const {
  std::string text;
  for (const std::string &r : server.reports) {
    if (text.size() < r.size() || text.substr(text.size() - r.size()) != r) text += (text.empty() ? "" : ", ") + r;
  }
  return text;
}

void Pico::update(const flota::Event &e) {
  if (e.state != flota::State::downloading) told.push_back(flota::word(e.state));
}

}  // namespace test
