"""A package that breaks one rule."""
