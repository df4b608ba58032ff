"""Segments cells."""

__version__ = "0.12.0.post1"
