"""Misst Zellen."""
