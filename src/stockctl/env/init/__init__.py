"""`env init`: a project for a folder that has compose files. Pure, but for `creation`."""
