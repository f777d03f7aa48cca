#!/usr/bin/env bash
# sshd.sh: OpenSSH's server, found or installed. The tests start one of their own on 127.0.0.1, with keys made for them.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version() { ssh -V 2>&1 | cut -d , -f 1; }

if command -v sshd >/dev/null && command -v ssh-keygen >/dev/null; then
  say "using $(version)"
  exit
fi
is_root && is_debian || cannot "sshd is not on PATH, and only root on Debian can install it here"
take_lock
began=$EPOCHREALTIME
say "installing Debian's openssh-server"
# Its package starts a service on port 22 of this machine, which no test needs.
policy=/usr/sbin/policy-rc.d
if [[ ! -e "$policy" ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
debian_install openssh-server openssh-client openssh-sftp-server || cannot "apt-get could not install openssh-server; see $STATE/apt.log"
say "installed $(version) in $(seconds_since "$began") s"
