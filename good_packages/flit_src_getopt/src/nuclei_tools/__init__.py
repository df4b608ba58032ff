"""Finds and counts nuclei."""
