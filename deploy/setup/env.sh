# Sourced by the test scripts: builds what the tests find by these variables.
arduino_cli=$(deploy/tools/build.sh arduino-cli)
FLOTA_TEST_TOOLCHAIN=$(deploy/toolchain/layout.sh --with-fixture "$arduino_cli"); export FLOTA_TEST_TOOLCHAIN
FLOTA_TEST_FERRETDB=$(deploy/tools/build.sh ferretdb); export FLOTA_TEST_FERRETDB
mkdir -p bin
go build -o bin/s3server ./deploy/solo/cmd/s3server
FLOTA_TEST_S3=$PWD/bin/s3server; export FLOTA_TEST_S3
step() { printf '\n--- %s (%s)\n' "$1" "$(date -u +%T)"; }
