#!/usr/bin/env bash
# Builds one pinned tool from its Go module into the cache and prints its path.
#   deploy/tools/build.sh arduino-cli
# The module's go.sum verifies what is downloaded; the cache is keyed by go.mod, go.sum and the Go version.
set -euo pipefail
shopt -s nullglob
here=$(cd "$(dirname "$0")" && pwd)
tool=${1:?usage: build.sh TOOL}
cd "$here/$tool"
key=$(cat go.mod go.sum ./*.go <(go env GOVERSION GOARCH) | sha256sum | cut -c1-16)
out=${FLOTA_CACHE:-$HOME/.cache/flota}/tools/$tool-$key
if [ ! -x "$out/$tool" ]; then
  package=$(awk '/^tool /{print $2}' go.mod)
  version=$(awk -v p="${package:-none}" '/^require [^(]/{r=$2; v=$3} /^\t[^ ]+ v/{if(index(p"/",$1"/")==1){r=$1; v=$2}} END{print v}' go.mod)
  echo "building $tool ${version:-} from its Go module (once; kept in ${out%/*}) …" >&2
  mkdir -p "$out"
  GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$out/$tool.new" "${package:-.}" || {
    echo "flota: $tool could not be built: the Go module proxy must be reachable the first time." >&2; exit 1; }
  mv "$out/$tool.new" "$out/$tool"
fi
echo "$out/$tool"
