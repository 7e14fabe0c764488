#!/usr/bin/env bash
# The slower tiers: five separate processes on a real NATS server, MongoDB's wire and real S3 servers.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/setup/env.sh
FLOTA_TEST_MINIO=$(deploy/tools/build.sh minio); export FLOTA_TEST_MINIO
(cd deploy/solo && go test -count=1 -timeout 15m -run 'MinIO' ./s3server/...)
(cd deploy/solo && FLOTA_TEST_SEPARATE=1 go test -count=1 -timeout 15m -run 'Separate' ./...)
