#!/usr/bin/env bash
# The upload service's tests: on real MicroPython, over real sockets, and in a real browser.
#   firmware/pico/test/service.sh [quick|full|figures]     on $MICROPYTHON, else on the product's
# full has more power cuts and prints the figures (key=value), figures does nothing else. Without the web editor's packages
# (deploy/setup/web.sh) or chromium the browser's part is skipped, and says so.
set -euo pipefail
cd "$(dirname "$0")/service"
mode=${1:-quick}
root=$(cd ../../../.. && pwd)
MICROPYTHON=${MICROPYTHON:-$("$root/deploy/toolchain/micropython.sh")/micropython}; export MICROPYTHON
MPY_CROSS=$("$root/deploy/toolchain/mpy-cross.sh"); export MPY_CROSS
export SERVICE_TESTS=$mode PYTHONDONTWRITEBYTECODE=1

[ "$mode" != figures ] || exec python3 figures.py
python3 table.py
[ "$mode" = quick ] || python3 figures.py

modules=${NODE_MODULES:-$root/services/editor/web/node_modules}
chromium=${FLOTA_TEST_BROWSER:-/usr/bin/chromium}
if [ ! -d "$modules/playwright-core" ] || [ ! -x "$chromium" ]; then
  echo "skipped: the page in a browser (it needs $modules, by deploy/setup/web.sh, and $chromium)"
  exit 0
fi
FLOTA_TEST_BROWSER=$chromium NODE_MODULES=$modules node --test --test-reporter=spec browser.mjs
