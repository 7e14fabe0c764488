#!/usr/bin/env bash
# Compiles FlotaOTA's examples and the base sketch with real cores, and prints what the agent costs in flash.
#   firmware/esp32/compile-check.sh [ARDUINO_CLI]
# The cores are those that `make cores` installs: an ESP32's and a Pico's. Where there is none, it says so and is done with it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=${FLOTA_CACHE:-$HOME/.cache/flota}/cores/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cli=${1:-}
installed() { # platform
  if compgen -G "$data/packages/$1/hardware/$1/*/platform.txt" >/dev/null; then return; fi
  echo "compile-check: $1 is skipped, it is not installed below $data (\`make cores\` installs it; needs the internet)"
  return 1
}
prepare() {
  [ ! -e "$work/arduino-cli.yaml" ] || return 0
  [ -n "$cli" ] || cli=$("$here/../../deploy/tools/build.sh" arduino-cli)
  printf 'directories: {data: %s, downloads: %s/downloads, user: %s/user}\nbuild_cache: {path: %s/cache}\nmetrics: {enabled: false}\nupdater: {enable_notification: false}\n' \
    "$data" "$work" "$work" "$work" >"$work/arduino-cli.yaml"
  mkdir "$work/empty" "$work/managed"
  printf 'void setup() {}\nvoid loop() {}\n' | tee "$work/empty/empty.ino" >"$work/managed/managed.ino"
  # As the farm builds a managed sketch: what starts the agent stands in a .cpp beside it.
  printf '#include <FlotaOTA.h>\nFLOTA_MANAGED\n' >"$work/managed/managed.ino.flota.cpp"
}

# compile FQBN SKETCH: into $work/out. A warning in our own files is an error, one of the core's is not.
compile() {
  rm -rf "$work/out"
  if ! "$cli" --config-file "$work/arduino-cli.yaml" compile --no-color --warnings all --library "$here/FlotaOTA" -b "$1" \
    --build-path "$work/out" "$2" >"$work/log" 2>&1 || grep -E "^($here|$here/../pico|$work)/.*warning:" "$work/log" >&2; then
    tail -c 4000 "$work/log" >&2
    echo "compile-check: ${2##*/} does not compile cleanly for $1" >&2
    exit 1
  fi
}
size() { stat -c %s "$work/out/$1.ino.bin"; }

# check FIGURE FQBN SKETCH...: these, and what the agent costs an empty one, as FIGURE.
check() {
  local figure=$1 fqbn=$2 sketch without
  prepare
  for sketch in "${@:3}"; do
    compile "$fqbn" "$sketch"
    echo "$fqbn: ${sketch##*/}: $(size "${sketch##*/}") bytes"
  done
  compile "$fqbn" "$work/empty"
  without=$(size empty)
  compile "$fqbn" "$work/managed"
  echo "$fqbn: an empty sketch has $without bytes, with the agent $(size managed)"
  echo "$figure=$(awk -v bytes=$(($(size managed) - without)) 'BEGIN {printf "%.1f", bytes / 1024}')"
}

if installed esp32; then
  check esp32.flash_cost.kib esp32:esp32:esp32 "$here"/FlotaOTA/examples/* "$here/base"
  check esp32c3.flash_cost.kib esp32:esp32:esp32c3 "$here"/FlotaOTA/examples/* "$here/base"
fi
if installed rp2040; then
  # The other examples are for what an ESP32 alone has.
  examples=("$here"/FlotaOTA/examples/{Minimal,Callbacks} "$(cd "$here/../pico/arduino/examples/Logger" && pwd)" "$here/base")
  check rp2040.flash_cost.kib rp2040:rp2040:rpipicow:flash=2097152_1048576 "${examples[@]}"
  check rp2350.flash_cost.kib rp2040:rp2040:rpipico2w:flash=4194304_2097152 "${examples[@]}"
fi
