#include "Preferences.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

// As on the chip: namespace and key have at most 15 characters.
static bool isName(const char *s) { return s && *s && strlen(s) <= 15 && *s != '.' && !strchr(s, '/'); }

bool Preferences::begin(const char *name, bool readOnly) {
  if (!isName(name)) return false;
  const char *root = getenv("FLOTA_NVS");
  if (!root) root = "nvs";
  folder_ = String(root) + "/" + name;
  readOnly_ = readOnly;
  if (!readOnly) {
    mkdir(root, 0700);
    mkdir(folder_.c_str(), 0700);
  }
  if (access(folder_.c_str(), X_OK) != 0) folder_ = "";
  return !folder_.isEmpty();
}

String Preferences::path(const char *key) { return folder_.isEmpty() || !isName(key) ? String() : folder_ + "/" + key; }

bool Preferences::clear() {
  if (folder_.isEmpty() || readOnly_) return false;
  DIR *d = opendir(folder_.c_str());
  if (!d) return false;
  while (dirent *e = readdir(d))
    if (e->d_name[0] != '.') unlink((folder_ + "/" + e->d_name).c_str());
  closedir(d);
  return true;
}

bool Preferences::remove(const char *key) { return !readOnly_ && unlink(path(key).c_str()) == 0; }
bool Preferences::isKey(const char *key) { return access(path(key).c_str(), R_OK) == 0; }

size_t Preferences::getBytesLength(const char *key) {
  struct stat s;
  return stat(path(key).c_str(), &s) == 0 ? s.st_size : 0;
}

size_t Preferences::putBytes(const char *key, const void *value, size_t size) {
  String file = path(key), aside = folder_ + "/.new";
  if (file.isEmpty() || readOnly_) return 0;
  FILE *f = fopen(aside.c_str(), "wb");
  if (!f) return 0;
  bool ok = fwrite(value, 1, size, f) == size && fflush(f) == 0 && fsync(fileno(f)) == 0;
  ok = fclose(f) == 0 && ok;
  return ok && rename(aside.c_str(), file.c_str()) == 0 ? size : 0;
}

size_t Preferences::getBytes(const char *key, void *to, size_t size) {
  FILE *f = fopen(path(key).c_str(), "rb");
  if (!f) return 0;
  size_t n = fread(to, 1, size, f);
  fclose(f);
  return n;
}

String Preferences::getString(const char *key, const String &otherwise) {
  if (!isKey(key)) return otherwise;
  size_t size = getBytesLength(key);
  char *text = static_cast<char *>(malloc(size + 1));
  if (!text) return otherwise;
  size = getBytes(key, text, size);
  String value(text, size);
  free(text);
  return value;
}
