#!/usr/bin/env bash
# Unpacks Debian's MicroPython with the libraries it runs on, beside whatever Debian this is, and prints the folder.
#   deploy/toolchain/micropython.sh [1.25|1.26]     1.25 is trixie's, which the product uses; 1.26 is sid's, for tests, as long as sid has it
set -euo pipefail
wanted=${1:-1.25}
case $wanted in
  1.25) suite=trixie ;;
  1.26) suite=sid ;;
  *) echo "flota: there is no MicroPython $wanted here: 1.25 or 1.26" >&2; exit 2 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
. "$here/trixie.sh"
cache=${FLOTA_CACHE:-$HOME/.cache/flota}/micropython
libraries=(libc6 libffi8 libmbedcrypto16 libmbedtls21 libmbedx509-7)
arch=$(dpkg --print-architecture)

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
for there in "$cache/$wanted".*-"$arch"; do
  if [ -x "$there/micropython" ]; then echo "$there"; exit 0; fi
done

echo "fetching MicroPython $wanted from Debian $suite (once; kept in $cache) …" >&2
work=$(mktemp -d "$cache/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
trixie_get deb download micropython "${libraries[@]}"
mkdir "$work/root"
version=$(dpkg-deb -f "$work"/get/micropython_*.deb Version)
case $version in
  "$wanted".*) ;;
  *) echo "flota: Debian $suite has MicroPython $version now, not $wanted" >&2; exit 1 ;;
esac
for deb in "$work"/get/*.deb; do dpkg-deb -x "$deb" "$work/root"; done

# The launcher finds its own folder, so that it also works where a sandbox mounts it.
mkdir "$work/out"
mv "$work/root" "$work/out/root"
cat >"$work/out/micropython" <<'LAUNCHER'
#!/bin/sh
root=${0%/*}/root
for loader in "$root"/usr/lib64/ld-linux-*.so.* "$root"/usr/lib/ld-linux-*.so.*; do
  [ -e "$loader" ] && break
done
for libraries in "$root"/usr/lib/*-linux-gnu; do :; done
exec "$loader" --library-path "$libraries" "$root/usr/bin/micropython" "$@"
LAUNCHER
chmod 755 "$work/out" "$work/out/micropython"
# Only what runs: no documentation, no locales.
rm -rf "$work/out/root/usr/share"
said=$("$work/out/micropython" -c 'import sys; print(sys.implementation.name, sys.implementation.version[1])') || said=
[ "$said" = "micropython ${wanted#1.}" ] || { echo "flota: the MicroPython that was fetched does not run on this machine" >&2; exit 1; }
rm -rf "$cache/$version-$arch"
mv "$work/out" "$cache/$version-$arch"
echo "$cache/$version-$arch"
