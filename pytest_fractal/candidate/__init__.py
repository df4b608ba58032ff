"""A PACKAGE argument, and everything that can be known about it."""
