#!/usr/bin/env bash
# up.sh: everything that the demo and the tests need of this machine, in order, each step timed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

times=""
all=$EPOCHREALTIME
for step in engine compose base-image images image age backup pgbouncer postgres sshd faketime registry seaweedfs prometheus k6 k6-image; do
  began=$EPOCHREALTIME
  code=0
  "$TESTBED/$step.sh" || code=$?
  # Without these the tests against them are skipped, but not in CI. Any other exit code is ours.
  [[ "$code" == 0 || ("$step" =~ ^(age|backup|pgbouncer|postgres|sshd|faketime|registry|seaweedfs|prometheus|k6|k6-image)$ && "$code" == "$CANNOT_BE_HAD" && -z "${CI:-}") ]] || exit "$code"
  times+="${times:+, }$step $(seconds_since "$began")"
done
say "ready in $(seconds_since "$all") s ($times)"
