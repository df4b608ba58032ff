"""The suite as pytest sees it. Only this package and `plugin.py` import pytest."""
