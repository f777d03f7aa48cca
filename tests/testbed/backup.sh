#!/usr/bin/env bash
# backup.sh: cron, which runs an installed schedule, and zstd, which opens a backup without us.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing=()
command -v cron >/dev/null || missing+=(cron)
command -v zstd >/dev/null || missing+=(zstd)
if [[ ${#missing[@]} == 0 ]]; then
  say "using cron and $(zstd --version)"
  exit
fi
is_root && is_debian || cannot "${missing[*]} not on PATH, and only root on Debian can install it here"
take_lock
began=$EPOCHREALTIME
say "installing Debian's ${missing[*]}"
debian_install "${missing[@]}" || cannot "apt-get could not install ${missing[*]}; see $STATE/apt.log"
say "installed ${missing[*]} in $(seconds_since "$began") s"
