#!/usr/bin/env bash
# Lays out a toolchain root, which a compile worker mounts read-only at /toolchain, and prints its path.
#   deploy/toolchain/layout.sh [--with-fixture] [ARDUINO_CLI]
# <cache>/toolchain is a link to the one that was asked for last, without the fixture that only tests have.
# Everything in it is named by a digest of what went into it; the same inputs give the same folder and cost nothing again.
set -euo pipefail
shopt -s nullglob
here=$(cd "$(dirname "$0")" && pwd)
firmware=$here/../../firmware
fixture=
if [ "${1:-}" = --with-fixture ]; then fixture=1; shift; fi
cli=${1:-$("$here/../tools/build.sh" arduino-cli)}
cache=${FLOTA_CACHE:-$HOME/.cache/flota}
cores=$cache/cores/data
avr=/usr/share/arduino/hardware/arduino/avr
fail() { echo "flota: $1" >&2; exit 1; }

[ -x "$cli" ] || fail "there is no arduino-cli at $cli (deploy/tools/build.sh arduino-cli builds it)"
for needed in "$avr/boards.txt" /usr/bin/avr-gcc /usr/bin/arduino-ctags /usr/bin/g++ /usr/bin/bwrap /usr/include/mbedtls/ssl.h; do
  [ -e "$needed" ] || fail "$needed is missing; as root, run: deploy/toolchain/packages.sh"
done
micropython=$("$here/micropython.sh")
mpy_cross=$("$here/mpy-cross.sh")

# The digest of everything that decides what bytes come out of a build.
inputs() {
  sha256sum <"$cli"
  dpkg-query -W gcc-avr avr-libc binutils-avr arduino-core-avr arduino-ctags g++-12 gcc g++ libc6-dev libmbedtls-dev binutils python3 2>/dev/null || true
  cd "$firmware"
  find virtual esp32 pico/{boot,main}.py pico/flota_*.py pico/base pico/virtual ${fixture:+fixture} -type f \
    -not -path 'virtual/sketches/*' -not -path 'esp32/test/*' -not -path '*/examples/*' -not -path 'pico/*.md' -print0 | sort -z | xargs -0 sha256sum
  cd "$here"
  sha256sum layout.sh prewarm.txt micropython-boards.txt
  for installed in "$cores"/packages/*/hardware/*/*; do echo "${installed#"$cores"}"; done
  echo "${micropython##*/}"
  sha256sum <"$mpy_cross"
}
digest=$(inputs | sha256sum | cut -d' ' -f1)
out=$cache/toolchains/${digest:0:16}
mkdir -p "$cache/toolchains"
exec 9>"$cache/toolchains/.lock"
flock 9
done_with_it() {
  touch "$out"
  if [ -z "$fixture" ]; then
    ln -sfn "$out" "$cache/.toolchain.new" && mv -T "$cache/.toolchain.new" "$cache/toolchain"
  fi
  echo "$out"
  exit 0
}
[ ! -e "$out/toolchain.json" ] || done_with_it

echo "laying out the toolchain (once; kept in $out) …" >&2
new=$(mktemp -d "$cache/toolchains/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"
cd "$new"
# Hard links where the cache is one file system, else copies.
place() { cp -al "$1" "$2" 2>/dev/null || { rm -rf "$2"; cp -a "$1" "$2"; }; }

mkdir -p bin data/packages/builtin/tools/ctags/5.8-arduino11 user/hardware/arduino user/hardware/flota user/libraries cache/cores
cp "$cli" bin/arduino-cli
ln -s /usr/bin/arduino-ctags data/packages/builtin/tools/ctags/5.8-arduino11/ctags
# Empty indexes: reading the real ones costs more than compiling.
echo '{"packages":[]}' >data/package_index.json
echo '{"libraries":[]}' >data/library_index.json
# There already, because it could not be written.
printf 'installation: {id: flota, secret: flota}\n' >data/inventory.yaml
cat >arduino-cli.yaml <<'YAML'
directories: {data: /toolchain/data, downloads: /tmp/downloads, user: /toolchain/user}
build_cache: {path: /job/cache, extra_paths: [/toolchain/cache], compilations_before_purge: 0}
metrics: {enabled: false}
updater: {enable_notification: false}
YAML

cp -a "$avr" user/hardware/arduino/avr
# Debian's gcc-avr does not define DECIMAL_DIG for C++, and is too old for SOURCE_DATE_EPOCH: here the date is fixed by hand.
cat >user/hardware/arduino/avr/platform.local.txt <<'PLATFORM'
flota.date=-Wno-builtin-macro-redefined '-D__DATE__="Jan  1 2000"' '-D__TIME__="00:00:00"'
compiler.c.extra_flags={flota.date}
compiler.cpp.extra_flags={flota.date} -DDECIMAL_DIG=__DECIMAL_DIG__
PLATFORM
cp -a "$firmware/virtual" user/hardware/flota/virtual
rm -rf user/hardware/flota/virtual/sketches
g++ -O2 -static -o user/hardware/flota/virtual/tools/esp_image "$firmware/virtual/tools/esp_image.cpp"
if [ "$fixture" ]; then
  mkdir user/hardware/fixture
  cp -a "$firmware/fixture" user/hardware/fixture/esp32like
fi
for package in "$cores"/packages/*; do
  [ "${package##*/}" = builtin ] || place "$package" "data/packages/${package##*/}"
done
# Each platform whose architecture FlotaOTA supports gets it as a library of its own.
agent() { sed -n "s/^$1=//p" "$firmware/esp32/FlotaOTA/library.properties"; }
for architecture in $(agent architectures | tr ',' ' '); do
  for platform in user/hardware/*/"$architecture" data/packages/*/hardware/"$architecture"/*; do
    rm -rf "$platform/libraries/FlotaOTA"
    mkdir -p "$platform/libraries"
    cp -a "$firmware/esp32/FlotaOTA" "$platform/libraries/FlotaOTA"
    # The core and the folders of this machine; the other machines' are not compiled with every sketch.
    case $architecture in
      virtual) own="posix mbedtls" ;;
      rp2040) own="pico bearssl" ;;
      *) own="$architecture mbedtls" ;;
    esac
    rm -rf "$platform/libraries/FlotaOTA/examples"
    for folder in "$platform"/libraries/FlotaOTA/src/*/; do
      case " flota $own " in *" $(basename "$folder") "*) ;; *) rm -rf "$folder" ;; esac
    done
  done
done
place "$micropython" micropython
cp "$mpy_cross" micropython/mpy-cross
cp "$here/micropython-boards.txt" micropython/boards.txt
# The update agent: what a compile worker adds to a managed release.
mkdir -p base micropython/agent/{py,mpy} micropython/pico/{a,flota}
for module in "$firmware"/pico/flota_*.py; do
  name=${module##*/}
  [ "$name" != flota_boot.py ] || continue
  cp "$module" micropython/agent/py
  micropython/mpy-cross -s "$name" -o "micropython/agent/mpy/${name%.py}.mpy" "$module" || fail "$name did not compile"
done
sed -n 's/^VERSION = "\(.*\)"$/\1/p' "$firmware/pico/flota_agent.py" >micropython/agent/version
# The first flash of a Pico, as files: the bootloader, and in slot a the base release, with its index.
cp "$firmware"/pico/{boot,main,flota_boot}.py micropython/pico
cp -a "$firmware/pico/base/." micropython/pico/a
cp micropython/agent/mpy/*.mpy micropython/pico/a
(
  cd micropython/pico/a
  find . -type f -printf '%P\n' | LC_ALL=C sort | while read -r file; do
    printf '%s %s %s\n' "$(sha256sum "$file" | cut -d' ' -f1)" "$(stat -c %s "$file")" "$file"
  done >"$new/index"
  mv "$new/index" .index
)
echo "a valid" >micropython/pico/flota/slot
# A Pico without hardware, and its file system as the first flash leaves it.
cp -a "$firmware/pico/virtual" micropython/virtual
rm -f micropython/virtual/*.md
size=$(awk '$1 == "virtual_pico_w" {print $2}' micropython/boards.txt)
(cd micropython/virtual && ../micropython image.py "$new/base/flota-virtual-pico.bin" "$size" "$new/micropython/pico") ||
  fail "the file system of the virtual Pico could not be made"
# A link to nowhere makes arduino-cli think that a core has changed.
find user -xtype l -delete

# Compiles a sketch of ours for the virtual board, as the farm would. What the objects say of paths and times is the same wherever this runs.
own() {
  cat >own/arduino-cli.yaml <<YAML
directories: {data: $new/data, downloads: $new/own, user: $new/user}
build_cache: {path: $new/own/cache, compilations_before_purge: 0}
metrics: {enabled: false}
updater: {enable_notification: false}
YAML
  printf '#include <FlotaOTA.h>\nFLOTA_MANAGED\n' >own/sketch/sketch.ino.flota.cpp
  local paths="\"-ffile-prefix-map=$new=/toolchain\" \"-ffile-prefix-map=$new/own=/job\""
  (cd own && SOURCE_DATE_EPOCH=946684800 LC_ALL=C ../bin/arduino-cli --config-file arduino-cli.yaml compile -q --json -b flota:virtual:esp32 \
    --build-property "compiler.c.extra_flags=$paths" --build-property "compiler.cpp.extra_flags=$paths" sketch >log 2>&1) ||
    { tail -c 2000 own/log >&2; fail "$1 did not compile for the virtual board"; }
}
echo "  compiling FlotaOTA for the virtual board …" >&2
mkdir -p own/sketch
printf 'void setup() {}\nvoid loop() {}\n' >own/sketch/sketch.ino
own FlotaOTA
(
  # Not as what arduino-cli calls a precompiled library: it says so in every build's log, which takes it 50 ms.
  cd user/hardware/flota/virtual
  (cd "$new"/own/cache/sketches/*/libraries/FlotaOTA && find . -name '*.o' | LC_ALL=C sort | xargs gcc-ar qcsD "$new/own/libFlotaOTA.a")
  strip -Dg "$new/own/libFlotaOTA.a"
  find libraries/FlotaOTA/src -name '*.cpp' -delete
  mv "$new/own/libFlotaOTA.a" libraries/FlotaOTA
  echo 'compiler.libraries.ldflags="{runtime.platform.path}/libraries/FlotaOTA/libFlotaOTA.a"' >platform.local.txt
)
echo "  compiling the base firmware for the virtual board …" >&2
rm -rf own/sketch own/cache/sketches
cp -a "$firmware/esp32/base" own/sketch
mv own/sketch/base.ino own/sketch/sketch.ino
own "the base firmware"
cp own/cache/sketches/*/sketch.ino.bin base/flota-virtual-esp32.bin
rm -rf own

# A compiled core is taken only while it is younger than every file of its platform.
find user data/packages/*/hardware/*/*/libraries/FlotaOTA -exec touch -h -d @946684800 {} +
# A worker reads this as another user.
chmod -R a+rX .

# Compiles Blink for a board and keeps its core. The paths are those of a worker's sandbox: they are part of the cache's key.
mkdir "$new/warm" "$new/warm/sketch" "$new/members"
printf 'void setup() { pinMode(LED_BUILTIN, OUTPUT); }\nvoid loop() { digitalWrite(LED_BUILTIN, !digitalRead(LED_BUILTIN)); delay(500); }\n' >warm/sketch/sketch.ino
warm() {
  mkdir -p warm/cache
  bwrap --unshare-ipc --unshare-pid --unshare-net --unshare-uts --die-with-parent --new-session --clearenv \
    --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp \
    --ro-bind "$new" /toolchain --dir /job --ro-bind "$new/warm/sketch" /job/sketch --bind "$new/warm/cache" /job/cache \
    --setenv HOME /tmp --setenv PATH /usr/bin:/bin --setenv LC_ALL C --setenv SOURCE_DATE_EPOCH 946684800 \
    /toolchain/bin/arduino-cli --config-file /toolchain/arduino-cli.yaml compile -q --json -b "$1" /job/sketch >warm/log 2>&1
}
while read -r fqbn; do
  platform=$(cut -d: -f1,2 <<<"$fqbn") # options may follow the board
  [ -d "user/hardware/${platform/://}" ] || [ -d "data/packages/${platform/://hardware/}" ] || continue
  echo "  compiling the core of $fqbn …" >&2
  warm "$fqbn" || { tail -c 2000 warm/log >&2; echo "flota: the core of $fqbn did not compile beforehand; its first builds will be slower" >&2; rm -rf warm/cache; continue; }
  cp -a warm/cache/cores/. cache/cores/
  # What every program of this platform has in it: an agent that is first to ask for it does not cost it.
  for map in warm/cache/sketches/*/sketch.ino.map; do
    sed -n '/^Archive member included/,/^[ADMT][^/]*$/s|^\(.*/\)\?\([^/ ]*\.a([^) ]*)\).*|\2|p' "$map" >>"members/$platform"
  done
  # What every managed sketch has in common, so that it is not compiled with each: a build folder without what is the sketch's.
  for library in "user/hardware/${platform/://}" "data/packages/${platform/://hardware/}"/*; do
    [ -d "$library/libraries/FlotaOTA" ] || continue
    rm -rf warm/cache/sketches
    printf '#include <FlotaOTA.h>\nFLOTA_MANAGED\n' >warm/sketch/sketch.ino.flota.cpp
    if warm "$fqbn"; then
      mkdir -p "managed/$fqbn"
      (cd warm/cache/sketches && cp -a --parents -t "$new/managed/$fqbn" */sketch/sketch.ino.flota.cpp* */libraries */includes.cache */libraries.cache)
    else
      tail -c 2000 warm/log >&2; echo "flota: FlotaOTA did not compile for $fqbn beforehand; its builds will be slower" >&2
    fi
    rm warm/sketch/sketch.ino.flota.cpp
    break
  done
  rm -rf warm/cache
done < <(grep -v '^#' "$here/prewarm.txt")
rm -rf warm
for list in members/*; do LC_ALL=C sort -u -o "$list" "$list"; done

printf '{"digest": "%s", "micropython": "%s"}\n' "$digest" "$(cd micropython && ./micropython -c 'import sys; print("%d.%d.%d" % sys.implementation.version[:3])')" >toolchain.json
chmod -R a-w .
chmod u+w .
mv "$new" "$out"
trap - EXIT
# Keep the five youngest: a running worker may still use an older one.
ls -1dt "$cache"/toolchains/*/ | tail -n +6 | while read -r old; do chmod -R u+w "$old"; rm -rf "$old"; done
done_with_it
