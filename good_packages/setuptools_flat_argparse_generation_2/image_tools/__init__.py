"""Tasks that come close to what the server refuses."""
