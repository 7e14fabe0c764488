#pragma once
#include "gpio.h"
