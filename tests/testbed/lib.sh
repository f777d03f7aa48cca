# shellcheck shell=bash
# What the test bed's scripts share: where things are, how they speak, the lock. Sourced, never run.

set -euo pipefail

TESTBED="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
REPO="$(dirname "$(dirname "$TESTBED")")"
STATE="${STOCKCTL_TESTBED_STATE:-$REPO/.testbed}"

# dockerd, iptables and debootstrap live in sbin, which a plain user's PATH or a cron job's lacks.
PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export PATH

CANNOT_BE_HAD=3 # exit code: this machine cannot give the part; the caller decides what that means

STEP="$(basename "$0" .sh)"

say() { printf '== %s: %s\n' "$STEP" "$*"; }
complain() { printf '== %s: %s\n' "$STEP" "$*" >&2; }
cannot() {
  complain "$*"
  exit "$CANNOT_BE_HAD"
}
fail() {
  complain "$*"
  exit 1
}

is_root() { [[ "$(id -u)" == 0 ]]; }
is_debian() { [[ -r /etc/os-release ]] && grep -q '^ID=debian$' /etc/os-release && [[ -x "$(command -v apt-get)" ]]; }

# Seconds since START (a value of $EPOCHREALTIME), with one decimal.
seconds_since() {
  local microseconds=$((${EPOCHREALTIME/./} - ${1/./}))
  printf '%d.%d' $((microseconds / 1000000)) $((microseconds % 1000000 / 100000))
}

make_state_folder() {
  mkdir -p "$STATE" 2>/dev/null || true
  [[ -w "$STATE" ]] || cannot "cannot write the state folder $STATE; name another in STOCKCTL_TESTBED_STATE"
}

# One test bed script at a time changes the machine. Whoever waited must look again at what is there.
# The descriptor must not leak into a daemon, which would hold the lock for ever: engine.sh closes it there.
take_lock() {
  make_state_folder
  { exec 9>"$STATE/lock"; } 2>/dev/null || cannot "cannot write $STATE/lock"
  flock -n 9 && return
  say "another test bed script is at work; waiting for it"
  flock -w 900 9 || fail "another test bed script still holds $STATE/lock after 15 minutes"
}

# The engine's version when one answers, else failure. An engine that hangs counts as none.
engine_version() {
  command -v docker >/dev/null || return 1
  local version
  version="$(timeout 10 docker version --format '{{.Server.Version}}' 2>/dev/null)" && [[ -n "$version" ]] && echo "$version"
}

need_engine() { engine_version >/dev/null || cannot "no Docker engine answers; run tests/testbed/engine.sh first"; }

# Installs Debian packages; refreshes the package lists only when the first try fails.
debian_install() {
  local log="$STATE/apt.log"
  export DEBIAN_FRONTEND=noninteractive
  set -- apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"
  "$@" >"$log" 2>&1 </dev/null && return 0
  apt-get -o DPkg::Lock::Timeout=120 update >>"$log" 2>&1 </dev/null && "$@" >>"$log" 2>&1 </dev/null
}
