#if defined(ARDUINO_ARCH_RP2040)

#include "filesystem.h"

#include <FSImpl.h>
#include <LittleFS.h>
#include <string.h>

#include "thread.h"

namespace flota {

namespace {

constexpr const char *kAside = "flota/new";
constexpr uint32_t kBlock = 4096;
constexpr uint32_t kData = 4088;  // of a block are a file's, on average
constexpr uint32_t kReserve = 6;  // blocks that LittleFS needs to change anything

// Shared… do what LittleFS does, each with the lock. A file that is open keeps its file system.
class SharedFile final : public fs::FileImpl {
 public:
  explicit SharedFile(fs::FileImplPtr file) : file_(file) {}
  ~SharedFile() override {
    Lock lock;
    file_.reset();
  }
  size_t write(const uint8_t *data, size_t size) override {
    Lock lock;
    return file_->write(data, size);
  }
  int read(uint8_t *data, size_t size) override {
    Lock lock;
    return file_->read(data, size);
  }
  void flush() override {
    Lock lock;
    file_->flush();
  }
  bool seek(uint32_t position, fs::SeekMode mode) override {
    Lock lock;
    return file_->seek(position, mode);
  }
  size_t position() const override {
    Lock lock;
    return file_->position();
  }
  size_t size() const override {
    Lock lock;
    return file_->size();
  }
  int availableForWrite() override {
    Lock lock;
    return file_->availableForWrite();
  }
  bool truncate(uint32_t size) override {
    Lock lock;
    return file_->truncate(size);
  }
  void close() override {
    Lock lock;
    file_->close();
  }
  const char *name() const override { return file_->name(); }
  const char *fullName() const override { return file_->fullName(); }
  bool isFile() const override {
    Lock lock;
    return file_->isFile();
  }
  bool isDirectory() const override {
    Lock lock;
    return file_->isDirectory();
  }
  void setTimeCallback(time_t (*callback)()) override { file_->setTimeCallback(callback); }
  time_t getLastWrite() override {
    Lock lock;
    return file_->getLastWrite();
  }
  time_t getCreationTime() override {
    Lock lock;
    return file_->getCreationTime();
  }

 private:
  fs::FileImplPtr file_;
};

class SharedDir final : public fs::DirImpl {
 public:
  explicit SharedDir(fs::DirImplPtr dir) : dir_(dir) {}
  ~SharedDir() override {
    Lock lock;
    dir_.reset();
  }
  fs::FileImplPtr openFile(fs::OpenMode mode, fs::AccessMode access) override {
    Lock lock;
    fs::FileImplPtr file = dir_->openFile(mode, access);
    return file ? std::make_shared<SharedFile>(file) : fs::FileImplPtr();
  }
  const char *fileName() override { return dir_->fileName(); }
  size_t fileSize() override {
    Lock lock;
    return dir_->fileSize();
  }
  time_t fileTime() override {
    Lock lock;
    return dir_->fileTime();
  }
  time_t fileCreationTime() override {
    Lock lock;
    return dir_->fileCreationTime();
  }
  bool isFile() const override { return dir_->isFile(); }
  bool isDirectory() const override { return dir_->isDirectory(); }
  bool next() override {
    Lock lock;
    return dir_->next();
  }
  bool rewind() override {
    Lock lock;
    return dir_->rewind();
  }
  void setTimeCallback(time_t (*callback)()) override { dir_->setTimeCallback(callback); }

 private:
  fs::DirImplPtr dir_;
};

class SharedFs final : public fs::FSImpl {
 public:
  bool setConfig(const fs::FSConfig &config) override {
    Lock lock;
    return fs->setConfig(config);
  }
  bool begin() override {
    Lock lock;
    return fs->begin();
  }
  void end() override {}
  bool format() override { return false; }
  bool info(fs::FSInfo &info) override {
    Lock lock;
    return fs->info(info);
  }
  fs::FileImplPtr open(const char *path, fs::OpenMode mode, fs::AccessMode access) override {
    Lock lock;
    fs::FileImplPtr file = fs->open(path, mode, access);
    return file ? std::make_shared<SharedFile>(file) : fs::FileImplPtr();
  }
  bool exists(const char *path) override {
    Lock lock;
    return fs->exists(path);
  }
  fs::DirImplPtr openDir(const char *path) override {
    Lock lock;
    fs::DirImplPtr dir = fs->openDir(path);
    return dir ? std::make_shared<SharedDir>(dir) : fs::DirImplPtr();
  }
  bool rename(const char *from, const char *to) override {
    Lock lock;
    return fs->rename(from, to);
  }
  bool remove(const char *path) override {
    Lock lock;
    return fs->remove(path);
  }
  bool mkdir(const char *path) override {
    Lock lock;
    return fs->mkdir(path);
  }
  bool rmdir(const char *path) override {
    Lock lock;
    return fs->rmdir(path);
  }
  bool stat(const char *path, fs::FSStat *stat) override {
    Lock lock;
    return fs->stat(path, stat);
  }
  bool gc() override {
    Lock lock;
    return fs->gc();
  }
  bool check() override {
    Lock lock;
    return fs->check();
  }
  time_t getCreationTime() override {
    Lock lock;
    return fs->getCreationTime();
  }
  void setTimeCallback(time_t (*callback)()) override { fs->setTimeCallback(callback); }

  fs::FSImplPtr fs;
};

// What an FS keeps to itself: arduino-pico has no other way to stand between the two.
struct Inside : fs::FS {
  static fs::FSImplPtr fs::FS::*impl() { return &Inside::_impl; }
};

std::shared_ptr<SharedFs> shared;

}  // namespace

void prepare_to_share() {
  if (!shared) shared = std::make_shared<SharedFs>();
}

void share() {
  fs::FSImplPtr &impl = LittleFS.*Inside::impl();
  if (!shared || shared->fs) return;
  shared->fs.swap(impl);
  impl = shared;
}

// settle makes certain what was appended, and lets go of what is open.
bool PicoFiles::settle() {
  if (in_) in_.close();
  reading_[0] = 0;
  if (!out_) return true;
  size_t size = out_.size();
  out_.close();
  fs::FSStat stat;
  bool whole = fs_.stat(appending_, &stat) && stat.size == size;
  appending_[0] = 0;
  return whole;
}

int32_t PicoFiles::size(const char *name) {
  Lock lock;
  if (out_ && strcmp(name, appending_) == 0) return int32_t(out_.size());
  fs::FSStat stat;
  return fs_.stat(name, &stat) && !stat.isDir ? int32_t(stat.size) : -1;
}

bool PicoFiles::read(const char *name, uint32_t offset, void *data, size_t size) {
  Lock lock;
  if (!in_ || strcmp(name, reading_) != 0) {
    if (!settle()) return false;
    in_ = fs_.open(name, "r");
    if (!in_) return false;
    strncpy(reading_, name, sizeof reading_ - 1);
  }
  return (in_.position() == offset || in_.seek(offset)) && in_.read(static_cast<uint8_t *>(data), size) == int(size);
}

bool PicoFiles::write(const char *name, const void *data, size_t size) {
  Lock lock;
  if (!settle()) return false;
  fs::File file = fs_.open(kAside, "w");
  if (!file) return false;
  bool done = file.write(static_cast<const uint8_t *>(data), size) == size;
  file.close();
  fs::FSStat stat;
  done = done && fs_.stat(kAside, &stat) && stat.size == size;
  return done && fs_.rename(kAside, name);
}

bool PicoFiles::append(const char *name, const void *data, size_t size) {
  Lock lock;
  if (!out_ || strcmp(name, appending_) != 0) {
    if (!settle()) return false;
    out_ = fs_.open(name, "a");
    if (!out_) return false;
    strncpy(appending_, name, sizeof appending_ - 1);
  }
  return out_.write(static_cast<const uint8_t *>(data), size) == size;
}

bool PicoFiles::truncate(const char *name, uint32_t size) {
  Lock lock;
  if (!settle()) return false;
  fs::File file = fs_.open(name, "r+");
  bool done = file && file.truncate(size);
  file.close();
  return done;
}

bool PicoFiles::sync() {
  Lock lock;
  return settle();
}

bool PicoFiles::remove(const char *name) {
  Lock lock;
  settle();
  return !fs_.exists(name) || fs_.remove(name);
}

bool PicoFiles::rename(const char *from, const char *to) {
  Lock lock;
  return settle() && fs_.rename(from, to);
}

uint32_t PicoFiles::room() {
  Lock lock;
  fs::FSInfo info;
  if (!fs_.info(info) || info.usedBytes > info.totalBytes) return 0;
  uint32_t blocks = uint32_t((info.totalBytes - info.usedBytes) / kBlock);
  return blocks > kReserve ? (blocks - kReserve) * kData : 0;
}

}  // namespace flota

#endif
