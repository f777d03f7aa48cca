"""Nouns and small rules. Standard library only, no I/O beyond what a port brings in."""
