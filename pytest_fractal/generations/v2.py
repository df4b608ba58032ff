"""Generation 2: manifest version "2", `--args-json` and `--out-json`, fractal-server 2.x."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from packaging.utils import canonicalize_name
from pydantic import HttpUrl
from pydantic import ValidationError as Invalid

from pytest_fractal.environments.pip_show import LOCATION, PipShow
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.generations import images
from pytest_fractal.generations.meta_keys import (
    ABOVE_ZERO,
    AT_A_TIME,
    SlurmReader,
    slurm_faults,
    whole_by_model,
)
from pytest_fractal.generations.models_v2 import (
    COMPUTE,
    INIT,
    PARTS,
    ManifestModel,
    TaskModel,
    key_faults,
    manifest_faults,
)
from pytest_fractal.generations.protocol import (
    Call,
    CallResult,
    ExecutionResult,
    Misreading,
    ModelFault,
    PartKeys,
    Reserved,
    RunBlocked,
    SampleFault,
    State,
    TaskExecution,
)
from pytest_fractal.generations.samples_v2 import inputs_of, sample_faults
from pytest_fractal.json_text import shown

_RUNS: Final[Mapping[str, tuple[PartKeys, ...]]] = {
    "parallel": (COMPUTE,),
    "non_parallel": (INIT,),
    "compound": (INIT, COMPUTE),
    "converter_non_parallel": (INIT,),
    "converter_compound": (INIT, COMPUTE),
}
"""The commands that a job runs, by the kind of the task (`execute_tasks`)."""

_RESERVED: Final[Mapping[tuple[str, PartKeys], Reserved]] = {
    ("parallel", COMPUTE): Reserved(("zarr_url",), ("zarr_urls", "zarr_dir"), ("init_args",)),
    ("non_parallel", INIT): Reserved(("zarr_urls", "zarr_dir"), ("zarr_url",), ("init_args",)),
    ("compound", INIT): Reserved(("zarr_urls", "zarr_dir"), ("zarr_url",), ("init_args",)),
    ("compound", COMPUTE): Reserved(("zarr_url", "init_args"), ("zarr_urls", "zarr_dir")),
    ("converter_non_parallel", INIT): Reserved(
        ("zarr_dir",), ("zarr_url", "zarr_urls"), ("init_args",)
    ),
    ("converter_compound", INIT): Reserved(
        ("zarr_dir",), ("zarr_url", "zarr_urls"), ("init_args",)
    ),
    ("converter_compound", COMPUTE): Reserved(
        ("zarr_url", "init_args"), ("zarr_urls", "zarr_dir")
    ),
}
"""What the server puts into the arguments files (`runner_functions`), and what the tasks' own
tool refuses in a schema (fractal-task-tools 0.5.1, `FORBIDDEN_ARGUMENTS`)."""
_NOTHING: Final = Reserved((), ())

_SLURM: Final = SlurmReader(
    whole=whole_by_model,
    texts=("time", "gres", "gpus", "constraint", "nodelist", "exclude"),
    turns_into_text=False,
    batches_always=True,
    checks_needs_gpu=True,
    drops_shared_time=False,
    nodes_since="2.19.1",
    refuse_boolean_memory=">=2.11,<2.22.12",
)


_BAD_IN_PATHS: Final = re.compile(r"[`#$&*()\\|\[\]{};<>?!]")
"""What the server refuses in a command, such as one with the path of its scripts: name and
version of the package are part of that (`validate_cmd` of 2.18.5)."""
_MANIFEST: Final = re.compile("__FRACTAL_MANIFEST__.json")
"""Not the name: the regular expression by which the server's script searches."""


def _less(lines: Sequence[str], right: str) -> list[str]:
    """The lines but for one that is right; each wrong one once."""
    rest = list(lines)
    if right in rest:
        rest.remove(right)
    return list(dict.fromkeys(rest))


class Version2:
    """The interface of manifests of version 2, as fractal-server 2.x has it."""

    version = "2"
    takes_integer_version = False
    flags = ("--args-json", "--out-json")
    wrong_invocations: tuple[tuple[str, ...], ...] = (
        ("--args-json={arguments}", "--out-json={output}"),
        ("-j", "{arguments}", "--metadata-out", "{output}"),
        ("--json", "{arguments}", "--metadata-out", "{output}"),
    )
    executable_keys = frozenset(part.executable for part in PARTS)
    kind_key: str | None = "type"
    kinds: tuple[str, ...] = tuple(_RUNS)
    standard_words: Mapping[str, tuple[str, ...]] = MappingProxyType(
        {
            "category": (
                "Conversion",
                "Image Processing",
                "Segmentation",
                "Registration",
                "Measurement",
            ),
            "modality": ("HCS", "lightsheet", "EM"),
        }
    )
    type_keys: tuple[str, ...] = ()
    schema_version = "pydantic_v2"
    form_schema_versions: frozenset[str] | None = frozenset({"fractal_schema_v1"})
    takes_boolean_schemas = True
    schema_tool = "`fractal-manifest create` of fractal-task-tools"
    runners: Mapping[str, str] = {"fractal-task-tools": "fractal_task_tools.task_wrapper"}
    bad_in_executables = r"""[\s'"`#$&*()\\|\[\]{};<>?!]"""
    kinds_since: Mapping[str, str] = {
        "converter_non_parallel": "2.14",
        "converter_compound": "2.14",
    }
    cache_variable: str | None = "FRACTAL_CACHE_DIR"  # since 2.22.12
    marks_warnings_since: str | None = "2.23.2"
    slurm: SlurmReader = _SLURM
    upgraded_first: tuple[str, ...] = ("pip", "setuptools")
    pins_at_once = True
    manifest_keys = frozenset(ManifestModel.model_fields)
    task_keys = frozenset(TaskModel.model_fields)
    custom_keys = frozenset(TaskModel.model_fields)

    def file_names(self, part: PartKeys, arguments: Mapping[str, Any]) -> tuple[str, str]:
        """Names by the numbers of the unit of work and its batch (`TaskFiles`)."""
        stem = "par-000000-0000000" if part.is_parallel else "non_par-"
        return f"{stem}-args.json", f"{stem}-metadiff.json"

    def faults(self, manifest: Mapping[str, Any]) -> Iterator[ModelFault]:
        """Where the server's models of manifest and tasks refuse it."""
        yield from manifest_faults(manifest)

    def custom_faults(self, entry: Any) -> Iterator[ModelFault]:
        """Not asked: `--fractal-task` takes tasks as the page describes them, generation 1."""
        raise NotImplementedError

    state: type[State] = images.Dataset
    refused_by = ""
    deepest = 255
    """With more, the list of all tasks is an internal error, for everybody (pydantic)."""

    def meta_faults(self, meta: Mapping[str, Any], part: PartKeys) -> Iterator[ModelFault]:
        """Keys are stripped, and refused if that leaves none, or twins (`valdict_keys`)."""
        yield from key_faults(meta)
        at_a_time = meta.get(AT_A_TIME)
        # The local runner divides by what stands here, as it is; `true` is 1 to Python.
        is_count = isinstance(at_a_time, int) and at_a_time > 0
        breaks = part.is_parallel and at_a_time is not None and not is_count
        if breaks:
            found = f"{shown(at_a_time)}: the runner divides by it, and the job fails"
            yield ModelFault((AT_A_TIME,), ABOVE_ZERO, found)
        for fault in slurm_faults(meta, self.slurm, is_parallel=part.is_parallel):
            if not (breaks and fault.keys == (AT_A_TIME,)):
                yield fault

    def link_problem(self, link: str) -> str:
        """By the `HttpUrl` of pydantic 2, which takes `http://localhost` too."""
        if not link.strip():
            return "which is empty"
        try:
            HttpUrl(link.strip())
        except Invalid as error:
            (detail,) = error.errors(include_url=False)
            return f"which is no http or https URL: {detail['msg']}"
        return ""

    def second_manifest(self, path: str, *, is_first: bool) -> str | None:
        """It joins all lines of `pip show --files` that match."""
        if not _MANIFEST.search(path):
            return None
        return f"also {path}; the server joins the paths that it finds, and opens no file"

    def misreadings(self, wheel: Wheel, shown: PipShow, manifest: str) -> Iterator[Misreading]:
        """What grep finds: a text anywhere in a line, and all lines are joined.

        Of a line with `Name:` or `Location:` what is between its first two colons counts
        (4_pip_show.sh of 2.18.5).
        """
        is_installed = wheel.path.suffix == ".dist-info"
        version = wheel.version if is_installed else "".join(wheel.path.stem.split("-")[1:2])
        if version and _BAD_IN_PATHS.search(version):
            expected = "a version that can be part of a path on the server: without an epoch"
            yield Misreading(expected, version, "METADATA" if is_installed else "file name")
        for mark, means in (("Name:", wheel.distribution), ("Location:", LOCATION)):
            lines = [line for line in shown.about if mark in line]
            read = "".join("".join(line.split(":")[1].split()) for line in lines)
            if canonicalize_name(read) == canonicalize_name(means):
                continue
            expected = f"{mark} in one line alone of what `pip show` prints: the server joins all"
            for line in _less(lines, f"{mark} {means}") or ["there is no such line"]:
                yield Misreading(expected, line, shown.origin(line))
        expected = (
            f"{manifest} alone in what `pip show --files` prints: the server joins all lines"
        )
        for line in shown.about:
            if _MANIFEST.search(line):
                yield Misreading(expected, line, shown.origin(line))
        paths = [path for path in shown.files if _MANIFEST.search(path)]
        if paths != [manifest]:
            for path in _less(paths, manifest) or ["it is not there"]:
                yield Misreading(expected, path, "RECORD")

    def kind(self, entry: Mapping[str, Any]) -> str:
        """The `type`; without one, by which executables there are (`set_task_type`)."""
        kind = entry.get("type")
        if isinstance(kind, str) and kind in _RUNS:
            return kind
        there = self.parts(entry)
        if len(there) == 2:
            return "compound"
        return "parallel" if COMPUTE in there else "non_parallel"

    def parts(self, entry: Mapping[str, Any]) -> tuple[PartKeys, ...]:
        """The commands for which an entry names an executable."""
        return tuple(part for part in PARTS if entry.get(part.executable) is not None)

    def runs(self, kind: str) -> tuple[PartKeys, ...]:
        """The commands that the server runs for a kind of task: two for compound ones."""
        return _RUNS[kind]

    def reserved(self, kind: str, part: PartKeys) -> Reserved:
        """The server's own arguments; none for a command that such a task does not run."""
        return _RESERVED.get((kind, part), _NOTHING)

    reserved_shapes: Mapping[str, Mapping[str, Any]] = {
        "zarr_url": {"type": "string"},
        "zarr_urls": {"type": "array", "items": {"type": "string"}},
        "zarr_dir": {"type": "string"},
        "init_args": {"type": "object"},
    }

    def filled_in(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """None: it hands on what the user gives."""
        return {}

    def as_handed_on(
        self, schema: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """As they are."""
        return arguments

    def reserved_values(
        self, kind: str, part: PartKeys, folder: Path, made: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the server fills in; `folder` is what it calls `zarr_dir`."""
        image = str(folder / "plate.zarr" / "B" / "03" / "0")
        values = {
            "zarr_dir": str(folder),
            "zarr_urls": [image],
            "zarr_url": image,
            "init_args": made.get("init_args", {}),
        }
        return {name: values[name] for name in self.reserved(kind, part).names}

    sample_keys = frozenset({"images", "zarr_dir", "zarr_url", "zarr_urls"})
    must_write = False
    refuses_nan = False
    parallel_keys: str | None = None
    has_output_model = True

    unstorable = "[\0\ud800-\udfff]"
    handed_on: Mapping[str, Any] = {"zarr_dir": "{tmp}"}

    def sample_folders(self, kind: str) -> tuple[str, ...]:
        """No server creates the `zarr_dir` of a new dataset, which converters are run on."""
        return () if kind.startswith("converter") else (".",)

    def sample_faults(self, kind: str, given: Mapping[str, Any]) -> Iterator[SampleFault]:
        """What the server refuses in a dataset and its images."""
        yield from sample_faults(kind, given)

    def made_sample(
        self, kind: str, entry: Mapping[str, Any], data: str | None = None
    ) -> dict[str, Any]:
        """One image to work on; nothing for a task that makes its own."""
        if kind.startswith("converter"):
            return {}
        key = "zarr_url" if kind == "parallel" else "zarr_urls"
        image = f"{data or '{tmp}'}/plate.zarr/B/03/0"
        return {key: image if kind == "parallel" else [image]}

    def images_for(self, kind: str, given: Mapping[str, Any], data: str) -> dict[str, Any]:
        """See `Generation`."""
        return {} if given else self.made_sample(kind, {}, data)

    def play(
        self,
        name: str,
        entry: Mapping[str, Any],
        given: Mapping[str, Any],
        before: images.Dataset | None,
        folder: Path,
    ) -> TaskExecution:
        """One step, as `execute_tasks` and the `run_task_*` that it calls take it."""
        kind = self.kind(entry)
        types = images.read_types(entry.get("input_types", {}))
        dataset = before or images.Dataset(images.read_url(given.get("zarr_dir", str(folder))))
        if "zarr_dir" in given:
            dataset = replace(dataset, zarr_dir=images.read_url(given["zarr_dir"]))
        dataset, inputs = inputs_of(dataset, given, types)
        here = Path(dataset.zarr_dir)
        zarr_urls = [image.zarr_url for image in inputs]
        calls: tuple[Call, ...]
        if kind.startswith("converter"):
            inputs, calls = (), (Call(INIT, {"zarr_dir": dataset.zarr_dir}),)
        elif not inputs:
            needed = self.made_sample(kind, entry, "{ome_zarr}") if before is None else None
            return ExecutionResult(dataset, here, _no_images(dataset, types, needed))
        elif kind == "parallel":
            calls = tuple(
                Call(COMPUTE, {"zarr_url": url}, f"the image {url}") for url in zarr_urls
            )
        else:
            calls = (Call(INIT, {"zarr_dir": dataset.zarr_dir, "zarr_urls": zarr_urls}),)

        first = 0
        if COMPUTE in self.runs(kind) and kind != "parallel":
            (answer,) = yield tuple(replace(call, about="the init part") for call in calls)
            if not _is_good(answer, images.init_output_faults):
                return ExecutionResult(dataset, here)
            units = images.read_units(answer.value)
            first, calls = (
                1,
                tuple(
                    Call(
                        COMPUTE,
                        {"zarr_url": unit.zarr_url, "init_args": dict(unit.init_args)},
                        f"the compute part, {unit.zarr_url}",
                    )
                    for unit in units
                ),
            )
        # Where there is nothing to compute, the server goes on as after an empty output.
        answers = (yield calls) if calls else [CallResult(succeeded=True, value=None)]
        good = [
            number
            for number, answer in enumerate(answers)
            if _is_good(answer, images.output_faults)
        ]
        outputs = [images.read_output(answers[number].value) for number in good]
        after, faults = dataset.after(
            outputs,
            inputs=inputs,
            output_types=images.read_types(entry.get("output_types", {})),
        )
        blocked = None if calls else _NOTHING_TO_COMPUTE
        # Of a file that is missing, FR402 tells; a compute part may write none.
        written = calls and (answers[0].written or kind == "converter_compound")
        if kind.startswith("converter") and written and len(good) == len(calls):
            blocked = None if any(output.updates for output in outputs) else _TELLS_OF_NO_IMAGE
        return ExecutionResult(
            after,
            here,
            blocked,
            tuple(
                (first + good[int(fault.keys[0])], replace(fault, keys=fault.keys[1:]))
                for fault in faults
            ),
        )

    def output_faults(self, kind: str, part: PartKeys, value: Any) -> Iterator[ModelFault]:
        """What the models of outputs refuse: an init part's is the list of what to compute."""
        if part == INIT and COMPUTE in self.runs(kind):
            return images.init_output_faults(value)
        return images.output_faults(value)

    def slug(self, name: str) -> str:
        """Lower case, all but letters and digits as `_`: as in a job's folders."""
        special = string.punctuation + string.whitespace
        return name.strip().lower().translate({ord(part): "_" for part in special})

    def name_fault(self, name: str) -> ModelFault | None:
        """A job's folder is called by the step's number and the slug (`task_subfolder_name`)."""
        size = len(self.slug(name).encode(errors="replace"))
        if size <= _LONGEST_SLUG:
            return None
        found = f"{size} bytes in lower case: no folder can be called so, and the job fails"
        return ModelFault((), f"a name of at most {_LONGEST_SLUG} bytes in lower case", found)

    def identities(self, name: str) -> Mapping[str, str]:
        """Only the name: `T` and `t` are two tasks, and `T` and `T ` both become `T`."""
        return {"name": name.strip()}

    def twin_releases(self, name: str, other: str) -> str | None:
        """The manifest's names are compared as they are; 2.23.3 compares the stored ones too."""
        return None if name == other else ">=2.23.3"

    def source(
        self, package: str, version: str, extras: Sequence[str], python: str, slug: str
    ) -> None:
        """None: a task is found by the names of its package, its version and itself."""


VERSION_2: Final = Version2()

_LONGEST_SLUG: Final = 253
"""File systems take 255 bytes, and the server writes `0_` before it."""

_NOTHING_TO_COMPUTE: Final = RunBlocked(
    "a parallelization_list with an element at least",
    "the init part hands on nothing: the server computes nothing, and calls the task done",
    "see what the init part makes of its arguments and images",
    fails=False,
)


_TELLS_OF_NO_IMAGE: Final = RunBlocked(
    "at least one image in the image_list_updates of a converter",
    "none: the server calls the task done, and its dataset gets no image; the next task that "
    "works on images then fails",
    'write {"image_list_updates": [{"zarr_url": ...}, ...]}, with each image that it makes',
    fails=False,
)


def _no_images(
    dataset: images.Dataset, types: Mapping[str, bool], needed: Mapping[str, Any] | None
) -> RunBlocked:
    """The server's "Cannot run task for an empty image list".

    `needed` is what the sample may give; None for one that is not the first of its workflow.
    """
    wanted = {**dataset.type_filters, **types}
    there = "no images"
    if dataset.images:
        types_there = {json.dumps(image.types, sort_keys=True) for image in dataset.images}
        there = f"{len(dataset.images)}, with the types {' or '.join(sorted(types_there)[:5])}"
    with_types = f" with the types {json.dumps(wanted)}" if wanted else ""
    hint = "let a step before it write the images that it makes to image_list_updates"
    if needed is not None:
        hint = (
            f"give the sample {json.dumps(needed)[1:-1]}, or an image of yours below {{samples}}"
        )
    return RunBlocked(
        f"an image{with_types} for the task to work on",
        f"none; the dataset has {there}, and the server's job fails with this",
        hint,
    )


def _is_good(answer: CallResult, faults: Callable[[Any], Iterator[ModelFault]]) -> bool:
    """Whether the server goes on with what a command has written."""
    return (
        answer.succeeded
        and answer.readable
        and all(fault.coerced for fault in faults(answer.value))
    )
