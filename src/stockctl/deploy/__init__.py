"""Releases: from the old one to the new one and back."""
