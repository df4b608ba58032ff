"""Where the version of the package stands."""

__version__ = "3.1.4"
