#!/usr/bin/env bash
# Every Go test once more under the race detector; the whole-system tests build their binaries with it, too.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/setup/env.sh
whole=github.com/flota/flota/deploy/solo

# What compiles and runs C++ for minutes has no more Go in it than the rest of its kind.
step "race detector: every package but the fault lab, without sketches"
go list work | grep -vx -e "$whole" -e github.com/flota/flota/firmware/faultlab | xargs deploy/setup/go-test.sh -race -timeout 20m -skip '^(TestSketches|TestExamples|TestArduino)$'
step "race detector: the product as a whole, without the page"
deploy/setup/go-test.sh -race -count=1 -timeout 20m -skip 'InABrowser$' "$whole"
