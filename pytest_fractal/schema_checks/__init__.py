"""Applying JSON Schemas of others within a limit: client.py asks, and helper.py answers."""
