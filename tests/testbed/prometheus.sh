#!/usr/bin/env bash
# prometheus.sh: promtool, found or installed: it reads the alert rules and tries them.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version() { promtool --version 2>&1 | awk 'NR == 1 { print $3 }' | tr -d ,; }

if command -v promtool >/dev/null; then
  say "using promtool $(version)"
  exit
fi
is_root && is_debian || cannot "promtool is not on PATH, and only root on Debian can install it here"
take_lock
began=$EPOCHREALTIME
say "installing Debian's prometheus, for its promtool"
# Its package starts a server on port 9090 of this machine, which no test needs.
policy=/usr/sbin/policy-rc.d
if [[ ! -e "$policy" ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
debian_install prometheus || cannot "apt-get could not install prometheus; see $STATE/apt.log"
say "installed promtool $(version) in $(seconds_since "$began") s"
