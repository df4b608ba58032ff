"""Unpacking an sdist, which a stranger's backend has made."""

from __future__ import annotations

import errno
import lzma
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import Final

from pytest_fractal.files import open_regular

_OF_THE_MACHINE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class BadSdist(Exception):
    """Why an archive is no sdist that can be unpacked."""


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an archive into a fresh folder; returns the one folder that it holds.

    Nothing is written elsewhere, whatever the archive says: as by `tarfile`'s filter "data",
    which Python 3.11 has since 3.11.4 only. Raises `BadSdist`.
    """
    folder.mkdir(parents=True)
    try:
        with open_regular(sdist) as file, tarfile.open(fileobj=file) as archive:
            for member in archive:
                _extract(archive, member, Path(os.path.realpath(folder)))
    except (
        tarfile.TarError,
        EOFError,
        KeyError,
        OSError,
        ValueError,
        lzma.LZMAError,
        zlib.error,
    ) as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            raise
        raise BadSdist(f"{sdist.name} cannot be unpacked: {error}") from None
    tops = [path for path in folder.iterdir() if path.is_dir()]
    if len(tops) != 1:
        raise BadSdist(f"{sdist.name} does not hold exactly one folder")
    return tops[0]


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    place = folder / member.name.strip("/")
    # By way of the links that are there by now.
    place = Path(os.path.realpath(place.parent), place.name)
    if not place.is_relative_to(folder) or place.name == "..":
        raise ValueError(f"{member.name!r} would lie outside of its folder")
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(place):
        place.unlink()
    if member.issym():
        there = Path(os.path.realpath(place.parent / member.linkname))
        if not there.is_relative_to(folder) or Path(member.linkname).is_absolute():
            raise ValueError(f"the link {member.name!r} leads out of its folder")
        place.symlink_to(member.linkname)
        return
    content = archive.extractfile(member)  # of a hard link: what it links to
    if content is None:
        raise ValueError(f"{member.name!r} is neither a file nor a folder")
    with content, place.open("wb") as file:
        shutil.copyfileobj(content, file)
    place.chmod(0o755 if member.mode & 0o100 else 0o644)
    os.utime(place, (member.mtime, member.mtime))
