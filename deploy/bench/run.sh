#!/usr/bin/env bash
# Measures what deploy/bench/RESULTS.md shows.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/setup/setup.sh bench
. deploy/setup/env.sh
exec go run ./deploy/solo/cmd/flota-bench "$@"
