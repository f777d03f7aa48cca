#!/usr/bin/env bash
# python.sh: a virtual environment in .venv, with a Python that is new enough.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VENV="$REPO/.venv"
"$VENV/bin/python" -c 'import pip' 2>/dev/null && exit 0

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=""
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
  if new_enough "$candidate"; then
    python="$candidate"
    break
  fi
done
[[ -n "$python" ]] || cannot "Python 3.11 or newer is needed and not on PATH"

if ! "$python" -m venv "$VENV" >/dev/null 2>&1; then
  # Debian keeps venv and pip in a package of their own.
  is_root && is_debian || cannot "$python has no venv module; install it (Debian: apt-get install python3-venv)"
  say "installing python3-venv"
  apt-get update -qq >/dev/null
  apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  rm -rf "$VENV"
  "$python" -m venv "$VENV"
fi
say "made .venv with $("$VENV/bin/python" --version)"
