"""Follows cells through time."""
