// The file system as the storage and the slots of a Pico need it, and the program that
// runs, as it lies in the flash. Nothing in here knows Arduino: the tests have their own.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace flota {

// Files have names of at most 63 bytes. One file at a time is being appended to.
class Files {
 public:
  virtual ~Files() = default;
  virtual int32_t size(const char *name) = 0;  // bytes; -1 where there is no such file
  // read takes all of [offset, offset + size) or returns false.
  virtual bool read(const char *name, uint32_t offset, void *data, size_t size) = 0;
  // write puts a file into the place of what had its name: whole or not at all, whenever
  // the power goes. What was appended before, to any file, is then certain, too.
  virtual bool write(const char *name, const void *data, size_t size) = 0;
  // append extends a file, or begins one. It is certain after sync.
  virtual bool append(const char *name, const void *data, size_t size) = 0;
  virtual bool truncate(const char *name, uint32_t size) = 0;
  virtual bool sync() = 0;
  virtual bool remove(const char *name) = 0;  // true also when there was none
  // rename takes the place of what had the new name, in one step.
  virtual bool rename(const char *from, const char *to) = 0;
  // room is how many bytes of files fit besides those that are there.
  virtual uint32_t room() = 0;
};

// Program is the image that runs, as a file: what a statement's digest is over.
class Program {
 public:
  virtual ~Program() = default;
  virtual const uint8_t *data() = 0;  // in the memory
  virtual uint32_t size() = 0;
  virtual uint32_t limit() = 0;  // how large one may be, in bytes
};

}  // namespace flota
