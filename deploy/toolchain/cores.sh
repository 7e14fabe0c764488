#!/usr/bin/env bash
# Installs the boards of board-managers.txt with arduino-cli, into the cache; layout.sh takes them from there. Needs the internet.
#   deploy/toolchain/cores.sh [ARDUINO_CLI]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cli=${1:-$("$here/../tools/build.sh" arduino-cli)}
list=${FLOTA_BOARD_MANAGERS:-$here/board-managers.txt}
data=${FLOTA_CACHE:-$HOME/.cache/flota}/cores
mapfile -t cores < <(awk '!/^#/ && NF == 2 {print $1}' "$list")
urls=$(awk '!/^#/ && NF == 2 {print $2}' "$list" | paste -sd,)
mkdir -p "$data"
exec 9>"$data/.lock"
flock 9
config=$data/arduino-cli.yaml
printf 'directories: {data: %s/data, downloads: %s/downloads, user: %s/user}\nmetrics: {enabled: false}\nupdater: {enable_notification: false}\n' \
  "$data" "$data" "$data" >"$config"
run() { "$cli" --config-file "$config" --additional-urls "$urls" "$@"; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "fetching the board indexes …" >&2
# Of several indexes arduino-cli takes what it gets and still says no at the end; the cores decide.
run core update-index >"$log" 2>&1 || true
for core in "${cores[@]}"; do
  echo "installing $core (hundreds of megabytes the first time; kept in $data) …" >&2
  run core install "$core" >"$log" 2>&1 || {
    sed 's/^/  /' "$log" | tail -5 >&2
    echo "flota: $core could not be installed: this needs the internet (a proxy is taken from HTTPS_PROXY); the boards that are installed already stay usable." >&2
    exit 1
  }
done
rm -rf "$data/downloads"
echo "installed: ${cores[*]}; they are offered after the next start" >&2
