#!/usr/bin/env bash
# registry.sh: an image registry, found or installed. The tests start one of their own on 127.0.0.1, from which images are pulled.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version() { docker-registry --version | awk 'NR == 1 { print $3 }'; }

if command -v docker-registry >/dev/null; then
  say "using docker-registry $(version)"
  exit
fi
is_root && is_debian || cannot "docker-registry is not on PATH, and only root on Debian can install it here"
take_lock
began=$EPOCHREALTIME
say "installing Debian's docker-registry"
# Its package starts a service on port 5000 of this machine, which no test needs.
policy=/usr/sbin/policy-rc.d
if [[ ! -e "$policy" ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
debian_install docker-registry || cannot "apt-get could not install docker-registry; see $STATE/apt.log"
say "installed docker-registry $(version) in $(seconds_since "$began") s"
