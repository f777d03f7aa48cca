#!/usr/bin/env bash
# backup.sh: cron and systemd, which run an installed schedule, zstd, which opens a backup without us,
# and strace, which kills at a system call.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing=()
for program in cron zstd strace; do
  command -v "$program" >/dev/null || missing+=("$program")
done
[[ -x /lib/systemd/systemd ]] || missing+=(systemd)
if [[ ${#missing[@]} == 0 ]]; then
  say "using cron, strace and $(zstd --version)"
  exit
fi
is_root && is_debian || cannot "${missing[*]} not on PATH, and only root on Debian can install it here"
take_lock
began=$EPOCHREALTIME
say "installing Debian's ${missing[*]}"
debian_install "${missing[@]}" || cannot "apt-get could not install ${missing[*]}; see $STATE/apt.log"
say "installed ${missing[*]} in $(seconds_since "$began") s"
