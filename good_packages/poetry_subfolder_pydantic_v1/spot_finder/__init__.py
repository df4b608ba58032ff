"""Finds spots."""
