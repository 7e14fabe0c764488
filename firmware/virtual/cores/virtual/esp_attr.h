#pragma once
// Where a chip's memory is special.
#define IRAM_ATTR
#define ARDUINO_ISR_ATTR
#define DRAM_ATTR
#define EXT_RAM_ATTR
#define RTC_IRAM_ATTR
#define RTC_RODATA_ATTR
#define WORD_ALIGNED_ATTR __attribute__((aligned(4)))
#define FORCE_INLINE_ATTR static inline __attribute__((always_inline))
// What outlives deep sleep (see sleep.cpp). That which a chip also keeps over a restart is not.
#define RTC_DATA_ATTR __attribute__((section("rtc_data")))
#define RTC_SLOW_ATTR RTC_DATA_ATTR
#define RTC_FAST_ATTR RTC_DATA_ATTR
#define RTC_NOINIT_ATTR RTC_DATA_ATTR
#define __NOINIT_ATTR
