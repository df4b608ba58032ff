"""Works on label images."""
