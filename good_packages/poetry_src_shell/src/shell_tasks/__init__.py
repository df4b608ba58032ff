"""Tasks that a shell runs."""
