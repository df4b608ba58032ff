"""Gathers facts: builds, environments, wheels, processes. It never judges."""
