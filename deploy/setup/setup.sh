#!/usr/bin/env bash
# Installs what building, running and testing Flota need, and nothing where it is there already.
#   deploy/setup/setup.sh [test] [slow] [lint] [bench]     as root, or as a user with sudo
# Ends with one sentence when something cannot be had.
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { echo "flota: $1" >&2; exit 1; }

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -1)" = "$1" ]; }
command -v go >/dev/null || fail "Go is missing: install Go 1.26 or newer from https://go.dev/dl/"
go_version=$(GOTOOLCHAIN=local go env GOVERSION); go_version=${go_version#go}
at_least 1.26 "$go_version" || fail "Go $go_version is too old: 1.26 or newer is needed (https://go.dev/dl/)"
command -v node >/dev/null && command -v npm >/dev/null || fail "Node.js is missing: install Node.js 20.19, 22.12 or newer with npm (https://nodejs.org/)"
node_version=$(node --version); node_version=${node_version#v}
case $node_version in
  20.*) at_least 20.19 "$node_version" ;;
  21.*) false ;;
  *) at_least 22.12 "$node_version" ;;
esac || fail "Node.js $node_version is too old: 20.19+, or 22.12+ is needed (https://nodejs.org/)"
[ -f /etc/debian_version ] || fail "this set-up knows Debian and its packages only; on another system, see deploy/README.md for what to install by hand"

# Debian packages by name; apt verifies them.
install_packages() {
  local missing=() p
  for p in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local as_root=()
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null || fail "not root and no sudo: as root, install ${missing[*]}"; as_root=(sudo); }
  echo "installing ${missing[*]} …" >&2
  { "${as_root[@]}" apt-get -q update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"${TMPDIR:-/tmp}/flota-apt.$$.log" 2>&1 || {
    tail -5 "${TMPDIR:-/tmp}/flota-apt.$$.log" >&2; fail "these packages could not be installed: ${missing[*]}"; }
  rm -f "${TMPDIR:-/tmp}/flota-apt.$$.log"
}

deploy/toolchain/packages.sh
arduino_cli=$(deploy/tools/build.sh arduino-cli)
deploy/toolchain/layout.sh "$arduino_cli" >/dev/null

for extra in "$@"; do
  case $extra in
    test) install_packages chromium openssl make procps doctest-dev nlohmann-json3-dev libbearssl-dev zlib1g-dev ;;
    slow) install_packages clang libclang-rt-dev ;;
    lint)
      install_packages clang-format flake8
      for tool in golangci-lint buf; do deploy/tools/build.sh "$tool" >/dev/null; done
      ;;
    bench) install_packages nginx-light wrk procps ;;
    *) fail "setup.sh knows test, slow, lint and bench, not $extra" ;;
  esac
done
