"""Sample data: a tiny OME-Zarr image and a tiny plate, in NGFF 0.4 and 0.5.

They lie beside this as an archive, which `docs/sample_data.py` writes with ome-zarr-py: that
takes seconds to import, starts threads, and warns.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Final

ARCHIVE: Final = Path(__file__).with_name("ome_zarr.zip")

OME_ZARR: Final = "ome_zarr"
"""The folder's name, and in braces its placeholder in samples."""

VERSIONS: Final = {"0.4": "", "0.5": "_v05"}
"""The versions of NGFF, and what they add to the names `image.zarr` and `plate.zarr`."""
NAMES: Final = frozenset(
    f"{kind}{suffix}.zarr" for kind in ("image", "plate") for suffix in VERSIONS.values()
)
"""The images and plates that there are."""
WELLS: Final = ("B/03", "B/05")
"""The wells of the plate; each has one field, `0`."""
SHAPE: Final = (2, 2, 64, 64)
"""Channels, planes, rows and columns of each image; a second level has half the rows and
columns."""
PIXEL: Final = {"z": 1.0, "y": 0.325, "x": 0.325}
"""The size of a pixel in micrometres."""
CHANNELS: Final = (("DAPI", "A01_C01", "00FFFF"), ("GFP", "A01_C02", "00FF00"))
"""Label, wavelength id and colour of each channel."""
LABEL: Final = "nuclei"
"""The name of the label image of each image: the disks of its first channel."""


def name_in_data(names: Sequence[str]) -> str | None:
    """What the sample data has of the kind that an argument asks for; None where that is open.

    `names` lead to the argument: its own name, and before it those of the models around it.
    """
    own, around = (
        set(re.findall("[a-z]+", text.lower())) for text in (names[-1], " ".join(names))
    )
    label, wavelength, _ = CHANNELS[0]
    if own & {"output", "new", "table", "suffix", "prefix"}:
        return None
    if own & {"wavelength", "wavelengths"}:
        return wavelength
    if around & {"channel", "channels"}:
        return label
    return LABEL if own & {"label", "labels"} else None


def named_data(texts: Iterable[str]) -> frozenset[str]:
    """Those of the `NAMES` that texts with the placeholder need.

    All of them where one means the folder itself, or anything in it but an image or a plate.
    """
    found = set()
    for text in texts:
        for path in text.split(f"{{{OME_ZARR}}}")[1:]:
            start, *parts = path.split("/")
            if start or not parts or parts[0] not in NAMES or ".." in parts:
                return NAMES
            found.add(parts[0])
    return frozenset(found)


@cache
def _contents() -> Mapping[str, bytes]:
    """The files in the archive, some 90 kB, of which each sample gets a copy."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        return {path: archive.read(path) for path in archive.namelist()}


def unpack_ome_zarr(folder: Path, names: Set[str] = NAMES) -> Path:
    """Put the sample data of these names into `folder`, and return it; where it is, keep it.

    `image.zarr` is one image, `plate.zarr` a plate whose images are at `B/03/0` and
    `B/05/0`, both in NGFF 0.4; `image_v05.zarr` and `plate_v05.zarr` are the same in 0.5.
    Each image has two channels with a few bright disks, as 16 bit numbers, and a label image
    of the disks in the first.
    """
    if not folder.exists():
        for path, content in _contents().items():
            if path.partition("/")[0] in names:
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
    return folder
