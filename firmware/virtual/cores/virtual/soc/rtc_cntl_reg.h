#pragma once
#include "soc.h"
#define RTC_CNTL_BROWN_OUT_REG 0
