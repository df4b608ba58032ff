"""Tasks that do nothing wrong, though it may look so."""
