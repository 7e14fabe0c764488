#!/usr/bin/env bash
# Fetches Debian trixie's mpremote, beside whatever Debian this is, and prints the path of a command that runs it. For tests.
#   firmware/provision/provisiontest/mpremote.sh
set -euo pipefail
. "$(cd "$(dirname "$0")/../../../deploy/toolchain" && pwd)/trixie.sh"
cache=${FLOTA_CACHE:-$HOME/.cache/flota}/mpremote
command -v python3 >/dev/null || { echo "flota: python3 is missing" >&2; exit 1; }
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
if [ ! -x "$cache/out/mpremote" ]; then
  work=$(mktemp -d "$cache/.new.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trixie_get deb download micropython-mpremote python3-serial python3-platformdirs
  mkdir "$work/out"
  for deb in "$work"/get/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
  mv "$work/root/usr/lib/python3/dist-packages" "$work/out/modules"
  cat >"$work/out/mpremote" <<'LAUNCHER'
#!/bin/sh
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=${0%/*}/modules exec python3 -m mpremote "$@"
LAUNCHER
  chmod 755 "$work/out" "$work/out/mpremote"
  "$work/out/mpremote" version >/dev/null
  rm -rf "$cache/out"
  mv "$work/out" "$cache/out"
fi
echo "$cache/out/mpremote"
