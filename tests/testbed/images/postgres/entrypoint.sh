#!/bin/bash
# Initialises the data folder on the first start, then becomes the server.
#
# The cluster is built in $PGDATA/.initialising and moved into place when it is complete,
# PG_VERSION last. Whoever kills this half-way leaves a folder without PG_VERSION: the next
# start throws it away and begins again, instead of serving half a cluster.
set -Eeuo pipefail

data=${PGDATA:?}
staging=$data/.initialising
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

say() { echo "entrypoint: $*" >&2; }

prepare_folder() {
    if [ -e "$staging" ]; then
        say "the last initialisation did not finish; starting again"
        find "$data" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name .initialising \
            -exec rm -rf {} +
        rm -rf "$staging"
    elif [ -n "$(find "$data" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)" ]; then
        say "$data is not empty and holds no cluster; refusing to touch it"
        exit 1
    fi
    mkdir -m 0700 "$staging"
}

build_cluster() {
    initdb --pgdata "$staging" --username "$user" --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD") \
        --auth-local trust --auth-host scram-sha-256 --encoding UTF8 --locale C.UTF-8
    echo 'host all all all scram-sha-256' >>"$staging/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$staging/postgresql.conf"
}

create_database() {
    local sockets
    sockets=$(mktemp -d)
    pg_ctl --pgdata "$staging" --wait --silent start \
        --options "-c listen_addresses='' -c unix_socket_directories='$sockets'" >&2
    if [ "$database" != postgres ]; then
        createdb --host "$sockets" --username "$user" --maintenance-db postgres -- "$database"
    fi
    pg_ctl --pgdata "$staging" --wait --silent --mode fast stop >&2
    rm -r "$sockets"
}

move_into_place() {
    find "$staging" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$data" -- {} +
    sync -f "$data"
    mv "$staging/PG_VERSION" "$data/"
    rmdir "$staging"
    sync -f "$data"
}

initialise() {
    if [ -z "${POSTGRES_PASSWORD:-}" ]; then
        say "POSTGRES_PASSWORD must be set for the first start"
        exit 1
    fi
    # As process 1 there is no default action for signals: leave between two steps.
    trap 'say "stopped while initialising"; exit 1' INT TERM
    prepare_folder
    build_cluster >&2
    create_database
    move_into_place
    trap - INT TERM
    say "initialised: user $user, database $database"
}

[ "${1:0:1}" != - ] || set -- postgres "$@"
[ "${1:-}" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data"
    find "$data" /run/postgresql \! -user postgres -exec chown postgres {} +
    chmod 0700 "$data"
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi

[ -s "$data/PG_VERSION" ] || initialise
# Left behind, and empty, when the last step of an initialisation was killed.
rmdir "$staging" 2>/dev/null || true
exec "$@"
