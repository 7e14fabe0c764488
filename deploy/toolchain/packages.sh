#!/usr/bin/env bash
# Installs the Debian packages that the compile worker and the layout need, and nothing where they are there already.
#   deploy/toolchain/packages.sh            (as root or with sudo)
set -euo pipefail
packages=(
  bubblewrap                                       # the sandbox
  util-linux tar findutils                         # what runs inside it
  gcc-avr avr-libc arduino-core-avr arduino-ctags  # the AVR boards
  g++ libmbedtls-dev binutils python3              # the virtual board; Python tools of the cores
  make xz-utils                                    # builds mpy-cross
  debian-archive-keyring                           # verifies what micropython.sh fetches
)
missing=()
for p in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "toolchain packages: all there" >&2
  exit 0
fi
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
echo "toolchain packages: installing ${missing[*]} …" >&2
export DEBIAN_FRONTEND=noninteractive
{ "${as_root[@]}" apt-get -q update && "${as_root[@]}" apt-get -q install -y --no-install-recommends "${missing[@]}"; } >&2 || {
  echo "flota: could not install ${missing[*]}: as root, run: apt-get install --no-install-recommends ${missing[*]}" >&2; exit 1; }
