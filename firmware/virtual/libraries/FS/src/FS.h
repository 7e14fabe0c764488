#pragma once
#include <Arduino.h>
#include <time.h>

#define FILE_READ "r"
#define FILE_WRITE "w"
#define FILE_APPEND "a"

namespace fs {

enum SeekMode { SeekSet = 0, SeekCur = 1, SeekEnd = 2 };
struct OpenFile;

// File is a file or a folder of a file system; copies are the same one.
class File : public Stream {
 public:
  File() {}
  explicit File(OpenFile *open) : open_(open) {}
  File(const File &other);
  File &operator=(const File &other);
  ~File();

  operator bool() const;
  size_t write(uint8_t c) override { return write(&c, 1); }
  // Less than all of it where the partition is full.
  size_t write(const uint8_t *data, size_t size) override;
  using Print::write;
  int available() override;
  int read() override;
  int peek() override;
  void flush() override;
  size_t read(uint8_t *to, size_t size);
  size_t readBytes(char *to, size_t size) override { return read(reinterpret_cast<uint8_t *>(to), size); }
  using Stream::readBytes;
  bool seek(uint32_t position, SeekMode mode);
  bool seek(uint32_t position) { return seek(position, SeekSet); }
  size_t position() const;
  size_t size() const;
  void close();
  time_t getLastWrite();
  const char *path() const;
  const char *name() const;
  bool isDirectory() const;
  File openNextFile(const char *mode = FILE_READ);
  String getNextFileName();
  void rewindDirectory();

 private:
  OpenFile *open_ = nullptr;
};

// FS is the file system of the data partition: files below fs/ in the board's folder, together no
// larger than the partition. Paths begin with '/'.
class FS {
 public:
  File open(const char *path, const char *mode = FILE_READ, bool create = false);
  File open(const String &path, const char *mode = FILE_READ, bool create = false) {
    return open(path.c_str(), mode, create);
  }
  bool exists(const char *path);
  bool exists(const String &path) { return exists(path.c_str()); }
  bool remove(const char *path);
  bool remove(const String &path) { return remove(path.c_str()); }
  bool rename(const char *from, const char *to);
  bool rename(const String &from, const String &to) { return rename(from.c_str(), to.c_str()); }
  bool mkdir(const char *path);
  bool mkdir(const String &path) { return mkdir(path.c_str()); }
  bool rmdir(const char *path);
  bool rmdir(const String &path) { return rmdir(path.c_str()); }

  bool begin(bool formatOnFail = false, const char *basePath = "", uint8_t maxFiles = 10, const char *label = nullptr);
  void end() { mounted_ = false; }
  bool format();
  size_t totalBytes();
  size_t usedBytes();

 private:
  bool mounted_ = false;
};

}  // namespace fs

using fs::File;
using fs::FS;
using fs::SeekCur;
using fs::SeekEnd;
using fs::SeekMode;
using fs::SeekSet;
