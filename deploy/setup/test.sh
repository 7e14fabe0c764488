#!/usr/bin/env bash
# What `make test` runs after setup: every module's tests, the web editor's, and the product as a whole.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/setup/setup.sh test
. deploy/setup/env.sh
step() { printf '\n--- %s\n' "$1"; }

step "go vet"; go vet work
step "web editor: unit tests"; (cd services/editor/web && npm test --silent)
step "Go tests of every module"; go test -timeout 10m work
