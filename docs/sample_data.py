"""Writes the sample data, with ome-zarr-py, into the archive that pytest-fractal brings.

Usage: python -W ignore docs/sample_data.py [FOLDER]

With a FOLDER it is only written there. The same every time; `tests/test_ome_zarr.py` tells when
the archive is stale.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import zarr
from ome_zarr.format import format_from_version
from ome_zarr.writer import (
    write_multiscales_metadata,
    write_plate_metadata,
    write_well_metadata,
)

from pytest_fractal.samples.ome_zarr import (
    ARCHIVE,
    CHANNELS,
    LABEL,
    PIXEL,
    SHAPE,
    VERSIONS,
    WELLS,
)


def write(folder: Path) -> Path:
    """Write all of it below a folder."""
    for version, suffix in VERSIONS.items():
        _write_image(folder / f"image{suffix}.zarr", version, 0)
        _write_plate(folder / f"plate{suffix}.zarr", version)
    return folder


def pack(folder: Path, archive: Path) -> None:
    """Write the archive of what is in a folder, the same bytes every time."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.external_attr = 0o644 << 16
                packed.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def _write_image(path: Path, version: str, number: int) -> None:
    group = zarr.open_group(
        str(path), mode="w", zarr_format=format_from_version(version).zarr_format
    )
    _write_levels(group, version, path.stem, _pixels(number), "czyx")
    channels = [
        {
            "label": label,
            "wavelength_id": wavelength,
            "color": color,
            "active": True,
            "window": {"min": 0, "max": 65535, "start": 0, "end": 3000},
        }
        for label, wavelength, color in CHANNELS
    ]
    _describe(group, version, omero={"channels": channels})
    labels = group.create_group("labels")
    _describe(labels, version, labels=[LABEL])
    label_image = labels.create_group(LABEL)
    _write_levels(label_image, version, LABEL, _labelled(number), "zyx")
    _describe(label_image, version, **{"image-label": {"source": {"image": "../../"}}})


def _write_levels(
    group: zarr.Group, version: str, name: str, pixels: numpy.ndarray[Any, Any], axes: str
) -> None:
    """Write an image as two levels, and say so in the metadata of its group."""
    form = format_from_version(version)
    datasets = []
    for level in range(2):
        step = 2**level
        group.create_array(
            str(level),
            data=pixels[..., ::step, ::step].copy(),
            chunks=(*[1] * (pixels.ndim - 2), *SHAPE[2:]),
            chunk_key_encoding=form.chunk_key_encoding,
            dimension_names=None if version == "0.4" else list(axes),
        )
        scale = [1.0] * (pixels.ndim - 3)
        scale += [PIXEL["z"], PIXEL["y"] * step, PIXEL["x"] * step]
        datasets.append(
            {
                "path": str(level),  # older tasks look for no other names
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    described = [
        {"name": axis, "type": "channel"}
        if axis == "c"
        else {"name": axis, "type": "space", "unit": "micrometer"}
        for axis in axes
    ]
    write_multiscales_metadata(group, datasets, fmt=form, axes=described, name=name)
    whole: Any = group.attrs if version == "0.4" else group.attrs["ome"]
    (multiscale,) = whole["multiscales"]
    # What the specification's strict schemas ask for.
    multiscale |= {"type": "nearest", "metadata": {"description": "every other pixel"}}
    _describe(group, version, multiscales=[multiscale])


def _describe(group: zarr.Group, version: str, **metadata: Any) -> None:
    """Add to the metadata of a group, where its version of NGFF keeps them."""
    if version == "0.4":
        for value in metadata.values():
            if isinstance(value, dict):
                value["version"] = version
        group.attrs.update(metadata)
    else:
        whole: Any = group.attrs.get("ome", {"version": version})
        group.attrs.update({"ome": {**whole, **metadata}})


def _write_plate(path: Path, version: str) -> None:
    form = format_from_version(version)
    plate = zarr.open_group(str(path), mode="w", zarr_format=form.zarr_format)
    rows = sorted({well.split("/")[0] for well in WELLS})
    columns = sorted({well.split("/")[1] for well in WELLS})
    acquisitions = [{"id": 0, "name": "first", "maximumfieldcount": 1}]
    write_plate_metadata(
        plate,
        rows,
        columns,
        list(WELLS),
        fmt=form,
        acquisitions=acquisitions,
        field_count=1,
        name=path.stem,
    )
    for number, name in enumerate(WELLS, 1):
        well = plate.require_group(name)
        write_well_metadata(well, [{"path": "0", "acquisition": 0}], fmt=form)
        _write_image(path / name / "0", version, number)


def _pixels(number: int) -> numpy.ndarray[Any, Any]:
    """Bright disks on a dim slope, the image with another number elsewhere."""
    channels, planes, rows, columns = SHAPE
    y, x = numpy.mgrid[:rows, :columns]
    pixels = numpy.zeros(SHAPE, "uint16")
    for channel in range(channels):
        for plane in range(planes):
            pixels[channel, plane] = 100 + y + x // 2 + 10 * plane
            for disk, inside in _disks(number, channel):
                pixels[channel, plane][inside] = 2000 - 500 * plane + 100 * disk
    return pixels


def _labelled(number: int) -> numpy.ndarray[Any, Any]:
    """Which of its pixels belong to which disk of the first channel, counted from 1."""
    labelled = numpy.zeros(SHAPE[1:], "uint32")
    for disk, inside in _disks(number, 0):
        labelled[:, inside] = disk + 1
    return labelled


def _disks(number: int, channel: int) -> Iterator[tuple[int, numpy.ndarray[Any, Any]]]:
    """The disks in a channel of an image: the number of each, and which pixels it has."""
    y, x = numpy.mgrid[: SHAPE[2], : SHAPE[3]]
    for disk in range(3):
        row = 12 + (23 * disk + 7 * number + 5 * channel) % 40
        column = 12 + (31 * disk + 11 * number + 3 * channel) % 40
        yield disk, (y - row) ** 2 + (x - column) ** 2 < (6 + disk) ** 2


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            pack(write(Path(temporary)), ARCHIVE)
