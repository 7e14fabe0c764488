#!/usr/bin/env bash
# Unpacks Debian trixie's MicroPython with the libraries it runs on, beside whatever Debian this is, and prints the folder.
#   deploy/toolchain/micropython.sh
# apt verifies what it fetches by trixie's archive key; its state is private, so nothing of the machine's own changes.
set -euo pipefail
cache=${FLOTA_CACHE:-$HOME/.cache/flota}/micropython
mirror=${FLOTA_DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
libraries=(libc6 libffi8 libmbedcrypto16 libmbedtls21 libmbedx509-7)
arch=$(dpkg --print-architecture)

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
for there in "$cache"/1.25.*-"$arch"; do
  if [ -x "$there/micropython" ]; then echo "$there"; exit 0; fi
done

echo "fetching MicroPython 1.25 from Debian trixie (once; kept in $cache) …" >&2
work=$(mktemp -d "$cache/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/root"
: >"$work/status"
echo "deb [signed-by=$keyring] $mirror trixie main" >"$work/sources.list"
# apt drops its rights to this user for fetching; a folder under /root would be out of its reach.
options=(-q -o "APT::Architecture=$arch" -o "Dir::State=$work/state" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache"
  -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- -o APT::Sandbox::User=root)
fetch() { apt-get "${options[@]}" update && cd "$work/debs" && apt-get "${options[@]}" download micropython "${libraries[@]}"; }
fetch >"$work/log" 2>&1 || {
  sed 's/^/  /' "$work/log" >&2
  echo "flota: MicroPython could not be fetched from $mirror: is it reachable (FLOTA_DEBIAN_MIRROR names another), and does $keyring hold trixie's key?" >&2
  exit 1
}
version=$(dpkg-deb -f "$work"/debs/micropython_*.deb Version)
case $version in
  1.25.*) ;;
  *) echo "flota: Debian trixie has MicroPython $version now, not 1.25" >&2; exit 1 ;;
esac
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done

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
[ "$said" = "micropython 25" ] || { echo "flota: the MicroPython that was fetched does not run on this machine" >&2; exit 1; }
rm -rf "$cache/$version-$arch"
mv "$work/out" "$cache/$version-$arch"
echo "$cache/$version-$arch"
