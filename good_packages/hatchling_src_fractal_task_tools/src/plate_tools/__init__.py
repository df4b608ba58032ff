"""Tasks in the layout of the Fractal tasks template."""

__version__ = "0.3.1"
