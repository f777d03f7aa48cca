"""Backups that are complete or not there, and restores that change nothing until they fit."""
