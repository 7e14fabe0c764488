#!/usr/bin/env bash
# What `make test` runs after setup: every module's tests, the web editor's, and the product as a whole.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/setup/setup.sh test
. deploy/setup/env.sh
whole=github.com/flota/flota/deploy/solo

step "go vet"
go vet work
# Boards wait most of the time: the compilers work meanwhile.
boards=$(mktemp)
firmware/pico/test/run.sh quick >"$boards" 2>&1 &
pico=$!
trap 'kill "$pico" 2>/dev/null || true; rm -f "$boards"' EXIT
step "web editor: unit tests"
(cd services/editor/web && npm test --silent)
step "FlotaOTA: the portable core"
firmware/esp32/test/run.sh quick
step "FlotaOTA: what it has of its own for a Pico"
firmware/pico/arduino/test/run.sh quick
step "Pico: modules, vectors, the agent and the upload service on real MicroPython"
wait "$pico" || { cat "$boards"; exit 1; }
cat "$boards"
step "Go tests of every package; virtual boards, a few sketches, a few of the fault lab's power cuts"
go list work | grep -vx "$whole" | xargs deploy/setup/go-test.sh -p 3 -timeout 10m # boards and cables mostly wait
# Alone on the machine, and never from the cache: it runs binaries, compilers and a browser.
step "the product as a whole: flota-solo, simulated devices, Chromium"
FLOTA_TEST_BROWSER=/usr/bin/chromium deploy/setup/go-test.sh -count=1 -v -timeout 10m "$whole"
step "done; screenshots are in deploy/solo/out/browser"
