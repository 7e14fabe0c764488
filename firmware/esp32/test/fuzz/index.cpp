// An index whose digest was right.
#include "index.h"

#include <string>

#include "fuzz/believing.h"

using namespace flota;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Part parts[1];
  parts[0].kind = Part::Kind::file;
  parts[0].path = "boot.py";
  Index index(parts, 1);
  std::string last, again;
  bool bad = false;
  for (size_t i = 0; i < size; i++) {
    Index::Result result = index.add(char(data[i]));
    require(!bad || result == Index::Result::bad);
    bad = result == Index::Result::bad;
    if (result != Index::Result::file) continue;
    const Part &f = index.file();
    std::string path(f.path.data, f.path.size);
    require(valid_path(f.path) && path != "boot.py" && (index.lines() == 1 || path > last) && f.size >= 0);
    last = path;
    char digest[65], number[21];
    hex(f.sha256, 32, digest);
    decimal(f.size, number);
    again += std::string(digest) + " " + number + " " + path + "\n";
  }
  // There is one way only to write an index.
  if (index.finish()) require(again == std::string(reinterpret_cast<const char *>(data), size));
  return 0;
}
