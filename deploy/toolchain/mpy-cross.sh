#!/usr/bin/env bash
# Builds mpy-cross 1.25, MicroPython's compiler, from Debian trixie's source package, and prints its path.
#   deploy/toolchain/mpy-cross.sh
# It is linked statically, so that it runs in a compile worker's sandbox, on whatever Debian, with nothing beside it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/trixie.sh"
cache=${FLOTA_CACHE:-$HOME/.cache/flota}/micropython
arch=$(dpkg --print-architecture)

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
for there in "$cache"/mpy-cross-1.25.*-"$arch"; do
  if [ -x "$there/mpy-cross" ]; then echo "$there/mpy-cross"; exit 0; fi
done

for needed in gcc make python3 xz; do
  command -v "$needed" >/dev/null || { echo "flota: $needed is missing; as root, run: deploy/toolchain/packages.sh" >&2; exit 1; }
done
echo "building mpy-cross 1.25 from Debian trixie's source (once, about a minute; kept in $cache) …" >&2
work=$(mktemp -d "$cache/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
trixie_get deb-src source --download-only --only-source micropython
version=$(sed -n 's/^Version: //p' "$work"/get/*.dsc)
case $version in
  1.25.*) ;;
  *) echo "flota: Debian trixie has MicroPython $version now, not 1.25" >&2; exit 1 ;;
esac
# Debian's patches are for its unix port and its documentation. No time, path or repository of this machine is to get into it: the
# same source gives the same bytes.
build() {
  mkdir source
  tar -xJf get/*.orig.tar.xz -C source --strip-components=1
  export SOURCE_DATE_EPOCH=946684800 LC_ALL=C GIT_CEILING_DIRECTORIES=$work
  make -C source/mpy-cross -j2 CFLAGS_EXTRA="-ffile-prefix-map=$work/source=." LDFLAGS_EXTRA=-static
}
(cd "$work" && build) >"$work/log" 2>&1 || {
  tail -n 20 "$work/log" | sed 's/^/  /' >&2
  echo "flota: mpy-cross $version could not be built from Debian trixie's source; above is how that ended" >&2
  exit 1
}
mkdir "$work/out"
cp "$work/source/mpy-cross/build/mpy-cross" "$work/out/mpy-cross"
said=$("$work/out/mpy-cross" --version) || said=
case $said in
  "MicroPython v1.25."*"emitting mpy v6."*) ;;
  *) echo "flota: the mpy-cross that was built says of itself: ${said:-nothing}" >&2; exit 1 ;;
esac
rm -rf "$cache/mpy-cross-$version-$arch"
chmod 755 "$work/out"
mv "$work/out" "$cache/mpy-cross-$version-$arch"
echo "$cache/mpy-cross-$version-$arch/mpy-cross"
