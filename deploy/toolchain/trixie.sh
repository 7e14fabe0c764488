# Sourced: apt of Debian trixie, beside whatever Debian this is. What it fetches is verified by trixie's archive key. Its state is
# below $work, a new folder of the caller's: nothing of the machine's own changes.
# $suite names another suite than trixie.
#   trixie_get deb|deb-src <apt-get's arguments>     runs it in $work/get, or ends with one sentence
mirror=${FLOTA_DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

trixie() {
  # apt drops its rights to this user for fetching; a folder under /root would be out of its reach.
  apt-get -q -o "APT::Architecture=$(dpkg --print-architecture)" -o "Dir::State=$work/state" -o "Dir::State::status=$work/status" \
    -o "Dir::Cache=$work/cache" -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- \
    -o APT::Sandbox::User=root "$@"
}

trixie_get() {
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/get"
  : >"$work/status"
  echo "$1 [signed-by=$keyring] $mirror ${suite:-trixie} main" >"$work/sources.list"
  shift
  { trixie update && (cd "$work/get" && trixie "$@"); } >"$work/log" 2>&1 || {
    sed 's/^/  /' "$work/log" >&2
    echo "flota: MicroPython could not be fetched from $mirror: is it reachable (FLOTA_DEBIAN_MIRROR names another), and does $keyring hold the key of ${suite:-trixie}?" >&2
    exit 1
  }
}
