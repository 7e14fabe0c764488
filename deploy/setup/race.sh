#!/usr/bin/env bash
# Every Go test once more under the race detector; the whole-system tests build their binaries with it, too.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/setup/env.sh
whole=github.com/flota/flota/deploy/solo

step "race detector: every package"
go list work | grep -vx "$whole" | xargs go test -race -timeout 20m
step "race detector: the product as a whole"
go test -race -count=1 -timeout 20m "$whole"
