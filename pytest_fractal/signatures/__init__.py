"""The signature of a task's function, read from source."""
