"""A tiny image set as a Yokogawa CellVoyager leaves it: images, and two files about them.

Written from what `fractal_tasks_core.cellvoyager` of fractal-tasks-core 0.14.3 reads:
the fields of the file names, `MeasurementData.mlf` (a record an image) and
`MeasurementDetail.mrf` (an element a channel).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

PLATE = "tiny"
WELLS = ("B03", "C05")
FIELDS, CHANNELS, PLANES = 2, 2, 3
SIZE = 8
"""Pixels of an image, in height and width."""
PIXEL, STEP = 0.5, 2.0
"""Micrometers from pixel to pixel, and from plane to plane."""

_SCHEMA = "http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"


def value(well: str, channel: int, z: int, y: int, x: int) -> int:
    """What a pixel of a well's image holds, all counted from 0; `x` goes on over the fields.

    No plane is the brightest everywhere, and no two wells or channels look alike.
    Twice the value still fits in 16 bit.
    """
    return (7919 * (WELLS.index(well) + 1) * (channel + 1) + 5003 * z + 313 * y + 101 * x) % 32749


def gain(x: int) -> int:
    """By what the illumination profile of `make_profile` makes a column of an image brighter."""
    return 2 if x % SIZE < SIZE // 2 else 1


def make_profile(file: Path) -> None:
    """Write a profile by which the left half of an image got half of the light."""
    file.write_bytes(_png([[1000 // gain(x) for x in range(SIZE)] for _ in range(SIZE)]))


def make_images(folder: Path) -> None:
    """Write the image set into a fresh folder."""
    folder.mkdir(parents=True)
    records: list[str] = []
    for well, field, channel, z in _images():
        name = f"{PLATE}_{well}_T0001F{field + 1:03}L01A01Z{z + 1:02}C{channel + 1:02}.png"
        left = field * SIZE
        rows = [
            [value(well, channel, z, y, x) for x in range(left, left + SIZE)] for y in range(SIZE)
        ]
        (folder / name).write_bytes(_png(rows))
        records.append(
            f'<bts:MeasurementRecord bts:Time="2024-01-01T00:00:{len(records):02}+00:00" '
            f'bts:Row="{ord(well[0]) - ord("A") + 1}" bts:Column="{int(well[1:])}" '
            f'bts:FieldIndex="{field + 1}" bts:TimePoint="1" bts:ActionIndex="1" bts:Type="IMG" '
            f'bts:Ch="{channel + 1}" bts:X="{left * PIXEL}" bts:Y="0.0" bts:Z="{z * STEP}">'
            f"{name}</bts:MeasurementRecord>"
        )
    channels = [
        f'<bts:MeasurementChannel bts:Ch="{channel + 1}" bts:HorizontalPixelDimension="{PIXEL}" '
        f'bts:VerticalPixelDimension="{PIXEL}" bts:CameraNumber="1" bts:InputBitDepth="16" '
        f'bts:HorizontalPixels="{SIZE}" bts:VerticalPixels="{SIZE}" '
        f'bts:FilterWheelPosition="1" bts:FilterPosition="1" bts:ShadingCorrectionSource="" />'
        for channel in range(CHANNELS)
    ]
    for name, element, lines in (
        ("MeasurementData.mlf", "MeasurementData", records),
        ("MeasurementDetail.mrf", "MeasurementDetail", channels),
    ):
        (folder / name).write_text(
            f'<?xml version="1.0" encoding="utf-8"?>\n<bts:{element} xmlns:bts="{_SCHEMA}">\n'
            + "\n".join(lines)
            + f"\n</bts:{element}>\n",
            encoding="utf-8",
        )


def _images() -> Iterator[tuple[str, int, int, int]]:
    return product(WELLS, range(FIELDS), range(CHANNELS), range(PLANES))


def _png(rows: list[list[int]]) -> bytes:
    """A greyscale image of 16 bit."""
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 16, 0, 0, 0, 0)
    data = b"".join(b"\0" + struct.pack(f">{len(row)}H", *row) for row in rows)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I4s", len(content), kind)
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
