// Program memory is memory.
#pragma once

#define PROGMEM
#define PGM_P const char *
#define PSTR(s) (s)

#define pgm_read_byte(p) (*(const uint8_t *)(p))
#define pgm_read_word(p) (*(const uint16_t *)(p))
#define pgm_read_dword(p) (*(const uint32_t *)(p))
#define pgm_read_float(p) (*(const float *)(p))
#define pgm_read_ptr(p) (*(const void *const *)(p))

#define memcpy_P memcpy
#define strcpy_P strcpy
#define strncpy_P strncpy
#define strcmp_P strcmp
#define strlen_P strlen
#define sprintf_P sprintf
#define snprintf_P snprintf
