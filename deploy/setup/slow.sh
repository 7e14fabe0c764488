#!/usr/bin/env bash
# The slower tiers: the object store on a real MinIO server, and the services as separate processes on a real NATS
# server, MongoDB's wire and real S3 servers, behind Caddy; and of the firmware what takes minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/setup/setup.sh test slow
. deploy/setup/env.sh
FLOTA_TEST_NATS_SERVER=$(deploy/tools/build.sh nats-server); export FLOTA_TEST_NATS_SERVER
FLOTA_TEST_CADDY=$(deploy/tools/build.sh caddy); export FLOTA_TEST_CADDY

step "services as separate processes, our own S3 server"
FLOTA_TEST_SEPARATE=1 deploy/setup/go-test.sh -count=1 -v -timeout 15m -run Separate ./deploy/solo
FLOTA_TEST_MINIO=$(deploy/tools/build.sh minio); export FLOTA_TEST_MINIO
step "object store on MinIO"
deploy/setup/go-test.sh -count=1 -v -timeout 10m -run MinIO ./pkg/blob
step "services as separate processes on MinIO: the first update"
FLOTA_TEST_SEPARATE=1 deploy/setup/go-test.sh -count=1 -v -timeout 10m -run 'SeparateProcesses/(each_says|the_first)' ./deploy/solo
# Picos wait most of the time, and a cut at every byte is one thread's work: they run beside the compilers.
said=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$said"' EXIT
firmware/pico/test/run.sh full >"$said/pico" 2>&1 & pico=$!
firmware/pico/arduino/test/run.sh full >"$said/arduino" 2>&1 & arduino=$!
ended() { wait "$1" || { cat "$2"; exit 1; }; cat "$2"; }
step "FlotaOTA: two compilers, sanitizers, a power cut at every byte, fuzzing"
FUZZ_SECONDS=${FUZZ_SECONDS:-10} firmware/esp32/test/run.sh full
step "virtual boards: every sketch, compiled by arduino-cli"
FLOTA_TEST_FULL=1 deploy/setup/go-test.sh -count=1 -timeout 20m -run '^TestSketches' ./firmware/chip
step "FlotaOTA on a Pico: sanitizers, a power cut at every byte"
ended "$arduino" "$said/arduino"
step "Pico: modules, vectors, the agent and the upload service, all of it and on the next MicroPython"
ended "$pico" "$said/pico"
step "fault lab: three hundred power cuts of each kind of board, and every other fault (make faultlab: a thousand)"
deploy/setup/go-test.sh -count=1 -timeout 60m ./firmware/faultlab -args -cuts=300
step "FlotaOTA with the real cores of an ESP32 and of a Pico, where they are installed"
firmware/esp32/compile-check.sh "$arduino_cli"
