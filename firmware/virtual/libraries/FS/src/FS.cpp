#include "FS.h"

#include <board.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fs {

struct OpenFile {
  int references;
  int fd;       // -1: a folder, or closed
  DIR *folder;  // nullptr: a file
  bool append, readable, writable;
  off_t at;
  char path[256];  // as the sketch knows it
};

namespace {

const size_t kBlock = 4096;

// Where a path of the sketch's lies: false where it leads nowhere.
bool real_path(const char *path, char (&to)[PATH_MAX]) {
  if (!path || *path != '/' || strlen(path) >= 200 || strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../"))
    return false;
  size_t n = strlen(path);
  if ((n >= 2 && strcmp(path + n - 2, "/.") == 0) || (n >= 3 && strcmp(path + n - 3, "/..") == 0)) return false;
  return snprintf(to, sizeof to, "%s/fs%s", board_dir(), path) < int(sizeof to);
}

size_t blocks(off_t size) { return (size_t(size) + kBlock - 1) / kBlock * kBlock; }

// Bytes of a folder with all that is in it; drop removes all that.
size_t walk(const char *path, bool drop) {
  size_t used = 0;
  DIR *d = opendir(path);
  if (!d) return 0;
  while (dirent *e = readdir(d)) {
    char inner[PATH_MAX];
    struct stat s;
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (snprintf(inner, sizeof inner, "%s/%s", path, e->d_name) >= int(sizeof inner) || lstat(inner, &s) != 0) continue;
    if (S_ISDIR(s.st_mode)) {
      used += kBlock + walk(inner, drop);
      if (drop) rmdir(inner);
    } else {
      used += kBlock + blocks(s.st_size);
      if (drop) unlink(inner);
    }
  }
  closedir(d);
  return used;
}

size_t used_bytes() {
  char root[PATH_MAX];
  return real_path("/", root) ? 2 * kBlock + walk(root, false) : 0;
}

size_t total_bytes() { return board_partition("spiffs")->size; }

void drop(OpenFile *f) {
  if (!f || --f->references) return;
  if (f->fd >= 0) close(f->fd);
  if (f->folder) closedir(f->folder);
  free(f);
}

OpenFile *make(const char *path) {
  OpenFile *f = static_cast<OpenFile *>(calloc(1, sizeof(OpenFile)));
  if (!f) return nullptr;
  f->references = 1;
  f->fd = -1;
  strncpy(f->path, path, sizeof f->path - 1);
  return f;
}

}  // namespace

File::File(const File &other) : Stream(other), open_(other.open_) {
  if (open_) open_->references++;
}
File &File::operator=(const File &other) {
  if (other.open_) other.open_->references++;
  drop(open_);
  open_ = other.open_;
  return *this;
}
File::~File() { drop(open_); }

File::operator bool() const { return open_ && (open_->fd >= 0 || open_->folder); }

size_t File::size() const {
  struct stat s;
  return open_ && open_->fd >= 0 && fstat(open_->fd, &s) == 0 ? s.st_size : 0;
}

size_t File::write(const uint8_t *data, size_t n) {
  if (!open_ || open_->fd < 0 || !open_->writable) return 0;
  off_t end = size();
  if (open_->append) open_->at = end;
  off_t last = open_->at + off_t(n);
  // A write within the blocks that the file has already costs nothing.
  if (blocks(last) > blocks(end)) {
    size_t used = used_bytes(), total = total_bytes(), room = used < total ? total - used : 0;
    off_t most = off_t(blocks(end) + room / kBlock * kBlock);
    if (last > most) n = most > open_->at ? most - open_->at : 0;
  }
  ssize_t written = pwrite(open_->fd, data, n, open_->at);
  if (written <= 0) return 0;
  open_->at += written;
  return written;
}

int File::available() {
  off_t left = open_ && open_->readable ? off_t(size()) - open_->at : 0;
  return left > 0 ? left : 0;
}

size_t File::read(uint8_t *to, size_t n) {
  if (!open_ || open_->fd < 0 || !open_->readable) return 0;
  ssize_t got = pread(open_->fd, to, n, open_->at);
  if (got <= 0) return 0;
  open_->at += got;
  return got;
}

int File::read() {
  uint8_t c;
  return read(&c, 1) == 1 ? c : -1;
}

int File::peek() {
  uint8_t c;
  return open_ && open_->fd >= 0 && open_->readable && pread(open_->fd, &c, 1, open_->at) == 1 ? c : -1;
}

void File::flush() {}

bool File::seek(uint32_t position, SeekMode mode) {
  if (!open_ || open_->fd < 0) return false;
  off_t end = size(), at = mode == SeekSet   ? off_t(position)
                           : mode == SeekCur ? open_->at + int32_t(position)
                                             : end + int32_t(position);
  if (at < 0 || at > end) return false;
  open_->at = at;
  return true;
}

size_t File::position() const { return open_ ? open_->at : 0; }

void File::close() {
  drop(open_);
  open_ = nullptr;
}

time_t File::getLastWrite() {
  struct stat s;
  return open_ && open_->fd >= 0 && fstat(open_->fd, &s) == 0 ? s.st_mtime : 0;
}

const char *File::path() const { return open_ ? open_->path : nullptr; }
const char *File::name() const {
  const char *slash = open_ ? strrchr(open_->path, '/') : nullptr;
  return slash ? (slash[1] ? slash + 1 : slash) : nullptr;
}
bool File::isDirectory() const { return open_ && open_->folder; }
void File::rewindDirectory() {
  if (isDirectory()) rewinddir(open_->folder);
}

String File::getNextFileName() {
  if (isDirectory())
    while (dirent *e = readdir(open_->folder))
      if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
        return String(open_->path) + (strcmp(open_->path, "/") == 0 ? "" : "/") + e->d_name;
  return String();
}

static File open_real(const char *path, const char *mode, bool create) {
  char real[PATH_MAX];
  if (!mode || !real_path(path, real)) return File();
  struct stat s;
  bool there = stat(real, &s) == 0;
  OpenFile *f = make(path);
  if (!f) return File();
  if (there && S_ISDIR(s.st_mode)) {
    f->folder = opendir(real);
    return File(f);
  }
  bool both = strchr(mode, '+');
  f->readable = *mode == 'r' || both;
  f->writable = *mode != 'r' || both;
  f->append = *mode == 'a';
  if (create && *mode != 'r')
    for (char *slash = strchr(real + strlen(real) - strlen(path) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
      *slash = 0;
      ::mkdir(real, 0700);
      *slash = '/';
    }
  if (there || *mode == 'r' || used_bytes() + kBlock <= total_bytes())
    f->fd = ::open(
        real,
        (f->writable ? O_RDWR : O_RDONLY) | (*mode != 'r' ? O_CREAT : 0) | (*mode == 'w' ? O_TRUNC : 0) | O_CLOEXEC,
        0600);
  if (f->fd >= 0) return File(f);
  drop(f);
  return File();
}

File File::openNextFile(const char *mode) {
  String next = getNextFileName();
  return next.isEmpty() ? File() : open_real(next.c_str(), mode, false);
}

bool FS::begin(bool, const char *, uint8_t, const char *) {
  char root[PATH_MAX];
  if (!real_path("/", root)) return false;
  mounted_ = ::mkdir(root, 0700) == 0 || errno == EEXIST;
  return mounted_;
}

File FS::open(const char *path, const char *mode, bool create) {
  return mounted_ ? open_real(path, mode, create) : File();
}

bool FS::exists(const char *path) {
  char real[PATH_MAX];
  return mounted_ && real_path(path, real) && access(real, F_OK) == 0;
}
bool FS::remove(const char *path) {
  char real[PATH_MAX];
  return mounted_ && real_path(path, real) && unlink(real) == 0;
}
bool FS::rename(const char *from, const char *to) {
  char a[PATH_MAX], b[PATH_MAX];
  return mounted_ && real_path(from, a) && real_path(to, b) && ::rename(a, b) == 0;
}
bool FS::mkdir(const char *path) {
  char real[PATH_MAX];
  return mounted_ && real_path(path, real) && used_bytes() + kBlock <= total_bytes() && ::mkdir(real, 0700) == 0;
}
bool FS::rmdir(const char *path) {
  char real[PATH_MAX];
  return mounted_ && strcmp(path, "/") != 0 && real_path(path, real) && ::rmdir(real) == 0;
}

bool FS::format() {
  char root[PATH_MAX];
  if (!real_path("/", root)) return false;
  walk(root, true);
  return true;
}

size_t FS::totalBytes() { return total_bytes(); }
size_t FS::usedBytes() { return used_bytes(); }

}  // namespace fs
