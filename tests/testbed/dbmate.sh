#!/usr/bin/env bash
# dbmate.sh: dbmate, the peer that benchmarks/db.py measures against. No test needs it, so up.sh leaves it out.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VERSION=2.36.0
SHA512=2dd2e9832ba5bb027ddeb59cbc98dd96c8c9f2b05e7801f9da1ddd4a4d3300c68bad09f8f5dba9d7fa36b45a46d6333d7fbebb1e4b97741aeb8f2e99c06f414a
PROGRAM="$STATE/dbmate"

here() { [[ -x "$PROGRAM" && "$("$PROGRAM" --version 2>/dev/null)" == *" $VERSION" ]]; }

if here; then
  say "using dbmate $VERSION"
  exit
fi
[[ "$(uname -sm)" == "Linux x86_64" ]] || cannot "the pinned dbmate is for Linux on x86_64"
command -v npm >/dev/null || cannot "there is no npm to fetch dbmate with (Debian: apt-get install npm)"
take_lock
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
say "fetching dbmate $VERSION"
(cd "$folder" && npm pack --silent "@dbmate/linux-x64@$VERSION" >/dev/null 2>npm.log </dev/null) ||
  cannot "npm could not fetch dbmate $VERSION: $(tail -n 1 "$folder/npm.log" | cut -c 1-200)"
echo "$SHA512  $folder/dbmate-linux-x64-$VERSION.tgz" | sha512sum --check --status ||
  cannot "dbmate $VERSION is not the archive that was pinned by its sha512"
tar -xzOf "$folder/dbmate-linux-x64-$VERSION.tgz" package/bin/dbmate >"$PROGRAM.new"
chmod 0755 "$PROGRAM.new"
mv "$PROGRAM.new" "$PROGRAM"
here || cannot "dbmate $VERSION does not run on this machine"
say "dbmate $VERSION is in $PROGRAM"
