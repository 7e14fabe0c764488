#include "index.h"

namespace flota {

Index::Result Index::add(char c) {
  if (bad_) return Result::bad;
  if (c != '\n') {
    bad_ = ++total_ > kMaxIndex || size_ == sizeof line_ || lines_ == kMaxIndexLines;
    if (bad_) return Result::bad;
    line_[size_++] = c;
    return Result::more;
  }
  bad_ = ++total_ > kMaxIndex || !line();
  size_ = 0;
  if (bad_) return Result::bad;
  lines_++;
  return Result::file;
}

bool Index::line() {
  if (lines_ == kMaxIndexLines || size_ < 2 * kDigest + 4 || line_[2 * kDigest] != ' ') return false;
  const char *digits = line_ + 2 * kDigest + 1;
  const char *space = static_cast<const char *>(memchr(digits, ' ', size_t(line_ + size_ - digits)));
  if (space == nullptr) return false;
  Text size(digits, size_t(space - digits));
  file_.kind = Part::Kind::file;
  file_.size = number(size);
  file_.path = Text(space + 1, size_t(line_ + size_ - space - 1));
  if (!unhex(Text(line_, 2 * kDigest), file_.sha256, kDigest) || file_.size < 0 || (size.size > 1 && *digits == '0')) {
    return false;
  }
  if (!valid_path(file_.path)) return false;
  size_t shorter = last_size_ < file_.path.size ? last_size_ : file_.path.size;
  int order = memcmp(last_, file_.path.data, shorter);
  if (lines_ > 0 && (order > 0 || (order == 0 && last_size_ >= file_.path.size))) return false;
  for (uint8_t i = 0; i < count_; i++) {
    if (parts_[i].kind == Part::Kind::file && parts_[i].path == file_.path) return false;
  }
  last_size_ = uint8_t(file_.path.size);
  memcpy(last_, file_.path.data, last_size_);
  file_.path = Text(last_, last_size_);
  return true;
}

}  // namespace flota
