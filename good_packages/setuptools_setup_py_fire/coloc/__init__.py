"""Compares channels."""
