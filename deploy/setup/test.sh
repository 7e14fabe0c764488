#!/usr/bin/env bash
# What `make test` runs after setup: every module's tests, the web editor's, and the product as a whole.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/setup/setup.sh test
. deploy/setup/env.sh
whole=github.com/flota/flota/deploy/solo

step "go vet"
go vet work
step "web editor: unit tests"
(cd services/editor/web && npm test --silent)
step "FlotaOTA: the portable core"
firmware/esp32/test/run.sh quick
step "FlotaOTA: what it has of its own for a Pico"
firmware/pico/arduino/test/run.sh quick
step "Pico: modules, vectors, the agent and the upload service on real MicroPython"
firmware/pico/test/run.sh quick
step "Go tests of every package; virtual boards, a few sketches, a few of the fault lab's power cuts"
go list work | grep -vx "$whole" | xargs deploy/setup/go-test.sh -timeout 10m
# Alone on the machine, and never from the cache: it runs binaries, compilers and a browser.
step "the product as a whole: flota-solo, simulated devices, Chromium"
FLOTA_TEST_BROWSER=/usr/bin/chromium deploy/setup/go-test.sh -count=1 -v -timeout 10m "$whole"
step "done; screenshots are in deploy/solo/out/browser"
