"""Sample data: OME-Zarr that other libraries read, in samples and for authors' own tests."""

from __future__ import annotations

import filecmp
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zarr
from conftest import Runner
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from pytest_fractal.samples.ome_zarr import (
    CHANNELS,
    LABEL,
    NAMES,
    PIXEL,
    SHAPE,
    WELLS,
    name_in_data,
    named_data,
    unpack_ome_zarr,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_ome_zarr(tmp_path_factory.mktemp("made") / "ome_zarr")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def attributes(group: Path) -> dict[str, Any]:
    """The metadata of OME-Zarr, wherever its version keeps them."""
    if (group / "zarr.json").exists():
        text = json.loads((group / "zarr.json").read_text())
        attributes: dict[str, Any] = text["attributes"]["ome"]
    else:
        attributes = json.loads((group / ".zattrs").read_text())
    return attributes


def pixels(path: Path) -> Any:
    return zarr.open_array(str(path), mode="r")[:]


@pytest.mark.parametrize("name", ["image.zarr", "image_v05.zarr", "plate.zarr/B/05/0"])
def test_an_image_has_two_channels_and_two_levels(made: Path, name: str) -> None:
    reported = attributes(made / name)
    assert [channel["wavelength_id"] for channel in reported["omero"]["channels"]] == [
        wavelength for _, wavelength, _ in CHANNELS
    ]
    (multiscale,) = reported["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["c", "z", "y", "x"]
    assert [axis.get("unit") for axis in multiscale["axes"]] == [None, *["micrometer"] * 3]
    for level, dataset in enumerate(multiscale["datasets"]):
        assert dataset["path"] == str(level)
        (scale,) = dataset["coordinateTransformations"]
        step = 2**level
        assert scale["scale"] == [1, PIXEL["z"], PIXEL["y"] * step, PIXEL["x"] * step]
        values = pixels(made / name / str(level))
        assert values.shape == (*SHAPE[:2], SHAPE[2] // step, SHAPE[3] // step)
        assert values.dtype == "uint16"
        for channel in values:
            assert (channel > 1000).any(), "something to segment"
            assert (channel < 300).any(), "and something around it"


@pytest.mark.parametrize("name", ["image.zarr", "image_v05.zarr", "plate.zarr/B/05/0"])
def test_the_label_image_has_the_disks_of_the_first_channel(made: Path, name: str) -> None:
    labels = made / name / "labels"
    assert attributes(labels)["labels"] == [LABEL]
    reported = attributes(labels / LABEL)
    assert reported["image-label"]["source"] == {"image": "../../"}
    assert [axis["name"] for axis in reported["multiscales"][0]["axes"]] == ["z", "y", "x"]
    for level in "01":
        image, labelled = pixels(made / name / level)[0], pixels(labels / LABEL / level)
        assert set(labelled.flat) == {0, 1, 2, 3}
        assert ((labelled > 0) == (image > 1000)).all()


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["channel_label"], "DAPI"),
        (["channels", "wavelength_id"], "A01_C01"),
        (["channel", "identifier"], "DAPI"),
        (["channel", "label"], "DAPI"),
        (["label_image_name"], "nuclei"),
        (["output_label_name"], None),
        (["label_table"], None),
        (["sigma"], None),
        (["relabelled"], None),
    ],
)
def test_what_the_data_have_is_known_by_the_names_of_arguments(
    names: list[str], value: str | None
) -> None:
    assert name_in_data(names) == value


@pytest.mark.parametrize("name", ["plate.zarr", "plate_v05.zarr"])
def test_a_plate_has_two_wells_with_an_image_each(made: Path, name: str) -> None:
    plate = attributes(made / name)["plate"]
    assert [well["path"] for well in plate["wells"]] == list(WELLS)
    for well in WELLS:
        assert attributes(made / name / well)["well"]["images"] == [
            {"path": "0", "acquisition": 0}
        ]
    one, other = (pixels(made / name / well / "0" / "0") for well in WELLS)
    assert (one != other).any(), "their pixels differ"


def test_both_versions_hold_the_same_pixels(made: Path) -> None:
    for path in ("image{}.zarr/0", "image{}.zarr/1", "plate{}.zarr/B/05/0/0"):
        one, other = (pixels(made / path.format(suffix)) for suffix in ("", "_v05"))
        assert (one == other).all()
    assert (made / "image.zarr" / "0" / ".zarray").is_file()
    assert (made / "image_v05.zarr" / "0" / "zarr.json").is_file()


def test_the_archive_holds_what_its_script_writes(made: Path, tmp_path: Path) -> None:
    """Only the compressed pixels may differ, by the release of what has compressed them."""
    again = tmp_path / "again"
    script = Path(__file__).parents[1] / "docs" / "sample_data.py"
    subprocess.run([sys.executable, "-W", "ignore", script, again], check=True)
    assert files(again) == files(made)
    _, differ, _ = filecmp.cmpfiles(made, again, files(made), shallow=False)
    assert not [path for path in differ if Path(path).name.startswith((".z", "zarr.json"))], (
        "python -W ignore docs/sample_data.py"
    )
    arrays = [path.parent for name in (".zarray", "zarr.json") for path in made.rglob(name)]
    compared = 0
    for array in arrays:
        if array.name in ("0", "1") and not (array / "labels").exists():
            assert (pixels(array) == pixels(again / array.relative_to(made))).all()
            compared += 1
    assert compared == 24


def test_a_copy_that_is_there_is_kept_as_it_is(tmp_path: Path) -> None:
    copy = unpack_ome_zarr(tmp_path / "copy")
    (copy / "image.zarr" / ".zattrs").write_text("{}")
    assert unpack_ome_zarr(copy) == copy
    assert (copy / "image.zarr" / ".zattrs").read_text() == "{}"


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ([], set()),
        (["{tmp}/image.zarr", "plate.zarr"], set()),
        (["{ome_zarr}/image.zarr"], {"image.zarr"}),
        (["{ome_zarr}/plate.zarr/B/03/0", "{ome_zarr}/plate.zarr/B/05/0"], {"plate.zarr"}),
        (
            ["{ome_zarr}/plate_v05.zarr/", "{ome_zarr}/image.zarr"],
            {"plate_v05.zarr", "image.zarr"},
        ),
        (["{ome_zarr}/image.zarr", "{ome_zarr}"], NAMES),
        (["{ome_zarr}/"], NAMES),
        (["{ome_zarr}//image.zarr"], NAMES),
        (["{ome_zarr}/new.zarr"], NAMES),
        (["{ome_zarr}/*.zarr"], NAMES),
        (["{ome_zarr}/image.zarr/../plate.zarr"], NAMES),
        (["{ome_zarr}/image.zarr,{ome_zarr}/plate.zarr"], NAMES),
    ],
)
def test_all_is_needed_where_not_only_images_and_plates_are_named(
    texts: list[str], names: set[str]
) -> None:
    assert named_data(texts) == names


def test_what_is_named_is_there_and_nothing_else(made: Path, tmp_path: Path) -> None:
    copy = unpack_ome_zarr(tmp_path / "copy", {"plate.zarr", "image_v05.zarr"})
    assert {path.name for path in made.iterdir()} == NAMES
    assert {path.name for path in copy.iterdir()} == {"plate.zarr", "image_v05.zarr"}
    for name in ("plate.zarr", "image_v05.zarr"):
        assert files(copy / name) == files(made / name)


FIXTURE = """
def test_one(fractal_ome_zarr):
    assert (fractal_ome_zarr / "plate.zarr/B/03/0/.zattrs").is_file()
    (fractal_ome_zarr / "plate.zarr/B/03/0/.zattrs").unlink()

def test_other(fractal_ome_zarr, tmp_path):
    assert fractal_ome_zarr == tmp_path / "ome_zarr"
    assert (fractal_ome_zarr / "plate.zarr/B/03/0/.zattrs").is_file()
"""


def test_the_fixture_gives_each_test_its_own_and_needs_no_package(runner: Runner) -> None:
    (runner.folder / "test_own.py").write_text(FIXTURE)
    ran = runner.pytest("test_own.py", "-W", "error")
    assert ran.status == 0, ran.text
    assert "2 passed" in ran.out


NGIO = """
import sys
import ngio

for suffix in ("", "_v05"):
    image = ngio.open_ome_zarr_container(f"{sys.argv[1]}/image{suffix}.zarr")
    print(image.levels, image.channel_labels, image.wavelength_ids, image.get_image().shape)
    plate = ngio.open_ome_zarr_plate(f"{sys.argv[1]}/plate{suffix}.zarr")
    for path, image in sorted(plate.get_images(max_workers=1).items()):
        print(path, image.get_image().pixel_size.yx, image.get_image().get_array().max())
"""

MODELS = """
import sys
from ome_zarr_models import open_ome_zarr

for suffix in ("", "_v05"):
    for name in ("image", "plate"):
        print(type(open_ome_zarr(f"{sys.argv[1]}/{name}{suffix}.zarr")))
"""


TASK = """
import argparse, json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-j", "--json", required=True)
parser.add_argument("--metadata-out", required=True)
options = parser.parse_args()


def take(*, input_paths, output_path, metadata, component, image):
    assert Path(image).is_file()
    Path(input_paths[0], component, ".zattrs").unlink()
    Path(output_path, component, "taken").touch()


take(**json.loads(Path(options.json).read_text()))
"""


def custom_task(folder: Path, samples: dict[str, Any]) -> None:
    """A parallel task of generation 1 that takes an image's metadata away, and its samples."""
    (folder / "take.py").write_text(TASK)
    entry = {
        "name": "Take",
        "command": f"{sys.executable} {folder / 'take.py'}",
        "input_type": "zarr",
        "output_type": "zarr",
        "source": "here:take",
        "meta": {"parallelization_level": "image"},
        "docs_info": "Takes metadata away.",
    }
    (folder / "task.json").write_text(json.dumps(entry))
    (folder / "fractal_samples").mkdir()
    for name, sample in samples.items():
        (folder / "fractal_samples" / f"{name}.json").write_text(json.dumps(sample, indent=1))


SAMPLE = {
    "task": "Take",
    "args": {"image": "{ome_zarr}/image_v05.zarr/zarr.json"},
    "component": "plate.zarr/B/03/0",
    "input_paths": ["{ome_zarr}"],
    "output_path": "{ome_zarr}",
}


def test_each_sample_has_its_own_and_the_steps_of_a_workflow_share_theirs(runner: Runner) -> None:
    again = {**SAMPLE, "expect": "failure"}
    custom_task(
        runner.folder, {"one": SAMPLE, "other": SAMPLE, "twice": {"steps": [SAMPLE, again]}}
    )
    ran = runner.pytest(
        "--fractal-task=task.json", "-v", "--fractal-select=FR401,FR406", "--fractal-jobs=2"
    )
    assert ran.status == 0, ran.text
    for name in ("one", "other", "twice.1"):
        assert f"sample-succeeds[take-{name}] PASSED" in ran.out
    assert "sample-fails-as-expected[take-twice.2] PASSED" in ran.out
    assert ran.left == []


def test_what_any_step_of_a_workflow_names_is_there_from_the_first_on(runner: Runner) -> None:
    """And what a step has removed does not come back when a later one names more."""

    def step(name: str, component: str, **more: str) -> dict[str, Any]:
        place = f"{{ome_zarr}}/{name}"
        given = {"input_paths": [place], "output_path": place, "component": component}
        return {"task": "Take", "args": {"image": f"{place}/.zattrs"}, **given, **more}

    labels = step("image.zarr", "labels")
    steps = [labels, step("plate.zarr", "B/03/0"), {**labels, "expect": "failure"}]
    custom_task(runner.folder, {"taken": {"steps": steps}})
    ran = runner.pytest(
        "--fractal-task=task.json", "-v", "--fractal-select=FR401,FR406", "--fractal-keep"
    )
    assert ran.status == 0, ran.text
    assert "sample-succeeds[take-taken.2] PASSED" in ran.out
    assert "sample-fails-as-expected[take-taken.3] PASSED" in ran.out
    (kept,) = re.findall(r"^kept: (.+)$", ran.out, re.MULTILINE)
    (folder,) = Path(kept).rglob("ome_zarr")
    assert {path.name for path in folder.iterdir()} == {"image.zarr", "plate.zarr"}


@pytest.mark.slow
def test_other_libraries_read_it(made: Path, tmp_path: Path) -> None:
    """ngio, with which tasks are written, and ome-zarr-models, in an environment of their own.

    Each in a process of its own: after `import ngio` (1.1.3) ome-zarr-models (1.7) takes no
    image of version 0.4.
    """
    python = tmp_path / "venv/bin/python"
    for command in (
        ["venv", "--python", sys.executable, str(tmp_path / "venv")],
        ["pip", "install", "-q", "--python", str(python), "ngio", "ome-zarr-models"],
    ):
        subprocess.run([sys.executable, "-m", "uv", *command], check=True)

    def printed(script: str) -> list[str]:
        argv = [str(python), "-W", "ignore", "-c", script, str(made)]
        env = {**os.environ, "HOME": str(tmp_path)}
        ran = subprocess.run(argv, capture_output=True, text=True, env=env)
        assert ran.returncode == 0, ran.stderr
        return list(ran.stdout.splitlines())

    once = [
        f"2 {[label for label, _, _ in CHANNELS]} {[name for _, name, _ in CHANNELS]} {SHAPE}",
        *(f"{well}/0 (0.325, 0.325) 2200" for well in WELLS),
    ]
    assert printed(NGIO) == once * 2
    assert printed(MODELS) == [
        f"<class 'ome_zarr_models.{version}.{kind}'>"
        for version in ("v04", "v05")
        for kind in ("image.Image", "hcs.HCS")
    ]


@pytest.mark.slow
def test_it_is_valid_by_the_schemas_of_the_specification(made: Path, tmp_path: Path) -> None:
    """The strict ones too; ngff-zarr carries them all."""
    pip = tmp_path / "venv/bin/pip"
    for command in (
        [sys.executable, "-m", "venv", str(tmp_path / "venv")],
        [str(pip), "download", "-q", "--no-deps", "ngff-zarr==0.50.0"],
    ):
        subprocess.run(command, check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("ngff_zarr-*.whl")
    registry: Registry[Any] = Registry()
    schemas = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            version, _, schema = name.removeprefix("ngff_zarr/spec/").partition("/schemas/")
            if version in ("0.4", "0.5") and schema.endswith(".schema"):
                schemas[version, schema] = json.loads(archive.read(name))
                registry = DRAFT202012.create_resource(schemas[version, schema]) @ registry
    judged = 0
    for version, suffix in (("0.4", ""), ("0.5", "_v05")):
        for kind, groups in (
            ("image", [f"image{suffix}.zarr", f"plate{suffix}.zarr/B/03/0"]),
            ("label", [f"image{suffix}.zarr/labels/{LABEL}"]),
            ("plate", [f"plate{suffix}.zarr"]),
            ("well", [f"plate{suffix}.zarr/B/03", f"plate{suffix}.zarr/B/05"]),
        ):
            for group in groups:
                reported = attributes(made / group)
                value = reported if version == "0.4" else {"ome": reported}
                for schema in (f"{kind}.schema", f"strict_{kind}.schema"):
                    if (version, schema) in schemas:
                        validator = Draft202012Validator(
                            schemas[version, schema], registry=registry
                        )
                        assert [error.message for error in validator.iter_errors(value)] == []
                        judged += 1
    assert judged >= 15
