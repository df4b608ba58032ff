"""Package description."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("my_project")
except PackageNotFoundError:
    __version__ = "uninstalled"
