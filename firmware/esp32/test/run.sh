#!/usr/bin/env bash
# The tests of FlotaOTA's portable core on this machine.
#   firmware/esp32/test/run.sh [quick|full]
# quick: g++, every test, some power cuts of each kind, the figures. About a minute.
# full:  besides, clang++, ASan and UBSan, a power cut at every byte, and FUZZ_SECONDS (20) of every fuzz target.
# It installs nothing. Needs g++ make python3 doctest-dev nlohmann-json3-dev libmbedtls-dev; full: clang-14 libclang-rt-14-dev.
set -euo pipefail
cd "$(dirname "$0")"
tier=${1:-quick}
fail() { echo "flota: $1" >&2; exit 1; }
step() { printf -- '--- FlotaOTA: %s\n' "$1"; }
case $tier in quick | full) ;; *) fail "run.sh knows quick and full, not $tier" ;; esac

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
header() { printf '#include <%s>\n' "$1" | g++ -std=c++17 -x c++ -fsyntax-only - 2>/dev/null || missing+=("$2"); }
need g++ g++; need make make; need python3 python3
if command -v g++ >/dev/null; then
  header doctest/doctest.h doctest-dev; header nlohmann/json.hpp nlohmann-json3-dev; header mbedtls/sha256.h libmbedtls-dev
fi
clang=
for c in clang++ clang++-19 clang++-16 clang++-14; do command -v "$c" >/dev/null && { clang=$c; break; }; done
if [ "$tier" = full ]; then
  [ -n "$clang" ] || missing+=(clang-14 libclang-rt-14-dev)
  if [ -n "$clang" ] && ! echo 'extern "C" int LLVMFuzzerTestOneInput(const char *, unsigned long) { return 0; }' |
    "$clang" -fsanitize=fuzzer -x c++ - -o /dev/null 2>/dev/null; then missing+=(libclang-rt-14-dev); fi
fi
[ ${#missing[@]} -eq 0 ] || fail "these Debian packages are missing: ${missing[*]}"

jobs=-j$(nproc)
step "compiles as C++11 to C++20, without exceptions (g++)"
make -s portable CXX=g++
step "unit tests, vectors, scenarios, power cuts (g++)"
make -s "$jobs" check CXX=g++
step "memory, stack and bytes on the wire"
make -s "$jobs" measure CXX=g++
[ "$tier" = full ] || exit 0

step "compiles as C++11 to C++20, without exceptions ($clang)"
make -s portable CXX="$clang"
step "the same tests ($clang)"
make -s "$jobs" check CXX="$clang"
for cxx in g++ "$clang"; do
  step "the same tests with ASan and UBSan ($cxx)"
  make -s "$jobs" check CXX="$cxx" SANITIZE=1
done
step "a power cut at every byte"
FLOTA_FULL=1 make -s check CXX=g++ ARGS="-tc=*cut*"
step "fuzzing, ${FUZZ_SECONDS:-20} s each"
make -s fuzz SECONDS="${FUZZ_SECONDS:-20}"
