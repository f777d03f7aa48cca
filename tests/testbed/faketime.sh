#!/usr/bin/env bash
# faketime.sh: libfaketime, found or installed: it gives programs of another machine another time.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

library() { compgen -G '/usr/lib/*/faketime/libfaketime.so.1' | head -1; }

if [[ -n "$(library)" ]]; then
  say "using $(library)"
  exit
fi
is_root && is_debian || cannot "there is no libfaketime, and only root on Debian can install it here"
take_lock
began=$EPOCHREALTIME
say "installing Debian's libfaketime"
debian_install libfaketime || cannot "apt-get could not install libfaketime; see $STATE/apt.log"
say "installed $(library) in $(seconds_since "$began") s"
