#!/usr/bin/env bash
# Builds the web editor into services/editor/web/dist, from which it is embedded.
#   deploy/setup/web.sh [packages]     packages: only installs the packages that it is built with
set -euo pipefail
cd "$(dirname "$0")/../../services/editor/web"
log=$(mktemp); trap 'rm -f "$log"' EXIT
if [ ! -e node_modules/.installed ] || [ package-lock.json -nt node_modules/.installed ]; then
  echo "installing the web editor's packages (npm ci) …" >&2
  npm ci --no-audit --no-fund >"$log" 2>&1 || { tail -15 "$log" >&2; echo "flota: npm ci failed: the npm registry must be reachable the first time." >&2; exit 1; }
  touch node_modules/.installed
fi
[ "${1:-}" != packages ] || exit 0
echo "building the web editor …" >&2
npm run --silent build >"$log" 2>&1 || { tail -30 "$log" >&2; echo "flota: the web editor could not be built." >&2; exit 1; }
touch dist/.built
