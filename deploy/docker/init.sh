#!/usr/bin/env bash
# Makes the secrets of a Compose installation, once. An existing one is never replaced.
#   deploy/docker/init.sh
# The master key stays here (keep a copy elsewhere, apart from the data's backup); each service gets only what is
# derived for it, in the same way as flota-solo does: HKDF-SHA256, info "flota/<purpose>".
set -euo pipefail
umask 077
dir=$(cd "$(dirname "$0")" && pwd)/secrets
mkdir -p "$dir"; chmod 755 "$dir"
cd "$dir"
# With a letter first: NATS would read digits as a number.
random() { printf 'x%s' "$(openssl rand -hex 24)"; }
put() { [ -s "$1" ] || printf '%s' "$2" >"$1"; }
derive() {
  openssl kdf -binary -keylen 32 -kdfopt digest:SHA256 -kdfopt "hexkey:$(cat master.key)" -kdfopt "info:flota/$1" HKDF | od -An -v -tx1 | tr -d ' \n'
}

put master.key "$(openssl rand -hex 32)"
for s in auth editor artifact fleet; do put "key_$s" "$(derive "service/$s")"; done
put key_device_seal "$(derive device-seal)"
for s in auth editor compiler artifact fleet boards; do put "nats_$s" "$(random)"; done
for s in root auth editor artifact fleet boards; do put "mongo_$s" "$(random)"; done
for s in auth editor artifact fleet boards; do put "store_$s" "mongodb://$s:$(cat "mongo_$s")@mongo:27017/flota-$s?authSource=flota-$s"; done
for s in root editor artifact; do put "s3_$s" "$(random)"; done
for s in auth editor compiler artifact fleet boards; do printf 'NATS_PASSWORD_%s=%s\n' "$(echo "$s" | tr a-z A-Z)" "$(cat "nats_$s")"; done >nats.env
# Containers read them as another user; the master key goes into none.
chmod 644 key_* nats_* mongo_* store_* s3_*
echo "secrets are in $dir; keep a copy of master.key apart from the data"
