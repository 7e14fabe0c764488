#!/usr/bin/env bash
# Style and structure, in every language of the project.
set -euo pipefail
cd "$(dirname "$0")/../.."
step() { printf -- '--- %s\n' "$1"; }
buf=$(deploy/tools/build.sh buf); golangci=$(deploy/tools/build.sh golangci-lint)

step "go vet"; go vet work
step "golangci-lint"
for module in $(go work edit -json | awk -F'"' '/DiskPath/{print $4}'); do (cd "$module" && "$golangci" run --config "$OLDPWD/.golangci.yml" ./...); done
step "buf"; (cd proto && "$buf" lint)
# What was released must stay readable.
if release=$(git describe --tags --abbrev=0 2>/dev/null); then
  (cd proto && "$buf" breaking --against "../.git#tag=$release,subdir=proto")
else
  echo "buf breaking: nothing is released yet to compare with"
fi
step "generated code is current"
generated() { git ls-files -z '*.pb.go' '*.gen.go' 'services/editor/web/src/api/*.d.ts' firmware/vectors proto/README.md deploy/nats/nats.conf | xargs -0 sha256sum; }
before=$(generated)
deploy/setup/gen.sh
[ "$before" = "$(generated)" ] || { echo "flota: generated code was out of date; it is made again now: look at git diff and commit it" >&2; exit 1; }
step "svelte-check"; (cd services/editor/web && npm run --silent check)
step "flake8"; git ls-files -z '*.py' | xargs -0r flake8 --max-line-length 99
step "clang-format"; git ls-files -z '*.cpp' '*.h' '*.c' 'firmware/esp32/*.ino' | xargs -0r clang-format --dry-run -Werror
step "shell"; for s in $(git ls-files '*.sh' .ci/run); do bash -n "$s"; done
echo "lint: clean"
