#!/usr/bin/env bash
# images.sh: builds the test bed's images that are missing or whose context or base has changed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# One line an image: tag, context. The `…-cache` ones only warm the layer cache: stockctl builds them itself in a deploy.
IMAGES=(
  "stockctl-testbed/postgres:15 tests/testbed/images/postgres"
  "stockctl-testbed/redis:7     tests/testbed/images/redis"
  "stockctl-testbed/haproxy:2.6 tests/testbed/images/haproxy"
  "stockctl-testbed/shop:1      tests/testbed/images/shop"
  "stockmind-api:testbed-cache  examples/stockmind-api"
  "letters:testbed-cache        examples/static-worker/image"
)

BASE=debian:bookworm-slim
# Not stockctl.testbed: containers inherit their image's labels, and down.sh removes what carries that one.
LABEL=stockctl.testbed-context

# What a build depends on: names, modes and contents of the context, and the base image.
fingerprint() {
  {
    docker image inspect --format '{{.Id}}' "$BASE" 2>/dev/null || true
    tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
      --exclude=__pycache__ --exclude='.*_cache' -c .
  } | sha256sum | cut -c 1-64
}

# By Compose, whose builder is BuildKit on every engine: a `docker compose build` elsewhere shares its cache,
# a `docker build` without the buildx plugin does not.
build() {
  local tag="$1" context="$2" hash="$3" log
  log="$STATE/build-${tag//[\/:]/-}.log"
  docker compose --project-name stockctl-testbed --progress plain --file - build >"$log" 2>&1 <<END || fail_build "$tag" "$log"
services:
  image:
    image: "$tag"
    build:
      context: "$context"
      labels:
        $LABEL: "$hash"
END
}

fail_build() {
  tail -n 15 "$2" >&2
  fail "the build of $1 failed; its last lines are above, all of them in $2"
}

up_to_date() {
  [[ "$(docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$1" 2>/dev/null)" == "$2" ]]
}

ensure() {
  local tag="$1" context="$2" hash began=$EPOCHREALTIME
  [[ -f "$REPO/$context/Dockerfile" ]] || fail "there is no $context/Dockerfile to build $tag from"
  hash="$(fingerprint "$REPO/$context")"
  if ! up_to_date "$tag" "$hash"; then
    take_lock
    if ! up_to_date "$tag" "$hash"; then
      say "building $tag from $context"
      build "$tag" "$REPO/$context" "$hash"
      say "built $tag in $(seconds_since "$began") s"
      return
    fi
  fi
  say "$tag is up to date"
}

need_engine
docker compose version >/dev/null 2>&1 || cannot "there is no docker compose; run testbed/compose.sh first"
for image in "${IMAGES[@]}"; do
  read -r tag context <<<"$image"
  ensure "$tag" "$context"
done
