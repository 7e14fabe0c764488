#!/usr/bin/env bash
# Every Go test once more under the race detector.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/setup/env.sh
go test -race -timeout 20m work
