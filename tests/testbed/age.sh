#!/usr/bin/env bash
# age.sh: the `age` tool, found or installed: what it seals we open, and the other way round.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if command -v age >/dev/null && command -v age-keygen >/dev/null; then
  say "using age $(age --version)"
  exit
fi
is_root && is_debian || cannot "age is not on PATH, and only root on Debian can install it here"
take_lock
began=$EPOCHREALTIME
say "installing Debian's age"
debian_install age || cannot "apt-get could not install age; see $STATE/apt.log"
say "installed age $(age --version) in $(seconds_since "$began") s"
