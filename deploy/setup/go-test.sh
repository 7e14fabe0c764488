#!/usr/bin/env bash
# go test, with its arguments: deploy/setup/go-test.sh [flags] <packages> [-args …]
# A package that fails is run once more, alone: beside others on two busy cores, a time limit can be the machine's doing. What
# fails twice has failed. What passes the second time is named, and is a bug to be mended: of the test, or one that it has found.
set -uo pipefail
said=$(mktemp)
trap 'rm -f "$said"' EXIT
go test "$@" 2>&1 | tee "$said"
status=${PIPESTATUS[0]}
[ "$status" -ne 0 ] || exit 0
mapfile -t failed < <(awk -F'\t' '$1 == "FAIL" && $2 ~ /\// { sub(/ .*/, "", $2); print $2 }' "$said" | sort -u)
# What does not even compile, a data race, or so many at once, is no matter of time.
if grep -q 'DATA RACE\|\[\(build\|setup\) failed\]' "$said" || [ ${#failed[@]} -eq 0 ] || [ ${#failed[@]} -gt 3 ]; then exit "$status"; fi

flags=() rest=() past=
for a in "$@"; do
  [ "$a" != -args ] || past=1
  if [ -n "$past" ]; then rest+=("$a"); elif ! go list -- "$a" >/dev/null 2>&1; then flags+=("$a"); fi
done
printf '\n--- once more, alone: %s\n' "${failed[*]}"
go test "${flags[@]}" -count=1 -p 1 "${failed[@]}" "${rest[@]}" || exit
printf '\nNEEDED A SECOND TRY: %s\n' "${failed[*]}"
grep -E '^ *--- FAIL' "$said"
exit 0
