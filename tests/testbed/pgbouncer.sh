#!/usr/bin/env bash
# pgbouncer.sh: PgBouncer, found or installed: what it does to a session must not surprise a migration.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version() { pgbouncer --version | awk 'NR == 1 { print $2 }'; }

if command -v pgbouncer >/dev/null; then
  say "using PgBouncer $(version)"
  exit
fi
is_root && is_debian || cannot "pgbouncer is not on PATH, and only root on Debian can install it here"
take_lock
began=$EPOCHREALTIME
say "installing Debian's pgbouncer"
# Its package starts a service on port 6432 of this machine, which no test needs.
policy=/usr/sbin/policy-rc.d
if [[ ! -e "$policy" ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
debian_install pgbouncer || cannot "apt-get could not install pgbouncer; see $STATE/apt.log"
say "installed PgBouncer $(version) in $(seconds_since "$began") s"
