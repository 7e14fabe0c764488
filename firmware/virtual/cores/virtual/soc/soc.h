// Registers are not there: writing one does nothing, reading gives 0.
#pragma once
#define WRITE_PERI_REG(address, value) ((void)(value))
#define READ_PERI_REG(address) 0
#define REG_WRITE(address, value) ((void)(value))
#define REG_READ(address) 0
#define SET_PERI_REG_MASK(address, mask) ((void)(mask))
#define CLEAR_PERI_REG_MASK(address, mask) ((void)(mask))
