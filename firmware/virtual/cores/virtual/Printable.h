#pragma once
#include <stddef.h>

class Print;

// Printable can be given to print().
class Printable {
 public:
  virtual ~Printable() {}
  virtual size_t printTo(Print &p) const = 0;
};
