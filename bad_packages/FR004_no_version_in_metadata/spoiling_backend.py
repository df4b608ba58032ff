"""A build backend that spoils what flit_core makes."""

import base64
import hashlib
import zipfile
from pathlib import Path

from flit_core import buildapi
from flit_core.buildapi import build_sdist, get_requires_for_build_sdist

__all__ = ["build_sdist", "build_wheel", "get_requires_for_build_sdist"]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    made = Path(wheel_directory, buildapi.build_wheel(wheel_directory, config_settings))
    with zipfile.ZipFile(made) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
    made.unlink()
    record = next(name for name in files if name.endswith("/RECORD"))
    metadata = record.replace("/RECORD", "/METADATA")
    files[metadata] = files[metadata].replace(b"Version: 1.0\n", b"")
    files[record] = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}\n"
        for name, data in files.items()
        if name != record
    ).encode() + f"{record},,\n".encode()
    with zipfile.ZipFile(made, "w") as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
    return made.name
