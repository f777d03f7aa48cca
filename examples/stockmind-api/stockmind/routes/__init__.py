"""One file per part of the HTTP interface."""
