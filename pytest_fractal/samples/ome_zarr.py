"""Sample data: a tiny OME-Zarr image and a tiny plate, in NGFF 0.4 and 0.5.

Written by ome-zarr-py, which comes with the extra `pytest-fractal[ome-zarr]`, in a process
of its own: it takes seconds to import, starts threads, and warns.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_fractal.errors import HarnessError
from pytest_fractal.processes.processes import last_lines, run
from pytest_fractal.processes.variables import command_variables

if TYPE_CHECKING:
    import numpy

OME_ZARR: Final = "ome_zarr"
"""The folder's name, and in braces its placeholder in samples."""

VERSIONS: Final = {"0.4": "", "0.5": "_v05"}
"""The versions of NGFF, and what they add to the names `image.zarr` and `plate.zarr`."""
WELLS: Final = ("B/03", "B/05")
"""The wells of the plate; each has one field, `0`."""
SHAPE: Final = (2, 2, 64, 64)
"""Channels, planes, rows and columns of each image; a second level has half the rows and
columns."""
PIXEL: Final = {"z": 1.0, "y": 0.325, "x": 0.325}
"""The size of a pixel in micrometres."""
CHANNELS: Final = (("DAPI", "A01_C01", "00FFFF"), ("GFP", "A01_C02", "00FF00"))
"""Label, wavelength id and colour of each channel."""


def missing_extra() -> str | None:
    """What is missing to make the data, as the end of a sentence; None when nothing is."""
    if importlib.util.find_spec("ome_zarr") is not None:
        return None
    return "needs a library that is not installed: pip install pytest-fractal[ome-zarr]"


def make_ome_zarr(folder: Path) -> Path:
    """Write the sample data below `folder`, which must not exist yet, and return it.

    `image.zarr` is one image, `plate.zarr` a plate whose images are at `B/03/0` and
    `B/05/0`, both in NGFF 0.4; `image_v05.zarr` and `plate_v05.zarr` are the same in 0.5.
    Each image has two channels with a few bright disks, as 16 bit numbers; every time the
    same ones. Raises `HarnessError` when the library is broken.
    """
    folder.mkdir(parents=True)
    finished = run(
        [sys.executable, "-P", "-W", "ignore", "-m", __name__, folder],
        cwd=folder,
        env=command_variables(),
        timeout=600,
    )
    if finished.returncode:
        reason = last_lines(finished.stderr, 1) or finished.ending
        raise HarnessError(f"the OME-Zarr sample data cannot be made: {reason}")
    return folder


def copy_ome_zarr(made: Path, folder: Path) -> Path:
    """Copy what `make_ome_zarr` has made, so that a task may change it; where it is, keep it."""
    if not folder.exists():
        shutil.copytree(made, folder)
    return folder


def _write(folder: Path) -> None:
    for version, suffix in VERSIONS.items():
        _write_image(folder / f"image{suffix}.zarr", version, 0)
        _write_plate(folder / f"plate{suffix}.zarr", version)


def _write_image(path: Path, version: str, number: int) -> None:
    import zarr
    from ome_zarr.format import format_from_version
    from ome_zarr.writer import write_multiscales_metadata

    form = format_from_version(version)
    group = zarr.open_group(str(path), mode="w", zarr_format=form.zarr_format)
    pixels = _pixels(number)
    datasets = []
    for level in range(2):
        step = 2**level
        group.create_array(
            str(level),
            data=pixels[:, :, ::step, ::step].copy(),
            chunks=(1, 1, *SHAPE[2:]),
            chunk_key_encoding=form.chunk_key_encoding,
            dimension_names=None if version == "0.4" else list("czyx"),
        )
        scale = [1.0, PIXEL["z"], PIXEL["y"] * step, PIXEL["x"] * step]
        datasets.append(
            {
                "path": str(level),  # older tasks look for no other names
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    write_multiscales_metadata(group, datasets, fmt=form, axes=axes, name=path.stem)
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
    of_version: dict[str, Any] = {"version": version} if version == "0.4" else {}
    whole: Any = group.attrs if version == "0.4" else group.attrs["ome"]
    (multiscale,) = whole["multiscales"]
    # What the specification's strict schemas ask for.
    multiscale |= {"type": "nearest", "metadata": {"description": "every other pixel"}}
    attributes: Any = {"multiscales": [multiscale], "omero": {**of_version, "channels": channels}}
    group.attrs.update(attributes if version == "0.4" else {"ome": {**whole, **attributes}})


def _write_plate(path: Path, version: str) -> None:
    import zarr
    from ome_zarr.format import format_from_version
    from ome_zarr.writer import write_plate_metadata, write_well_metadata

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
    import numpy

    channels, planes, rows, columns = SHAPE
    y, x = numpy.mgrid[:rows, :columns]
    pixels = numpy.zeros(SHAPE, "uint16")
    for channel in range(channels):
        for plane in range(planes):
            pixels[channel, plane] = 100 + y + x // 2 + 10 * plane
            for disk in range(3):
                row = 12 + (23 * disk + 7 * number + 5 * channel) % 40
                column = 12 + (31 * disk + 11 * number + 3 * channel) % 40
                inside = (y - row) ** 2 + (x - column) ** 2 < (6 + disk) ** 2
                pixels[channel, plane][inside] = 2000 - 500 * plane + 100 * disk
    return pixels


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
