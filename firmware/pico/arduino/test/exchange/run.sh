#!/usr/bin/env bash
# Runs the exchange of threads on a Cortex-M0 and a Cortex-M33 of QEMU's. Needs gcc-arm-none-eabi qemu-system-arm.
set -euo pipefail
cd "$(dirname "$0")"
for needed in arm-none-eabi-g++ qemu-system-arm; do
  command -v "$needed" >/dev/null || { echo "--- FlotaOTA on a Pico: the exchange of threads is skipped, $needed is missing (gcc-arm-none-eabi, qemu-system-arm)"; exit 0; }
done
src=../../../../esp32/FlotaOTA/src
mkdir -p ../out
run() { # machine, code, data, flags
  local elf=../out/exchange-$1.elf
  arm-none-eabi-g++ "${@:4}" -mthumb -Os -g -std=c++17 -Wall -Wextra -Werror -Wno-main -fno-exceptions -fno-rtti -ffreestanding -nostdlib -I"$src" \
    -Wl,--defsym=ORIGIN_OF_CODE="$2",--defsym=ORIGIN_OF_DATA="$3" -T ram.ld exchange.cpp "$src/pico/exchange.cpp" -o "$elf" -lgcc
  printf 'exchange of threads, %s: ' "$1"
  timeout -s KILL 120 qemu-system-arm -M "$1" -nographic -monitor none -serial none -semihosting-config enable=on,target=native -icount shift=4 -kernel "$elf" </dev/null 2>&1
}
run microbit 0x0 0x20000000 -mcpu=cortex-m0
run mps2-an505 0x10000000 0x38000000 -mcpu=cortex-m33 -mfloat-abi=softfp
