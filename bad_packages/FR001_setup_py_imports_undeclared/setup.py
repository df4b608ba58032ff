"""Needs more than pyproject.toml says."""

import numpy
from setuptools import setup

setup(include_dirs=[numpy.get_include()])
