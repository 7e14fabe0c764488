#!/usr/bin/env bash
# The fault lab in full: at least a thousand random power cuts, and every other fault. Arguments are the tests' own, such as
# -seed=1. Writes what it found to deploy/bench.
set -euo pipefail
cd "$(dirname "$0")/../.."
arduino_cli=$(deploy/tools/build.sh arduino-cli)
FLOTA_TEST_TOOLCHAIN=$(deploy/toolchain/layout.sh --with-fixture "$arduino_cli"); export FLOTA_TEST_TOOLCHAIN
results=$PWD/deploy/bench
cd firmware/faultlab
exec go test -count=1 -timeout 60m -args -cuts=1000 -results="$results" "$@"
