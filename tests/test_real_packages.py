"""The two main jobs on real input: packages that the Fractal team published.

Their tasks are run on a small image set, and what they write is opened and compared with
the images; and all rules are judged on two versions of fractal-tasks-core, each finding
of which was checked by hand.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cellvoyager
import pytest
from cellvoyager import CHANNELS, FIELDS, PIXEL, PLANES, PLATE, SIZE, STEP, WELLS
from conftest import Ran, Runner

from pytest_fractal.environments.sdists import unpack

NAME = "fractal-tasks-core"
CORE = f"{NAME}==0.14.3"

CREATE, CONVERT = "create_ome-zarr_structure", "convert_yokogawa_to_ome-zarr"
CORRECT, COPY = "illumination_correction", "copy_ome-zarr_structure"
PROJECT, IMPORT = "maximum_intensity_projection", "import_ome-zarr"


def judge(runner: Runner, *options: str | Path) -> tuple[Ran, dict[str, Any]]:
    """Run the suite; returns what it printed, and its report on the one candidate."""
    report = runner.folder / "report.json"
    process = runner.start(*runner.argv(*options, f"--fractal-report={report}"))
    out, err = process.communicate(timeout=900)  # a first installation fetches a lot
    ran = Ran(process.returncode, out, err, runner.left(), runner.folder)
    assert report.exists(), ran.text
    (candidate,) = json.loads(report.read_text("utf-8"))["candidates"]
    return ran, candidate


# Samples of a real package: from the microscope's images to a corrected projection

CHANNEL_NAMES = ("DNA", "membrane")

WORKFLOW = {
    "steps": [
        {
            "task": "Create OME-Zarr structure",
            "input_paths": ["{samples}/images"],
            "args": {
                "allowed_channels": [
                    {"wavelength_id": f"A01_C{number:02}", "label": label}
                    for number, label in enumerate(CHANNEL_NAMES, 1)
                ],
                "image_extension": "png",
                "num_levels": 2,
            },
        },
        {"task": "Convert Yokogawa to OME-Zarr"},
        {
            "task": "Illumination correction",
            "args": {
                "illumination_profiles_folder": "{samples}",
                "dict_corr": {"A01_C01": "profile.png", "A01_C02": "profile.png"},
                "background": 0,
            },
        },
        {"task": "Copy OME-Zarr structure", "args": {"suffix": "mip"}},
        {"task": "Maximum Intensity Projection"},
        {"task": "Import OME-Zarr", "args": {"zarr_name": f"{PLATE}_mip.zarr"}},
    ]
}

NO_IMAGES = {
    "task": "Create OME-Zarr structure",
    "args": {"allowed_channels": []},
    "expect": "failure",
}

READ = """
import json, sys
from pathlib import Path
import zarr

assert zarr.__version__.startswith("2."), zarr.__version__
reported, top = {}, Path(sys.argv[1])
for file in sorted([*top.rglob(".zgroup"), *top.rglob(".zarray")]):
    node = zarr.open(str(file.parent), mode="r")
    reported[file.parent.relative_to(top).as_posix()] = node.attrs.asdict()
    if file.name == ".zarray" and node.dtype.kind in "uif":
        reported[file.parent.relative_to(top).as_posix()] = {
            "shape": node.shape, "type": node.dtype.name, "values": node[:].tolist()
        }
print(json.dumps(reported))
"""
"""Prints what a folder of OME-Zarrs holds: attributes of groups, values of arrays."""

Plane = list[list[int]]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A folder of samples with the images that they work on."""
    folder = tmp_path / "samples"
    cellvoyager.make_images(folder / "images")
    cellvoyager.make_profile(folder / "profile.png")
    (folder / "plate.json").write_text(json.dumps(WORKFLOW))
    (folder / "no_images.json").write_text(json.dumps(NO_IMAGES))
    return folder


def about(*tasks: str) -> str:
    """Selects the rules about samples, for these tasks, and that their commands start."""
    codes = ("FR208", "FR301", "FR4")
    return f"--fractal-select={','.join(f'{code}[{task}]' for task in tasks for code in codes)}"


def corrected(well: str, channel: int, z: int) -> Plane:
    """A plane of a well as it should be after the correction, its fields side by side."""
    return [
        [
            cellvoyager.gain(x) * cellvoyager.value(well, channel, z, y, x)
            for x in range(FIELDS * SIZE)
        ]
        for y in range(SIZE)
    ]


def brightest(planes: Sequence[Plane]) -> Plane:
    """The maximum of each pixel over the planes."""
    return [
        [max(pixels) for pixels in zip(*rows, strict=True)] for rows in zip(*planes, strict=True)
    ]


def test_a_chain_of_real_tasks_makes_of_images_what_it_should(
    runner: Runner, samples: Path
) -> None:
    """Structure, images, correction, copy, projection and import: all green, and all right.

    A plain installation lacks scikit-image, which the extra would bring beside torch.
    """
    ran, report = judge(
        runner,
        f"--fractal-package={CORE}",
        f"--fractal-samples={samples}",
        "--fractal-keep",
        about(CREATE, CONVERT, CORRECT, COPY, PROJECT, IMPORT),
        "--fractal-pin=scikit-image==0.24.0",
    )
    assert ran.status == 0, ran.text
    assert {verdict["outcome"] for verdict in report["verdicts"]} == {"pass", "skip"}
    outcomes = {
        (verdict["code"], verdict["sample"]): verdict["outcome"] for verdict in report["verdicts"]
    }
    steps = [f"plate.{number}" for number in range(1, 7)]
    assert [outcomes["FR401", step] for step in steps] == ["pass"] * 6
    assert outcomes["FR406", "no_images"] == "pass"
    # A parallel task ran once for each of the two wells' images.
    assert Counter(run["sample"] for run in report["runs"] if run["sample"]) == dict(
        zip([*steps, "no_images"], [1, 2, 2, 1, 2, 1, 1], strict=True)
    )

    (kept,) = (line.removeprefix("kept: ") for line in ran.out.splitlines() if "kept: " in line)
    (output,) = {plate.parent for plate in Path(kept).rglob(f"{PLATE}*.zarr")}
    python = report["tasks"][0]["command"][0]
    reported = subprocess.run(
        [python, "-c", READ, output], capture_output=True, text=True, check=True
    )
    zarrs = json.loads(reported.stdout)
    for plate, planes in ((f"{PLATE}.zarr", PLANES), (f"{PLATE}_mip.zarr", 1)):
        assert zarrs[plate]["plate"]["wells"] == [
            {"path": "B/03", "rowIndex": 0, "columnIndex": 0},
            {"path": "C/05", "rowIndex": 1, "columnIndex": 1},
        ]
        for well in WELLS:
            check_image(zarrs, f"{plate}/{well[0]}/{well[1:]}", well, planes)


def check_image(zarrs: Mapping[str, Any], place: str, well: str, planes: int) -> None:
    """Assert that the image of a well is NGFF 0.4, and holds what the images say."""
    assert zarrs[place]["well"] == {"images": [{"path": "0"}], "version": "0.4"}
    (multiscale,) = zarrs[f"{place}/0"]["multiscales"]
    assert multiscale["version"] == "0.4"
    assert [(axis["name"], axis["type"]) for axis in multiscale["axes"]] == [
        ("c", "channel"),
        ("z", "space"),
        ("y", "space"),
        ("x", "space"),
    ]
    assert [axis.get("unit") for axis in multiscale["axes"]] == [None, *["micrometer"] * 3]
    assert [
        (dataset["path"], dataset["coordinateTransformations"])
        for dataset in multiscale["datasets"]
    ] == [
        ("0", [{"type": "scale", "scale": [1, STEP, PIXEL, PIXEL]}]),
        ("1", [{"type": "scale", "scale": [1, STEP, 2 * PIXEL, 2 * PIXEL]}]),
    ]
    channels = zarrs[f"{place}/0"]["omero"]["channels"]
    assert [channel["label"] for channel in channels] == list(CHANNEL_NAMES)

    full, half = zarrs[f"{place}/0/0"], zarrs[f"{place}/0/1"]
    assert (full["type"], half["type"]) == ("uint16", "uint16")
    assert full["shape"] == [CHANNELS, planes, SIZE, FIELDS * SIZE]
    assert half["shape"] == [CHANNELS, planes, SIZE // 2, FIELDS * SIZE // 2]
    for channel in range(CHANNELS):
        expected = [corrected(well, channel, z) for z in range(PLANES)]
        if planes == 1:
            expected = [brightest(expected)]
        assert full["values"][channel] == expected

    # Where the fields lie: x, y, z and the lengths, in micrometers.
    side, depth = SIZE * PIXEL, planes * STEP
    regions = zarrs[f"{place}/0/tables/FOV_ROI_table/X"]["values"]
    assert [region[:6] for region in regions] == [
        [field * side, 0, 0, side, side, depth] for field in range(FIELDS)
    ]


@pytest.mark.slow
def test_a_sample_tells_what_a_start_cannot(runner: Runner, samples: Path) -> None:
    """Without scikit-image the conversion starts, and breaks at its first image.

    dask passes over the missing module while it is imported, so FR301 sees nothing.
    """
    ran, report = judge(
        runner,
        f"--fractal-package={CORE}",
        f"--fractal-samples={samples}",
        about(CREATE, CONVERT, COPY),
    )
    assert ran.status == 1
    reported = {
        (verdict["code"], verdict["task"]): verdict["outcome"]
        for verdict in report["verdicts"]
        if verdict["code"] in ("FR301", "FR401") and verdict["sample"] != "no_images"
    }
    assert reported == {
        ("FR301", CREATE): "pass",
        ("FR401", CREATE): "pass",
        ("FR301", CONVERT): "pass",
        ("FR401", CONVERT): "fail",
        ("FR301", COPY): "pass",
        ("FR401", COPY): "blocked",
    }
    (broken,) = (verdict for verdict in report["verdicts"] if verdict["outcome"] == "fail")
    assert {found["found"] for found in broken["findings"]} == {
        "exit status 1: NameError: name 'sk_imread' is not defined. Did you mean: 'imread'?"
    }


# All rules, on two versions

TASKS = (
    CREATE,
    CONVERT,
    COPY,
    PROJECT,
    "cellpose_segmentation",
    CORRECT,
    "napari_workflows_wrapper",
    "create_ome-zarr_structure_(multiplexing)",
    "calculate_registration_(image-based)",
    "apply_registration_to_roi_tables",
    "apply_registration_to_image",
    IMPORT,
)
"""The tasks of 0.14.3; the first eight are those of 0.10.1."""

MISSING = {
    "cellpose_segmentation": ("cellpose", "cellpose"),
    CORRECT: ("skimage", "scikit-image"),
    "napari_workflows_wrapper": ("napari_workflows", "napari-workflows"),
    "calculate_registration_(image-based)": ("skimage", "scikit-image"),
}
"""Of each task that needs the extra: the module it lacks, and the distribution that has it."""

OWN: Mapping[str, tuple[str, str | None, str]] = {
    # `default` is of a class of its own, whose fields may not be null in its own schema.
    "0.14.3": (
        "FR207",
        "cellpose_segmentation",
        "/task_list/4/args_schema/properties/normalize/default",
    ),
    # Beside `has_args_schemas`, which is there too.
    "0.10.1": ("FR107", None, "/has_args_schema"),
}
"""The finding that only this version has: code, task, JSON pointer."""

Reported = dict[tuple[str, str | None, str | None], tuple[str, list[Any]]]


def verdicts(report: Mapping[str, Any]) -> Reported:
    """Outcome and findings of each verdict, but for the two that tell of the building."""
    return {
        (verdict["code"], verdict["task"], verdict["sample"]): (
            verdict["outcome"],
            [(found["found"], found["hint"], found["pointer"]) for found in verdict["findings"]],
        )
        for verdict in report["verdicts"]
        if verdict["code"] not in ("FR001", "FR006")
    }


def fetched(runner: Runner, requirement: str, *options: str) -> Path:
    """The one file that the package index has for a requirement."""
    folder = runner.folder / f"fetched{len(options)}"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    subprocess.run(
        [*pip, "download", "--no-deps", "--quiet", *options, "--dest", folder, requirement],
        check=True,
    )
    (file,) = folder.iterdir()
    return file


def every_way(runner: Runner, requirement: str) -> dict[str, Sequence[str | Path]]:
    """The options by which the same package is judged in every way that there is."""
    sdist = fetched(runner, requirement, "--no-binary", ":all:")
    tree = unpack(sdist, runner.folder / "unpacked")
    return {
        "requirement": [f"--fractal-package={requirement}"],
        "two workers": [f"--fractal-package={requirement}", "-n", "2"],
        "wheel": [f"--fractal-package={fetched(runner, requirement)}"],
        "source tree": [f"--fractal-package={tree}"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("version", OWN)
def test_each_finding_on_a_published_package_is_true(runner: Runner, version: str) -> None:
    """And none is left out: whether it comes from the index, as a wheel or as a source tree."""
    judged: dict[str, Reported] = {}
    for way, options in every_way(runner, f"{NAME}=={version}").items():
        ran, report = judge(runner, *options)
        assert ran.status == 1, ran.text
        assert report["summary"]["error"] == 0, ran.text
        judged[way] = verdicts(report)
    reported = judged["requirement"]
    for way, numbers in judged.items():
        assert numbers == reported, way

    tasks = TASKS if version == "0.14.3" else TASKS[:8]
    missing = [task for task in tasks if task in MISSING]
    found = [
        (outcome, (code, task, pointer))
        for (code, task, _), (outcome, findings) in reported.items()
        for *_, pointer in findings
    ]
    assert found == [
        ("warn", OWN[version]),
        *(("fail", ("FR301", task, None)) for task in missing),
        ("pass", ("FR407", None, None)),
    ]
    for task in missing:
        module, distribution = MISSING[task]
        ((said, hint, _),) = reported["FR301", task, None][1]
        assert said.startswith(f"ModuleNotFoundError: No module named '{module}' (")
        assert f"the extra [fractal-tasks] brings {distribution}:" in hint
    blocked = {task for (_, task, _), (outcome, _) in reported.items() if outcome == "blocked"}
    assert blocked == set(missing)


# Generation 2: the sample data through a compound task and parallel ones

CORE_2 = f"{NAME}==2.1.0"
HCS, SEGMENT, MEASURE = "project_image__hcs_plate_", "threshold_segmentation", "measure_features"

CHAIN_2 = {
    "steps": [
        {
            "task": "Project Image (HCS Plate)",
            "args": {"init": {"output_plate_name": "{plate_name}_mip"}, "compute": {}},
            "images": [
                {
                    "zarr_url": f"{{ome_zarr}}/plate.zarr/{well}/0",
                    "attributes": {"plate": "plate.zarr", "well": well.replace("/", "")},
                    "types": {"is_3D": True},
                }
                for well in ("B/03", "B/05")
            ],
        },
        {
            "task": "Threshold Segmentation",
            "args": {
                "channel": {"mode": "label", "identifier": "DAPI"},
                "output_label_name": "nuclei",
            },
        },
        {"task": "Measure Features", "args": {"input_label_name": "nuclei"}},
    ]
}
NOTHING_THERE = {
    "task": "Threshold Segmentation",
    "args": {"channel": {"mode": "label", "identifier": "DAPI"}},
    "zarr_url": "{tmp}/nothing.zarr",
    "expect": "failure",
}

READ_2 = """
import json, sys
from pathlib import Path
import zarr

reported, top = {}, Path(sys.argv[1], "samples", "plate")
for well in ("B/03", "B/05"):
    full = top / "ome_zarr" / "plate.zarr" / well / "0"
    (flat,) = top.rglob(f"plate_mip.zarr/{well}/0")
    image, projected = (zarr.open_array(str(one / "0"), mode="r")[:] for one in (full, flat))
    labels = zarr.open_array(str(flat / "labels" / "nuclei" / "0"), mode="r")[:]
    reported[well] = {
        "depths": [image.shape[1], projected.shape[1]],
        "is_maximum": bool((image.max(axis=1) == projected[:, 0]).all()),
        "is_image": bool(image.max() > image.min()),
        "objects": int(labels.max()),
        "bright": bool(projected[0][labels > 0].min() > projected[0][labels == 0].min()),
        "table": (flat / "tables" / "region_props_features").is_dir(),
    }
print(json.dumps(reported))
"""
"""Prints what the projections of a plate hold, beside what they were made from."""


@pytest.mark.slow
def test_a_chain_of_real_tasks_of_generation_2_makes_of_the_sample_data_what_it_should(
    runner: Runner, tmp_path: Path
) -> None:
    """The init part makes a plate, the compute part an image a well; others go on with those."""
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "plate.json").write_text(json.dumps(CHAIN_2))
    (samples / "nothing.json").write_text(json.dumps(NOTHING_THERE))
    ran, report = judge(
        runner,
        f"--fractal-package={CORE_2}",
        f"--fractal-samples={samples}",
        "--fractal-keep",
        about(HCS, SEGMENT, MEASURE),
    )
    assert ran.status == 0, ran.text
    assert {verdict["outcome"] for verdict in report["verdicts"]} == {"pass", "skip"}
    outcomes = {
        (verdict["code"], verdict["sample"]): verdict["outcome"] for verdict in report["verdicts"]
    }
    for code in ("FR401", "FR405", "FR408"):
        assert [outcomes[code, f"plate.{step}"] for step in (1, 2, 3)] == ["pass"] * 3, code
    assert outcomes["FR406", "nothing"] == "pass"
    runs = Counter(run["sample"] for run in report["runs"] if run["sample"])
    assert runs == {"plate.1": 1 + 2, "plate.2": 2, "plate.3": 2, "nothing": 1}

    (kept,) = (line.removeprefix("kept: ") for line in ran.out.splitlines() if "kept: " in line)
    python = report["tasks"][0]["command"][0]
    reported = subprocess.run(
        [python, "-W", "ignore", "-c", READ_2, kept], capture_output=True, text=True, check=True
    )
    wells = json.loads(reported.stdout)
    for well in ("B/03", "B/05"):
        objects = wells[well].pop("objects")
        assert objects > 1
        assert wells[well] == {
            "depths": [2, 1],
            "is_maximum": True,
            "is_image": True,
            "bright": True,
            "table": True,
        }


NEWEST = {
    CORE_2: 9,
    "operetta-compose==0.2.14": 5,
    "fractal-uzh-converters==0.7.1": 7,
    "zmb-fractal-tasks==0.4.3": 15,
}
"""Packages of generation 2, and how many tasks each has."""


@pytest.mark.slow
@pytest.mark.parametrize("requirement", NEWEST)
def test_each_finding_on_a_package_of_generation_2_is_true(
    runner: Runner, requirement: str
) -> None:
    """None has samples, and one has dependencies that no longer fit together."""
    _, report = judge(runner, f"--fractal-package={requirement}")
    assert report["generation"] == "2"
    assert len(report["tasks"]) == NEWEST[requirement]
    assert report["summary"]["error"] == 0
    found = [
        (verdict["code"], verdict["outcome"], found["found"], found["hint"])
        for verdict in report["verdicts"]
        for found in verdict["findings"]
    ]
    (samples,) = (finding for finding in found if finding[0] == "FR407")
    assert samples[2].startswith(f"none for {NEWEST[requirement]} of {NEWEST[requirement]}: ")
    others = [finding for finding in found if finding[0] != "FR407"]
    if not requirement.startswith("zmb"):
        assert others == []
        return
    # basicpy wants an old numpy, and pyarrow looks for itself what numpy it gets.
    assert {(code, outcome) for code, outcome, *_ in others} == {("FR301", "fail")}
    for _, _, said, hint in others:
        assert said.startswith("ImportError: pyarrow requires NumPy 2.0 or newer, found 1.")
        assert hint.startswith("pyarrow ")
        assert " does not fit to numpy 1." in hint
