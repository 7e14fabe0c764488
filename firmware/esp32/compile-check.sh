#!/usr/bin/env bash
# Compiles FlotaOTA's examples and the base sketch with a real ESP32 core, and prints what the agent costs in flash.
#   firmware/esp32/compile-check.sh [ARDUINO_CLI]
# The core is the one that `make cores` installs; where there is none, it says so and is done.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=${FLOTA_CACHE:-$HOME/.cache/flota}/cores/data
if ! compgen -G "$data/packages/esp32/hardware/esp32/*/platform.txt" >/dev/null; then
  echo "esp32 compile-check: skipped, no ESP32 core is installed below $data (\`make cores\` installs it; needs the internet)"
  exit 0
fi
cli=${1:-$("$here/../../deploy/tools/build.sh" arduino-cli)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'directories: {data: %s, downloads: %s/downloads, user: %s/user}\nbuild_cache: {path: %s/cache}\nmetrics: {enabled: false}\nupdater: {enable_notification: false}\n' \
  "$data" "$work" "$work" "$work" >"$work/arduino-cli.yaml"

# compile FQBN SKETCH: into $work/out. A warning in our own files is an error, one of the core's is not.
compile() {
  rm -rf "$work/out"
  if ! "$cli" --config-file "$work/arduino-cli.yaml" compile --no-color --warnings all --library "$here/FlotaOTA" -b "$1" \
    --build-path "$work/out" "$2" >"$work/log" 2>&1 || grep -E "^($here|$work)/.*warning:" "$work/log" >&2; then
    tail -c 4000 "$work/log" >&2
    echo "esp32 compile-check: ${2##*/} does not compile cleanly for $1" >&2
    exit 1
  fi
}
size() { stat -c %s "$work/out/$1.ino.bin"; }

mkdir "$work/empty" "$work/managed"
printf 'void setup() {}\nvoid loop() {}\n' | tee "$work/empty/empty.ino" >"$work/managed/managed.ino"
# As the farm builds a managed sketch: what starts the agent stands in a .cpp beside it.
printf '#include <FlotaOTA.h>\nFLOTA_MANAGED\n' >"$work/managed/managed.ino.flota.cpp"
for fqbn in esp32:esp32:esp32 esp32:esp32:esp32c3; do
  for sketch in "$here"/FlotaOTA/examples/* "$here/base"; do
    compile "$fqbn" "$sketch"
    echo "$fqbn: ${sketch##*/}: $(size "${sketch##*/}") bytes"
  done
  compile "$fqbn" "$work/empty"
  without=$(size empty)
  compile "$fqbn" "$work/managed"
  cost=$(awk -v bytes=$(($(size managed) - without)) 'BEGIN {printf "%.1f", bytes / 1024}')
  echo "$fqbn: an empty sketch has $without bytes, with the agent $(size managed)"
  [ "$fqbn" = esp32:esp32:esp32 ] && echo "esp32.flash_cost.kib=$cost" || echo "esp32c3.flash_cost.kib=$cost"
done
