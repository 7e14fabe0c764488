// The index of a statement: a list of more files, read line by line (device
// protocol, "The index"). A device that installs no files needs none of this.
#pragma once

#include "names.h"
#include "statement.h"
#include "text.h"

namespace flota {

constexpr size_t kMaxIndex = 65536;  // bytes
constexpr uint16_t kMaxIndexLines = 256;

// Index takes an index byte by byte and gives its files one by one. Size and digest
// of the whole must have been checked before.
class Index {
 public:
  enum class Result : uint8_t { more, file, bad };

  // parts are those of the statement; none of their paths may come again.
  Index(const Part *parts, uint8_t count) : parts_(parts), count_(count) {}

  // add takes the next byte; file says that a line was whole.
  Result add(char c);
  // finish tells whether it ended where it may.
  bool finish() const { return !bad_ && size_ == 0 && lines_ > 0; }

  // Of the line that was whole last, until the next byte is added.
  const Part &file() const { return file_; }
  uint16_t lines() const { return lines_; }

 private:
  bool line();

  const Part *const parts_;
  const uint8_t count_;
  Part file_;
  char line_[256];
  char last_[129];  // the path before
  uint16_t size_ = 0;
  uint8_t last_size_ = 0;
  uint32_t total_ = 0;
  uint16_t lines_ = 0;
  bool bad_ = false;
};

}  // namespace flota
