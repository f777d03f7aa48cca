#!/usr/bin/env bash
# up.sh: everything that the demo and the tests need of this machine, in order, each step timed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

times=""
all=$EPOCHREALTIME
for step in engine compose base-image images age; do
  began=$EPOCHREALTIME
  "$TESTBED/$step.sh" # its exit code is ours
  times+="${times:+, }$step $(seconds_since "$began")"
done
say "ready in $(seconds_since "$all") s ($times)"
