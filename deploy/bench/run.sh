#!/usr/bin/env bash
# Measures what deploy/bench/RESULTS.md shows.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/setup/setup.sh test bench # some figures are those of the firmware's tests
. deploy/setup/env.sh
exec go run ./deploy/solo/cmd/flota-bench "$@"
