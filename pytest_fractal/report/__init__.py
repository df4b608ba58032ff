"""What is said of a run, one module a format."""
