#!/usr/bin/env bash
# The tests of the Pico's firmware, on real MicroPython: run.sh quick|full
# Prints what was right, and the figures as key=value; ends with 1 where anything was not.
set -uo pipefail
cd "$(dirname "$0")/.."
tier=${1:-quick}
case $tier in quick | full) ;; *) echo "usage: run.sh quick|full" >&2; exit 2 ;; esac
toolchain=../../deploy/toolchain
MICROPYTHON=$("$toolchain/micropython.sh")/micropython || exit 1
MPY_CROSS=$("$toolchain/mpy-cross.sh") || exit 1
export MICROPYTHON MPY_CROSS
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0
step() {
  "$@" || { echo "FAIL $*"; failed=1; }
}

# Every module is loaded within the heap of a Pico, from source and compiled.
mkdir "$scratch/mpy"
for module in flota_*.py; do
  step "$MPY_CROSS" -s "$module" -o "$scratch/mpy/${module%.py}.mpy" "$module"
done
for path in "$PWD:$PWD/virtual" "$scratch/mpy:$PWD/virtual"; do
  for module in flota_*.py; do
    MICROPYPATH=$path:.frozen step "$MICROPYTHON" -X heapsize=190K -c "import ${module%.py}"
  done
done
echo "ok imports within 190 KB"

mkdir "$scratch/vectors"
for file in derive request answer statement index provision link; do
  step "$MICROPYTHON" -X heapsize=16M test/agent_lines.py "../vectors/$file.json" "$scratch/vectors/$file.lines"
done
MICROPYPATH=.:virtual:.frozen step "$MICROPYTHON" -X heapsize=2M test/agent_vectors.py "$scratch/vectors"
MICROPYPATH=.:virtual:.frozen step "$MICROPYTHON" -X heapsize=190K test/agent_boot.py
MICROPYPATH=.:.frozen step "$MICROPYTHON" -X heapsize=190K test/agent_p256.py
# The next MicroPython, as long as there is a package of it.
if [ "$tier" = full ]; then
  if newer=$("$toolchain/micropython.sh" 1.26 2>"$scratch/why"); then
    newer=$newer/micropython
    for path in "$PWD:$PWD/virtual" "$scratch/mpy:$PWD/virtual"; do
      for module in flota_*.py; do
        MICROPYPATH=$path:.frozen step "$newer" -X heapsize=190K -c "import ${module%.py}"
      done
    done
    MICROPYPATH=.:virtual:.frozen step "$newer" -X heapsize=2M test/agent_vectors.py "$scratch/vectors"
    MICROPYPATH=.:virtual:.frozen step "$newer" -X heapsize=190K test/agent_boot.py
    MICROPYPATH=.:.frozen step "$newer" -X heapsize=190K test/agent_p256.py
    MICROPYTHON=$newer step python3 test/agent_test.py quick install_and_delta rolled_back_crash rolled_back_watchdog provisioning tls programs_that_never_yield
    MICROPYTHON=$newer PYTHONDONTWRITEBYTECODE=1 step python3 test/service/table.py
    echo "ok MicroPython 1.26"
  else
    echo "skipped: MicroPython 1.26: $(tail -1 "$scratch/why")"
  fi
fi
step python3 test/agent_heap.py
step python3 test/agent_test.py "$tier"
if [ -e test/service.sh ]; then step bash test/service.sh "$tier"; fi
exit "$failed"
