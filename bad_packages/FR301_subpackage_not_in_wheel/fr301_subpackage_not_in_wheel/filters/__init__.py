"""Weights of the pixels."""

KERNELS = ("gauss", "box")
