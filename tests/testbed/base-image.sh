#!/usr/bin/env bash
# base-image.sh: debian:bookworm-slim, found, pulled, or made by debootstrap where no image registry answers.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

IMAGE=debian:bookworm-slim
SUITE=bookworm
PULL_WITHIN=20 # seconds: without a registry it must not hang

# "URI SUITE" of each Debian archive that this machine's own apt uses, as the image will name it.
archives() {
  local here
  here="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)"
  # shellcheck disable=SC2016 # apt-get replaces $(…), not the shell
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sed -nE "s#^([^ ]+) $here(|-updates|-security) main\$#\1 $SUITE\2#p" | sort -u
}

# What apt needs inside a build to reach the archives as this machine does.
configure_apt() {
  local root="$1" conf="$1/etc/apt/apt.conf.d"
  archives | sed 's/.*/deb & main/' >"$root/etc/apt/sources.list"
  apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries)' >"$conf/90machine" || true
  [[ -z "${http_proxy:-}" ]] || echo "Acquire::http::Proxy \"$http_proxy\";" >>"$conf/90machine"
  [[ -z "${https_proxy:-}" ]] || echo "Acquire::https::Proxy \"$https_proxy\";" >>"$conf/90machine"
  if [[ -d "$root/etc/ssl/certs" ]]; then cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
}

# As in the official image: no services at install, no package cache, no docs.
slim_down() {
  local root="$1"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 0755 "$root/usr/sbin/policy-rc.d"
  printf 'path-exclude /usr/share/%s/*\n' doc info man locale >"$root/etc/dpkg/dpkg.cfg.d/docker"
  printf 'path-include /usr/share/doc/*/copyright\npath-include /usr/share/locale/locale.alias\n' >>"$root/etc/dpkg/dpkg.cfg.d/docker"
  printf '%s\n' 'Acquire::Languages "none";' 'Acquire::GzipIndexes "true";' \
    'Dir::Cache::pkgcache "";' 'Dir::Cache::srcpkgcache "";' \
    'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };' >"$root/etc/apt/apt.conf.d/80docker"
  find "$root"/usr/share/{doc,info,man,locale} -type f ! -name copyright ! -name locale.alias -delete
  find "$root"/usr/share/{doc,info,man,locale} -type l -delete
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*.log
  rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
}

# debootstrap mounts /proc inside its folder: never delete through a mount that an interruption left.
clean_up() {
  umount "$FOLDER/proc" "$FOLDER/sys" 2>/dev/null || true
  rm -rf --one-file-system "$FOLDER"
}

make_image() {
  local mirror include=()
  mirror="$(archives | sed -nE "s#^([^ ]+) $SUITE\$#\1#p" | head -n 1)"
  [[ -n "$mirror" ]] || cannot "cannot make $IMAGE: this machine's apt names no Debian archive"
  if archives | grep -q '^https:'; then include=(--include=ca-certificates); fi
  debian_install debootstrap || cannot "apt-get could not install debootstrap; see $STATE/apt.log"
  FOLDER="$(mktemp -d /var/tmp/stockctl-testbed.XXXXXX)"
  trap clean_up EXIT
  chmod 0755 "$FOLDER"
  debootstrap --variant=minbase "${include[@]}" "$SUITE" "$FOLDER" "$mirror" >"$STATE/debootstrap.log" 2>&1 </dev/null ||
    cannot "debootstrap failed; see $STATE/debootstrap.log"
  configure_apt "$FOLDER"
  slim_down "$FOLDER"
  tar -C "$FOLDER" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./run/*' -c . |
    docker import --change 'CMD ["bash"]' --message "debootstrap $SUITE" - "$IMAGE" >/dev/null
}

use_what_is_there() {
  docker image inspect "$IMAGE" >/dev/null 2>&1 || return 0
  say "using the present $IMAGE"
  exit
}

pull() {
  local began=$EPOCHREALTIME
  if timeout "$PULL_WITHIN" docker pull --quiet "$IMAGE" >/dev/null 2>&1 </dev/null; then
    say "pulled $IMAGE in $(seconds_since "$began") s"
    exit
  fi
  say "no image registry gave $IMAGE ($(seconds_since "$began") s)"
}

need_engine
use_what_is_there
pull
if ! { is_root && is_debian; }; then
  cannot "$IMAGE can be neither pulled nor made: debootstrap needs root on Debian"
fi
take_lock
use_what_is_there
began=$EPOCHREALTIME
say "making $IMAGE with debootstrap, half a minute or so"
make_image
say "made $IMAGE in $(seconds_since "$began") s"
