#!/usr/bin/env bash
# down.sh: removes what carries the test bed's label and stops the engine if up.sh started it. Images and packages stay.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LABEL=stockctl.testbed=1

# remove KIND FLAG...: removes every KIND that carries the label.
remove() {
  local kind="$1" ids=() id
  shift
  case "$kind" in
  container) mapfile -t ids < <(docker container ls --all --quiet --filter "label=$LABEL") ;;
  *) mapfile -t ids < <(docker "$kind" ls --quiet --filter "label=$LABEL") ;;
  esac
  for id in "${ids[@]}"; do
    docker "$kind" rm "$@" "$id" >/dev/null 2>&1 || fail "cannot remove $kind $id: something without the label uses it"
  done
  ((${#ids[@]} == 0)) || say "removed ${#ids[@]} ${kind}(s) with the label $LABEL"
}

if engine_version >/dev/null; then
  remove container --force --volumes # their anonymous volumes go with them
  remove network
  remove volume
fi
"$TESTBED/engine.sh" down
