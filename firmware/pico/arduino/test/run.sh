#!/usr/bin/env bash
# The tests of what FlotaOTA has of its own for a Pico, on this machine.
#   firmware/pico/arduino/test/run.sh [quick|full]
# quick: g++, every test, some power cuts of each kind. Half a minute.
# full:  besides, ASan and UBSan, and a power cut at every byte, which takes some minutes.
# It installs nothing. Needs g++ make doctest-dev nlohmann-json3-dev libmbedtls-dev zlib1g-dev; what needs libbearssl-dev,
# or gcc-arm-none-eabi and qemu-system-arm, says so where it is skipped.
set -euo pipefail
cd "$(dirname "$0")"
tier=${1:-quick}
fail() { echo "flota: $1" >&2; exit 1; }
step() { printf -- '--- FlotaOTA on a Pico: %s\n' "$1"; }
case $tier in quick | full) ;; *) fail "run.sh knows quick and full, not $tier" ;; esac

missing=()
header() { printf '#include <%s>\n' "$1" | g++ -std=c++17 -x c++ -fsyntax-only - 2>/dev/null || missing+=("$2"); }
command -v g++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
if command -v g++ >/dev/null; then
  header doctest/doctest.h doctest-dev; header nlohmann/json.hpp nlohmann-json3-dev; header mbedtls/sha256.h libmbedtls-dev; header zlib.h zlib1g-dev
fi
[ ${#missing[@]} -eq 0 ] || fail "these Debian packages are missing: ${missing[*]}"
bearssl=1
printf '#include <bearssl.h>\n' | g++ -x c++ -fsyntax-only - 2>/dev/null || bearssl=
[ -n "$bearssl" ] || echo "--- FlotaOTA on a Pico: the tests of BearSSL are skipped, libbearssl-dev is missing"

jobs=-j$(nproc)
step "compiles as C++11 to C++20, without exceptions"
make -s portable
step "unit tests, updates, power cuts"
make -s "$jobs" check BEARSSL=$bearssl
step "the exchange of threads, on the chips' own instructions"
exchange/run.sh 2>&1
[ "$tier" = full ] || exit 0

step "the same tests with ASan and UBSan"
make -s "$jobs" check BEARSSL=$bearssl SANITIZE=1
step "a power cut at every byte"
FLOTA_FULL=1 make -s check BEARSSL=$bearssl ARGS="-tc=*cut*"
