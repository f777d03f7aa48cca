"""Requests to a running service, and what must come back."""
