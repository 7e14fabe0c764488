#include "thermostat.h"

bool Thermostat::update(float value) {
  if (value < target_ - band_) on_ = true;
  if (value > target_ + band_) on_ = false;
  return on_;
}

size_t Thermostat::printTo(Print &p) const { return p.print("thermostat at ") + p.print(target_, 1); }
