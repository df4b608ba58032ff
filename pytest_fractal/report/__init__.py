"""What is told of a run, one module a format."""
