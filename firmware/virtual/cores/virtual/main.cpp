#include <stdlib.h>
#include <unistd.h>

#include "Arduino.h"

// The library's own handler prints the exception's name, for which it brings
// 60 KB along.
namespace __gnu_cxx {
void __verbose_terminate_handler() {
  fputs("terminated by an exception\n", stderr);
  abort();
}
}  // namespace __gnu_cxx

EspClass ESP;

void EspClass::restart() {
  Serial.flush();
  _exit(64);
}

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 4096);
  setup();
  for (;;) loop();
}
