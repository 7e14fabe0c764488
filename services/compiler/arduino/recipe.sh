# The whole build of one sketch, in its sandbox. Standard input is a tar with the folder sketch and the files
# fqbn and flags; standard output is a tar with result.json, stderr and, of a good build, its outputs. The
# sketch's path is the same for everybody, because arduino-cli names caches and debug information after it.
tar -xf - || exit 121
exec </dev/null
# What takes longer than a second is shown file by file, by looking at what the compilers wrote: this costs
# short builds nothing, and needs no wrapper around compilers.
(
  : >/job/.seen
  sleep 1
  while :; do
    find /job/cache/sketches -name '*.o' -newer /job/.seen -printf '%P\n' >&3
    sleep 0.3
  done
) 2>/dev/null &
read -r fqbn <fqbn
read -r flags <flags
# What all managed sketches have in common was compiled when the toolchain was laid out.
if [ -e sketch/sketch.ino.flota.cpp ] && [ -d "/toolchain/managed/$fqbn" ]; then
  mkdir -p cache/sketches
  cp -r --preserve=timestamps --no-preserve=mode "/toolchain/managed/$fqbn/." cache/sketches/
fi
/toolchain/bin/arduino-cli --config-file /toolchain/arduino-cli.yaml compile $flags --json --warnings default -b "$fqbn" /job/sketch >result.json 2>stderr
status=$?
echo $status >status
set -- -C /job result.json stderr status
if [ $status = 0 ]; then
  cd /job/cache/sketches/*/ || exit 122
  # Link-time optimisation leaves the random name of a temporary file in the debug information.
  sed -i 's|/tmp/cc......\.ltrans|/tmp/ccflota0.ltrans|g' sketch.ino.elf
  # Which library includes which: for what FlotaOTA costs, where it was compiled here.
  if [ -n "$(ls libraries/FlotaOTA 2>/dev/null)" ]; then
    find sketch libraries -name '*.d' -exec cat {} + >/job/dependencies
    set -- "$@" dependencies
  fi
  set -- "$@" -C "$PWD" sketch.ino.*
fi
exec tar -cf - "$@"
