"""What a service is, told by its image; by its name where it is built."""

from __future__ import annotations

import re

_POSTGRES = frozenset(
    ["postgres", "postgresql", "postgis", "pgvector", "timescaledb", "timescaledb-ha", "paradedb"]
)
_DATABASE_NAMES = frozenset(["postgres", "postgresql", "db", "database", "pg"])
_PROXIES = frozenset(
    ["nginx", "nginx-proxy", "caddy", "traefik", "haproxy", "httpd", "envoy", "swag", "proxy"]
)
# What stands beside a service and is never the one that is meant.
_BESIDE = frozenset(
    [
        *("redis", "redis-stack", "valkey", "keydb", "dragonfly", "memcached", "rabbitmq", "nats"),
        *("mysql", "mariadb", "mongo", "mongodb", "elasticsearch", "opensearch", "meilisearch"),
        *("typesense", "clickhouse-server", "kafka", "cp-kafka", "zookeeper", "minio", "mailhog"),
        *("mailpit", "adminer", "pgadmin4", "pgbouncer", "prometheus", "grafana", "loki", "jaeger"),
        *("redis-commander", "postgres-exporter", "node-exporter", "cadvisor", "certbot", "vault"),
        *("localstack", "watchtower", "portainer-ce", "mongo-express", "kibana", "redisinsight"),
    ]
)


def kind_of(image: str, name: str, *, built: bool) -> str:
    """`postgres`, `proxy`, `beside` (never the one that is meant) or `app`."""
    image = re.sub(r"[:@].*$", "", image.rpartition("/")[2].lower())
    name = name.lower()
    if image in _POSTGRES or (built and name in _DATABASE_NAMES):
        return "postgres"
    if image in _PROXIES or (built and name in _PROXIES):
        return "proxy"
    return "beside" if image in _BESIDE else "app"
