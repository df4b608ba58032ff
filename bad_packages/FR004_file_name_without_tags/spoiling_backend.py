"""A build backend that gives its wheels names of its own."""

from pathlib import Path

from flit_core import buildapi
from flit_core.buildapi import build_sdist, get_requires_for_build_sdist

__all__ = ["build_sdist", "build_wheel", "get_requires_for_build_sdist"]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    made = Path(wheel_directory, buildapi.build_wheel(wheel_directory, config_settings))
    return made.rename(made.with_name("fr004_file_name_without_tags-1.0.whl")).name
