#!/usr/bin/env bash
# image.sh: stockctl's own image, from the present source. Its packages and Debian's are in the layer cache after the first time.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_engine
began=$EPOCHREALTIME
take_lock
make --no-print-directory -C "$REPO" image >"$STATE/build-stockctl.log" 2>&1 || {
  tail -n 15 "$STATE/build-stockctl.log" >&2
  fail "the build of stockctl's image failed; its last lines are above, all of them in $STATE/build-stockctl.log"
}
say "stockctl's image is up to date ($(seconds_since "$began") s)"
