"""Pins with which tasks start again whose dependencies have drifted: `--fractal-find-pins`."""
