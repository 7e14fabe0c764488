#!/usr/bin/env bash
# Makes everything again that is generated and committed.
set -euo pipefail
cd "$(dirname "$0")/../.."
buf=$(deploy/tools/build.sh buf); oapi=$(deploy/tools/build.sh oapi-codegen); plugin=$(deploy/tools/build.sh protoc-gen-go)
(cd proto && PATH="$(dirname "$plugin"):$PATH" "$buf" generate)
for dir in services/*/httpapi pkg/httpserve/internal/sample; do (cd "$dir" && "$oapi" -config oapi-codegen.yaml openapi.yaml); done
go generate ./pkg/deviceproto/...
(cd pkg && go test ./flow -run 'Diagram|Conf|NATS' -update >/dev/null)
(cd services/editor/web && npm run --silent gen)
