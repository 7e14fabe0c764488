# Sourced by the test scripts: where the tests find what setup.sh laid out.
arduino_cli=$(deploy/tools/build.sh arduino-cli)
FLOTA_TEST_TOOLCHAIN=$(deploy/toolchain/layout.sh --with-fixture "$arduino_cli"); export FLOTA_TEST_TOOLCHAIN
FLOTA_TEST_FERRETDB=$(deploy/tools/build.sh ferretdb); export FLOTA_TEST_FERRETDB
