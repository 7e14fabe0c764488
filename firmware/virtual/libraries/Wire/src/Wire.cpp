#include "Wire.h"

TwoWire Wire(0);
TwoWire Wire1(1);
