#pragma once
#include <Arduino.h>

class Regulator {
 public:
  virtual ~Regulator() {}
  virtual bool update(float value) = 0;
};

class Thermostat : public Regulator, public Printable {
 public:
  Thermostat(float target, float band) : target_(target), band_(band) {}
  bool update(float value) override;
  size_t printTo(Print &p) const override;

 private:
  float target_, band_;
  bool on_ = false;
};
