#!/usr/bin/env bash
# demo.sh: the main job of stockctl on real parts, told as a story. It works on a copy of this
# project in a folder of its own, on ports of its own, and takes everything away at the end.
# KEEP=1 leaves the service running and says where.
set -euo pipefail

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PROJECT="$(mktemp -d "${TMPDIR:-/tmp}/stockctl-demo.XXXXXX")"
NAME="stockctl-demo-${PROJECT##*.}"
NAME="${NAME,,}"
export PATH="$REPO/.venv/bin:$PATH"
export STOCKCTL_ROOT= STOCKCTL_ENV=
began=$SECONDS
engine_ours=""

bold() { if [[ -t 1 && -z "${NO_COLOR:-}" ]]; then printf '\033[1m%s\033[0m\n' "$*"; else printf '%s\n' "$*"; fi; }
title() { printf '\n'; bold "━━ $*"; }
tell() { printf '   %s\n' "$*"; }

show() {
  local line="" word
  for word in "$@"; do
    case "$word" in *[[:space:]\{\*]*) line+=" '$word'" ;; *) line+=" $word" ;; esac
  done
  printf '\n'; bold "\$$line"
}

# run COMMAND…: shows it and runs it; it must succeed.
run() {
  show "$@"
  "$@"
}

# expect CODE COMMAND…: the same for one that must fail in just this way.
expect() {
  local wanted="$1" code=0
  shift
  show "$@"
  "$@" || code=$?
  tell "(exit $code)"
  [[ $code == "$wanted" ]] || { echo "demo: expected exit $wanted" >&2; exit 1; }
}

clean_up() {
  local code=$?
  trap - EXIT INT TERM
  if [[ $code == 0 && -n "${KEEP:-}" ]]; then
    tell "left running: cd $PROJECT; stop it with:"
    tell "docker rm -f \$(docker ps -aq --filter label=stockctl.project=$NAME-staging); docker compose -p $NAME-staging down -v"
    exit 0
  fi
  if [[ -n "$engine_ours" ]]; then
    docker ps -aq --filter "label=stockctl.project=$NAME-staging" | xargs -r docker rm --force >/dev/null 2>&1 || true
    docker compose -p "$NAME-staging" down --volumes --timeout 5 >/dev/null 2>&1 || true
    # by name: an id would take other names of the same image along
    docker image ls --format '{{.Repository}}:{{.Tag}}' --filter "reference=$NAME-api" \
      --filter "reference=stockctl-kept/$NAME-staging" | xargs -r docker image rm >/dev/null 2>&1 || true
  fi
  rm -rf "$PROJECT"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

copy_project() {
  cp -r "$REPO/environments" "$REPO/migrations" "$PROJECT/"
  mkdir "$PROJECT/examples"
  cp -r "$REPO/examples/stockmind-api" "$PROJECT/examples/"
  rm -f "$PROJECT"/environments/.env.{staging,prod}
  sed -i "s/^name    = \"stockmind\"/name    = \"$NAME\"/; s/^image   = .*/image   = \"$NAME-api\"/" \
    "$PROJECT/environments/base.toml"
  sed -i 's/^strategy .*/&\nwatch = "1s"/' "$PROJECT/environments/base.toml"
  printf '\n[proxy]\nimage = "stockctl-testbed/haproxy:2.6"\n' >>"$PROJECT/environments/staging.toml"
  printf '.stockctl/\nasked\nenvironments/.env.*\n!environments/.env.*.example\n' >"$PROJECT/.gitignore"
  git -C "$PROJECT" init --quiet
  commit "first version"
}

commit() {
  git -C "$PROJECT" add --all
  git -C "$PROJECT" -c user.name=demo -c user.email=demo@example.invalid commit --quiet -m "$1"
}

ask_all_the_while() {
  while :; do
    curl -s -o /dev/null -m 10 -w '%{http_code}\n' "http://127.0.0.1:$port/health" >>"$PROJECT/asked" || true
    sleep 0.05
  done
}

copy_project
cd "$PROJECT"

title "1. A project is a folder with environments/ in it"
run stockctl env list

title "2. The environment 'local': a Postgres from a wheel, nothing to install, nothing to configure"
run stockctl db migrate local
run stockctl backup create local --label "before I try something"
tell "Two migrations back, with their own down scripts, and then the backup again:"
run stockctl db rollback local --steps 2 --yes --skip-backup
run stockctl backup restore local --yes --skip-backup
run stockctl db status local

title "3. The environment 'staging': Docker, Compose, Postgres, and a real service"
engine=0
"$REPO/tests/testbed/up.sh" || engine=$?
if [[ $engine == 3 ]]; then
  tell "Left out from here: everything with Docker, since there is no engine (the line above says why)."
  tell "The part without Docker took $((SECONDS - began)) s and worked."
  exit 0
fi
[[ $engine == 0 ]] || exit 1
engine_ours=yes

tell "Its secrets come from an env file, which somebody filled in badly:"
port="$(free_port)" postgres_port="$(free_port)"
sed -e "s/^PORT=.*/PORT=$port/; s/^POSTGRES_PORT=.*/POSTGRES_PORT=$postgres_port/" \
  -e "s|^# POSTGRES_IMAGE=.*|POSTGRES_IMAGE=stockctl-testbed/postgres:15|" \
  -e "s/^SESSION_SECRET=.*/SESSION_SECRET=changeme/" \
  environments/.env.staging.example >environments/.env.staging
chmod 600 environments/.env.staging
expect 3 stockctl env validate staging
tell "No command that changes something would begin now. Strong values for what is missing or a placeholder:"
run stockctl env generate staging
run stockctl env validate staging
tell "What the environment comes to, and which line says so (its last lines):"
show stockctl env show staging
stockctl env show staging | tail -n 12

title "4. The first deploy: image, services, backup, migrations, start, health, smoke, proxy"
run stockctl deploy staging --plan
run stockctl deploy staging
run curl -sS "http://127.0.0.1:$port/health"
printf '\n'

title "5. Somebody signs up, and a backup is made"
run curl -sS -o /dev/null -w 'register: %{http_code}\n' -H 'Content-Type: application/json' \
  -d '{"email":"ada@example.com","password":"correct-horse-battery"}' \
  "http://127.0.0.1:$port/api/auth/register"
run stockctl backup create staging --label "Ada is in it"

title "6. The next version, beside the first one; somebody asks all the while"
sed -i '1a # the second version' examples/stockmind-api/Dockerfile
commit "second version"
ask_all_the_while &
asker=$!
run stockctl deploy staging
kill "$asker"
wait "$asker" 2>/dev/null || true
tell "$(grep -c . "$PROJECT/asked") requests meanwhile, $(grep -vc '^200$' "$PROJECT/asked" || true) of them not answered with 200"

title "7. A release that does not work is withdrawn: the one before serves again, exit 9"
expect 9 stockctl deploy staging --image debian:bookworm-slim --skip-backup
run curl -sS "http://127.0.0.1:$port/health"
printf '\n'

title "8. Back to the version before, which still runs: only the requests change over"
run stockctl deploy rollback staging --yes

title "9. The worst day: the data is gone. The backup is not."
run docker compose -p "$NAME-staging" exec -T postgres psql -q -U stockmind stockmind -c "DELETE FROM users"
backup="$(stockctl backup list staging --json |
  python3 -c 'import json, sys; print(next(b["id"] for b in json.load(sys.stdin)["data"]["backups"] if b["label"] == "Ada is in it"))')"
run stockctl backup restore staging --backup "$backup" --yes
run docker compose -p "$NAME-staging" exec -T postgres \
  psql -U stockmind stockmind -Atc "SELECT count(*) || ' user with the address of Ada' FROM users WHERE email = 'ada@example.com'"
tell "The login is limited after the smoke test's wrong passwords; everything else answers:"
run stockctl smoke staging

title "10. Who did what"
run stockctl deploy history staging
run stockctl journal staging

title "Done in $((SECONDS - began)) s. Where to look next"
tell "README.md               the tour, and where the code is"
tell "environments/           this project's own configuration"
tell "stockctl --help         every verb has a why, an example and its exit codes"
tell "make test               the proof"
