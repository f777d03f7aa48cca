"""Where backups lie: one file per kind of store, one contract for all."""
