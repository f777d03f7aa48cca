#!/usr/bin/env bash
# engine.sh [up|down|status]: a running Docker engine, found or started; `down` stops only what `up` started.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

READY_WITHIN=60 # seconds for an engine to answer
GONE_WITHIN=60  # seconds for an engine to stop its containers and end
LOG="$STATE/dockerd.log"
PIDFILE=/var/run/docker.pid # dockerd's own default
RECORD="$STATE/engine" # "PID START_TICKS BOOT_ID" of the engine that we started

# --- the record of our own engine -------------------------------------------------------------

# Start time in clock ticks since boot: field 22 of proc(5) stat, counted after the name in brackets.
start_ticks() {
  local stat
  stat="$(cat "/proc/$1/stat" 2>/dev/null)" || return 1
  read -ra stat <<<"${stat##*) }"
  echo "${stat[19]}"
}

record_engine() { echo "$PID $(start_ticks "$PID") $(cat /proc/sys/kernel/random/boot_id)" >"$RECORD"; }

# The pid of the engine that we started, when that very process still lives.
our_engine() {
  local pid ticks boot
  [[ -r "$RECORD" ]] && read -r pid ticks boot <"$RECORD" || return 1
  [[ "$boot" == "$(cat /proc/sys/kernel/random/boot_id)" ]] || return 1
  [[ "$pid" =~ ^[0-9]+$ && "$(start_ticks "$pid")" == "$ticks" ]] || return 1
  [[ "$(cat "/proc/$pid/comm" 2>/dev/null)" == dockerd ]] && echo "$pid"
}

# --- starting ---------------------------------------------------------------------------------

# Detached: no terminal, none of our open files (the lock!), not in the repository's folder.
launch() {
  (
    for fd in /proc/self/fd/*; do
      fd="${fd##*/}"
      ((fd <= 2)) || exec {fd}>&-
    done
    cd /
    exec setsid dockerd "$@"
  ) </dev/null >"$LOG" 2>&1 &
  PID=$!
  record_engine # now: whoever interrupts the wait can still stop it
}

# Waits until the engine answers (0), has died (1) or the time is over (1, and it is stopped).
await_ready() {
  local deadline=$((SECONDS + READY_WITHIN))
  while ((SECONDS < deadline)); do
    engine_version >/dev/null && return 0
    kill -0 "$PID" 2>/dev/null || return 1
    sleep 0.2
  done
  echo "no answer within $READY_WITHIN s" >>"$LOG"
  kill "$PID" 2>/dev/null || true
  wait "$PID" 2>/dev/null || true
  return 1
}

# dockerd's last words, without the log's decoration.
why_it_failed() { grep -vE 'level=(info|warning)' "$LOG" | tail -n 1 | cut -c 1-300; }

# A live dockerd whose pid file says that it owns this machine's socket, though it need not answer yet.
other_engine() {
  local pid
  pid="$(cat "$PIDFILE" 2>/dev/null)" && [[ "$(cat "/proc/$pid/comm" 2>/dev/null)" == dockerd ]]
}

# iptables of the legacy kind for dockerd alone, through its PATH: the machine's own choice stays.
use_legacy_iptables() {
  local bin="$STATE/legacy-iptables" name
  [[ -x /usr/sbin/iptables-legacy ]] || return 1
  mkdir -p "$bin"
  for name in iptables ip6tables; do ln -sfn "/usr/sbin/$name-legacy" "$bin/$name"; done
  PATH="$bin:$PATH"
}

tried() { [[ " ${FLAGS[*]} " == *" $1 "* ]]; }

# Changes what the next start does according to why the last one failed; fails when nothing is left to try.
fall_back() {
  local reason="$1"
  if [[ "$reason" == *"pid file found"* ]] && ! other_engine; then
    say "removing the pid file of a dockerd that is gone"
    rm "$PIDFILE"
  elif [[ "$reason" == *"failed to start containerd"* && -z "${AGAIN:-}" ]]; then
    say "trying once more: the containerd of a dockerd that was killed may have been in the way"
    AGAIN=1
  elif [[ "$reason" =~ iptables|nf_tables|"NAT chain" ]] && ! tried --iptables=false; then
    if [[ ":$PATH:" != *":$STATE/legacy-iptables:"* ]] && use_legacy_iptables; then
      say "trying again with the legacy iptables"
    else
      say "trying again without iptables: containers will not reach the network"
      FLAGS+=(--iptables=false)
    fi
  elif [[ "$reason" =~ graphdriver|"storage driver"|"storage-driver"|overlay ]] && ! tried --storage-driver=vfs; then
    say "trying again with the vfs storage driver: slow, and it needs much disk"
    FLAGS+=(--storage-driver=vfs)
  else
    return 1
  fi
}

start_engine() {
  local began=$EPOCHREALTIME reason
  FLAGS=()
  until launch "${FLAGS[@]}" && await_ready; do
    if other_engine; then
      use_other
      return
    fi
    reason="$(why_it_failed)"
    say "dockerd did not start: $reason"
    fall_back "$reason" || cannot "dockerd does not start on this machine: $reason (log: $LOG)"
  done
  say "started dockerd, pid $PID, ready in $(seconds_since "$began") s; log in $LOG"
}

await_other() {
  local deadline=$((SECONDS + READY_WITHIN))
  until engine_version >/dev/null; do
    ((SECONDS < deadline)) || cannot "$1 gives no answer within $READY_WITHIN s"
    sleep 0.2
  done
}

use_other() {
  await_other "the dockerd of $PIDFILE"
  say "using the $(describe) that has come up meanwhile"
}

# A machine with systemd runs the package's own service, which then is the machine's, not ours.
start_service() {
  local began=$EPOCHREALTIME
  systemctl start docker || cannot "the docker service does not start; see journalctl -u docker"
  await_other "the docker service"
  say "started the docker service in $(seconds_since "$began") s; it stays until you stop it"
}

install_engine() {
  command -v dockerd >/dev/null && command -v iptables >/dev/null && return 0
  local began=$EPOCHREALTIME
  say "installing Debian's docker.io and iptables"
  debian_install docker.io iptables || cannot "apt-get could not install docker.io; see $STATE/apt.log"
  say "installed in $(seconds_since "$began") s"
}

describe() { timeout 10 docker info --format 'engine {{.ServerVersion}}, storage driver {{.Driver}}, cgroups {{.CgroupVersion}}'; }

# --- the three verbs --------------------------------------------------------------------------

up() {
  if engine_version >/dev/null; then
    say "using the running $(describe)"
    return
  fi
  [[ -z "${DOCKER_HOST:-}" ]] || cannot "DOCKER_HOST is set to $DOCKER_HOST, where no engine answers"
  is_root || cannot "no Docker engine answers for user $(id -un), and only root can start one"
  is_debian || cannot "no Docker engine answers, and this machine is not Debian: install Docker by hand"
  take_lock
  install_engine
  if engine_version >/dev/null || other_engine; then
    use_other
  elif [[ -d /run/systemd/system ]]; then
    start_service
  else
    start_engine
    say "this is $(describe)"
  fi
}

down() {
  local pid began=$EPOCHREALTIME deadline=$((SECONDS + GONE_WITHIN))
  if ! pid="$(our_engine)"; then
    say "no engine of ours is running; nothing to stop"
    return
  fi
  is_root || cannot "only root can stop dockerd, pid $pid"
  take_lock
  [[ "$(our_engine)" != "$pid" ]] || kill -TERM "$pid"
  while [[ "$(our_engine)" == "$pid" ]]; do
    ((SECONDS < deadline)) || fail "dockerd, pid $pid, has not ended within $GONE_WITHIN s; see $LOG"
    sleep 0.2
  done
  rm -f "$RECORD"
  say "stopped dockerd, pid $pid, in $(seconds_since "$began") s"
}

status() {
  local pid
  engine_version >/dev/null || cannot "no Docker engine answers"
  if pid="$(our_engine)"; then
    say "$(describe), started by us, pid $pid"
  else
    say "$(describe), not started by us"
  fi
}

case "${1:-up}" in
up) up ;;
down) down ;;
status) status ;;
*)
  complain "usage: engine.sh [up|down|status]"
  exit 2
  ;;
esac
