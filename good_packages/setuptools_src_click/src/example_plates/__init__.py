"""Reads and writes plates."""

__version__ = "2.0.1"
