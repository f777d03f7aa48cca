"""stockctl: operations for a Docker Compose service and its Postgres."""

__version__ = "0.1.0"
