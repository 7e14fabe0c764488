#!/bin/sh
# One bucket and one user for each service that stores objects.
set -eu
mc alias set s3 http://minio:9000 root "$(cat /run/secrets/s3_root)" >/dev/null
for service in editor artifact; do
  mc mb --ignore-existing "s3/flota-$service"
  mc admin user add s3 "$service" "$(cat "/run/secrets/s3_$service")"
  printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::flota-%s","arn:aws:s3:::flota-%s/*"]}]}' \
    "$service" "$service" >/tmp/policy.json
  mc admin policy create s3 "$service" /tmp/policy.json
  mc admin policy attach s3 "$service" --user "$service" || true
done
