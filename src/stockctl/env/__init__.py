"""What an environment is, and whether it is sound."""
