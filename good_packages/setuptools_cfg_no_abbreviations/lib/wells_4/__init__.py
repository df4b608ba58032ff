"""Measures wells."""
