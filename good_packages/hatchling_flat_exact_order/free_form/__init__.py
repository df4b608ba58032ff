"""Hands any argument on to another program."""
