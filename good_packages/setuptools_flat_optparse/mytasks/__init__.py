"""Shifts and scales images."""
