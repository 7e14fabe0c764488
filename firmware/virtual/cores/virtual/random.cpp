#include "Arduino.h"
#include "board.h"

// Whether the sketch asked for a sequence that it can repeat.
static bool seeded = false;

void randomSeed(unsigned long seed) {
  if (!seed) return;
  seeded = true;
  srandom(seed);
}

long random(long below) {
  if (below <= 0) return 0;
  uint32_t number = seeded ? uint32_t(::random()) : board_random();
  return number % uint32_t(below);
}

long random(long from, long below) { return from < below ? from + random(below - from) : from; }

long map(long x, long fromLow, long fromHigh, long toLow, long toHigh) {
  return fromHigh == fromLow ? -1 : (x - fromLow) * (toHigh - toLow) / (fromHigh - fromLow) + toLow;
}
