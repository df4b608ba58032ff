"""What the Python that runs this says of itself, printed as JSON when started as a script.

Python of any version runs it. One of a virtual environment answers for its base, since
environments are not nested. Debian ships ensurepip, and with it setuptools, in a package of its
own.
"""

import json
import platform
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def about() -> "dict[str, Any]":
    """Its executable, its version, and the setuptools that its environments start with."""
    try:
        import ensurepip

        packages: dict[str, Any] = getattr(ensurepip, "_get_packages", dict)()
        setuptools = packages["setuptools"].version if "setuptools" in packages else None
        setuptools = setuptools or getattr(ensurepip, "_SETUPTOOLS_VERSION", None)
    except Exception:
        setuptools = None
    return {
        "path": getattr(sys, "_base_executable", None) or sys.executable,
        "version": platform.python_version().rstrip("+"),
        "setuptools": setuptools,
    }


if __name__ == "__main__":
    print(json.dumps(about()))
