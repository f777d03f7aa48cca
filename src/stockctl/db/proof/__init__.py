"""Proof that migrations go up, down and up again: on a scratch database, with rows and without."""
