#!/usr/bin/env bash
# The slower tiers: the object store on a real MinIO server, and the services as separate processes on a real NATS
# server, MongoDB's wire and real S3 servers, behind Caddy.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/setup/setup.sh test
. deploy/setup/env.sh
FLOTA_TEST_NATS_SERVER=$(deploy/tools/build.sh nats-server); export FLOTA_TEST_NATS_SERVER
FLOTA_TEST_CADDY=$(deploy/tools/build.sh caddy); export FLOTA_TEST_CADDY

step "services as separate processes, our own S3 server"
FLOTA_TEST_SEPARATE=1 go test -count=1 -v -timeout 15m -run Separate ./deploy/solo
FLOTA_TEST_MINIO=$(deploy/tools/build.sh minio); export FLOTA_TEST_MINIO
step "object store on MinIO"
go test -count=1 -v -timeout 10m -run MinIO ./pkg/blob
step "services as separate processes on MinIO: the first update"
FLOTA_TEST_SEPARATE=1 go test -count=1 -v -timeout 10m -run 'SeparateProcesses/(each_says|the_first)' ./deploy/solo
