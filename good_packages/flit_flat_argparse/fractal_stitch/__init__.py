"""Puts the tiles of a plate together."""

__version__ = "1.2.0"
