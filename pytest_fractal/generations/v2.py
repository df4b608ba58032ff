"""Generation 2: manifest version "2", `--args-json` and `--out-json`, fractal-server 2.x."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, HttpUrl, StringConstraints, TypeAdapter
from pydantic import ValidationError as Invalid

from pytest_fractal.environments.pip_show import LOCATION, PipShow
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.generations import images
from pytest_fractal.generations.faults import faults_of
from pytest_fractal.generations.meta_keys import (
    ABOVE_ZERO,
    AT_A_TIME,
    SlurmReader,
    slurm_faults,
    whole_by_model,
)
from pytest_fractal.generations.protocol import (
    Call,
    CallResult,
    ExecutionResult,
    Misreading,
    ModelFault,
    ModelFaultKind,
    PartKeys,
    Reserved,
    RunBlocked,
    SampleFault,
    State,
    TaskExecution,
)
from pytest_fractal.json_text import shown
from pytest_fractal.pointers import Keys

NonBlankStr = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A text that is not blank."""

Kind = Literal[
    "parallel", "non_parallel", "compound", "converter_non_parallel", "converter_compound"
]

_INIT: Final = PartKeys(
    "init",
    "executable_non_parallel",
    "meta_non_parallel",
    "args_schema_non_parallel",
    "command_non_parallel",
    is_parallel=False,
)
_COMPUTE: Final = PartKeys(
    "compute",
    "executable_parallel",
    "meta_parallel",
    "args_schema_parallel",
    "command_parallel",
    is_parallel=True,
)
_PARTS: Final = (_INIT, _COMPUTE)

_RUNS: Final[Mapping[str, tuple[PartKeys, ...]]] = {
    "parallel": (_COMPUTE,),
    "non_parallel": (_INIT,),
    "compound": (_INIT, _COMPUTE),
    "converter_non_parallel": (_INIT,),
    "converter_compound": (_INIT, _COMPUTE),
}
"""The commands that a job runs, by the kind of the task (`execute_tasks`)."""

_RESERVED: Final[Mapping[tuple[str, PartKeys], Reserved]] = {
    ("parallel", _COMPUTE): Reserved(("zarr_url",), ("zarr_urls", "zarr_dir"), ("init_args",)),
    ("non_parallel", _INIT): Reserved(("zarr_urls", "zarr_dir"), ("zarr_url",), ("init_args",)),
    ("compound", _INIT): Reserved(("zarr_urls", "zarr_dir"), ("zarr_url",), ("init_args",)),
    ("compound", _COMPUTE): Reserved(("zarr_url", "init_args"), ("zarr_urls", "zarr_dir")),
    ("converter_non_parallel", _INIT): Reserved(
        ("zarr_dir",), ("zarr_url", "zarr_urls"), ("init_args",)
    ),
    ("converter_compound", _INIT): Reserved(
        ("zarr_dir",), ("zarr_url", "zarr_urls"), ("init_args",)
    ),
    ("converter_compound", _COMPUTE): Reserved(
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
)


class TaskModel(BaseModel):
    """One entry of `task_list`, as fractal-server 2.18.5 takes it.

    What both its models ask for: `TaskManifestV2`, and the stricter `TaskCreate`, which is
    made of it. Types are left open here, for images have them too, and what other rules
    judge with better words: `meta_*` (FR111), `docs_link` (FR114), and an `args_schema_*`
    that is null (FR201).
    """

    model_config = ConfigDict(extra="ignore")

    name: NonBlankStr
    executable_non_parallel: str | None = None
    executable_parallel: str | None = None
    input_types: Any = None
    output_types: Any = None
    meta_non_parallel: Any = None
    meta_parallel: Any = None
    args_schema_non_parallel: dict[str, Any] | None = None
    args_schema_parallel: dict[str, Any] | None = None
    docs_info: str | None = None
    docs_link: Any = None
    category: NonBlankStr | None = None
    modality: NonBlankStr | None = None
    tags: list[NonBlankStr] = []
    type: Kind | None = None


class ManifestModel(BaseModel):
    """The manifest, as fractal-server 2.18.5 takes it (`ManifestV2`).

    FR201 judges whether the schemas and their version are there.
    """

    model_config = ConfigDict(extra="ignore")

    manifest_version: str
    task_list: list[TaskModel]
    has_args_schemas: bool = False
    args_schema_version: str | None = None
    authors: NonBlankStr | None = None


_BOOLEAN: Final = TypeAdapter(bool)
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
    wrong_manners: tuple[tuple[str, ...], ...] = (
        ("--args-json={arguments}", "--out-json={output}"),
        ("-j", "{arguments}", "--metadata-out", "{output}"),
        ("--json", "{arguments}", "--metadata-out", "{output}"),
    )
    executable_keys = frozenset(part.executable for part in _PARTS)
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
        yield from faults_of(ManifestModel, manifest)
        value = manifest.get("has_args_schemas", False)
        if not isinstance(value, bool) and _is_boolean(value):
            yield ModelFault(
                ("has_args_schemas",),
                "true or false",
                f"{shown(value)}, which the server turns into it",
                coerced=True,
                wanted=bool,
            )
        tasks = manifest.get("task_list")
        for index, task in enumerate(tasks if isinstance(tasks, list) else ()):
            for fault in _task_faults(task) if isinstance(task, dict) else ():
                yield replace(fault, keys=("task_list", index, *fault.keys))

    def custom_faults(self, entry: Any) -> Iterator[ModelFault]:
        """Not asked: `--fractal-task` takes tasks as the page describes them, generation 1."""
        raise NotImplementedError

    state: type[State] = images.Dataset
    refused_by = ""
    deepest = 255
    """With more, the list of all tasks is an internal error, for everybody (pydantic)."""

    def meta_faults(self, meta: Mapping[str, Any], part: PartKeys) -> Iterator[ModelFault]:
        """Keys are stripped, and refused if that leaves none, or twins (`valdict_keys`)."""
        yield from _key_faults(meta)
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
        return "parallel" if _COMPUTE in there else "non_parallel"

    def parts(self, entry: Mapping[str, Any]) -> tuple[PartKeys, ...]:
        """The commands for which an entry names an executable."""
        return tuple(part for part in _PARTS if entry.get(part.executable) is not None)

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
    sample_folders: tuple[str, ...] = ()
    must_write = False
    refuses_nan = False
    parallel_keys: str | None = None
    has_output_model = True

    unstorable = "[\0\ud800-\udfff]"
    handed_on: Mapping[str, Any] = {"zarr_dir": "{tmp}"}

    def sample_faults(self, kind: str, given: Mapping[str, Any]) -> Iterator[SampleFault]:
        """What the server refuses in a dataset and its images."""
        words = kind.replace("_", "-")
        wrong = {"zarr_urls" if kind == "parallel" else "zarr_url"}
        if kind.startswith("converter"):
            wrong = {"images", "zarr_url", "zarr_urls"}
        for key in sorted(wrong & set(given)):
            yield SampleFault(
                (key,), f"no {key} for a {words} task", "one, which Fractal does not supply", _DROP
            )
        if not _is_absolute(zarr_dir := given["zarr_dir"]):
            yield SampleFault(
                ("zarr_dir",), "an absolute path", shown(zarr_dir), 'write "{tmp}/..."'
            )
            return
        kept = {key: value for key, value in given.items() if key not in wrong}
        unlisted = [
            key for key in ("images", "zarr_urls") if not isinstance(kept.get(key, []), list)
        ]
        for key in unlisted:
            yield SampleFault((key,), "a list", shown(kept[key]), f"write a list of {key}")
        if not unlisted:
            yield from _faults_of_images(kept)

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
        dataset, inputs = _inputs(dataset, given, types)
        here = Path(dataset.zarr_dir)
        zarr_urls = [image.zarr_url for image in inputs]
        calls: tuple[Call, ...]
        if kind.startswith("converter"):
            inputs, calls = (), (Call(_INIT, {"zarr_dir": dataset.zarr_dir}),)
        elif not inputs:
            needed = self.made_sample(kind, entry, "{ome_zarr}") if before is None else None
            return ExecutionResult(dataset, here, _no_images(dataset, types, needed))
        elif kind == "parallel":
            calls = tuple(
                Call(_COMPUTE, {"zarr_url": url}, f"the image {url}") for url in zarr_urls
            )
        else:
            calls = (Call(_INIT, {"zarr_dir": dataset.zarr_dir, "zarr_urls": zarr_urls}),)

        first = 0
        if _COMPUTE in self.runs(kind) and kind != "parallel":
            (answer,) = yield tuple(replace(call, about="the init part") for call in calls)
            if not _is_good(answer, images.init_output_faults):
                return ExecutionResult(dataset, here)
            units = images.read_units(answer.value)
            first, calls = (
                1,
                tuple(
                    Call(
                        _COMPUTE,
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
        if part == _INIT and _COMPUTE in self.runs(kind):
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


_DROP: Final = "remove it"
_BELOW: Final = (
    'write a path below it, or give the sample the "zarr_dir" in which the images lie; '
    'without one, that is "{tmp}"'
)


def _faults_of_images(given: Mapping[str, Any]) -> Iterator[SampleFault]:
    """What the server refuses in the images that a sample gives (`post_new_image`)."""
    zarr_dir = images.read_url(given["zarr_dir"])
    given_images: list[tuple[Keys, Any]] = [
        (("images", index), image) for index, image in enumerate(given.get("images", ()))
    ]
    given_images += [
        (("zarr_urls", index), {"zarr_url": url})
        for index, url in enumerate(given.get("zarr_urls", ()))
    ]
    if "zarr_url" in given:
        given_images.append((("zarr_url",), {"zarr_url": given["zarr_url"]}))
    readable: list[tuple[Keys, images.Image]] = []
    for keys, value in given_images:
        faults = [
            image_fault
            for image_fault in images.image_faults(value, keys)
            if not image_fault.coerced or image_fault.releases
        ]
        for fault in faults:
            way = fault.keys if keys[0] == "images" else keys
            yield SampleFault(
                way, fault.expected, fault.found, f"write {fault.expected}", fault.releases
            )
        if all(fault.coerced for fault in faults):
            readable.append((keys, images.read_image(value)))
    seen: set[tuple[bool, str]] = set()
    for keys, image in readable:
        way = (*keys, "zarr_url") if keys[0] == "images" else keys
        if not images.may_hold(zarr_dir, image.zarr_url):
            yield SampleFault(
                way,
                f"a path below the dataset's zarr_dir, {zarr_dir}",
                f"{image.zarr_url}, which the server refuses",
                _BELOW,
            )
        # What `zarr_url` and `zarr_urls` name may be one of the images.
        once = (keys[0] == "images", image.zarr_url)
        if once in seen:
            yield SampleFault(
                way, "each image once", f"{image.zarr_url} again, which the server refuses", _DROP
            )
        seen.add(once)
    for name, pair in images.mixed_attributes(image for _, image in readable).items():
        keys = next(keys for keys, image in reversed(readable) if image is pair[1])
        yield SampleFault(
            (*keys, "attributes", name),
            "an attribute that is a number in all images, or a text in all",
            f"{json.dumps(pair[1].attributes[name])}, where {pair[0].zarr_url} has "
            f"{json.dumps(pair[0].attributes[name])}; {images.MIXED}",
            "write numbers, or texts",
            images.BEFORE_2_20,
        )


def _inputs(
    dataset: images.Dataset, given: Mapping[str, Any], types: Mapping[str, bool]
) -> tuple[images.Dataset, tuple[images.Image, ...]]:
    """The dataset with the images that a sample gives, and those of them that the task gets.

    An image of which it gives no more than the path is of the types that the task wants.
    """
    named = given.get("zarr_urls") or ([given["zarr_url"]] if "zarr_url" in given else [])
    urls = [images.read_url(url) for url in named]
    known = {image.zarr_url: image for image in dataset.images}
    known |= {image.zarr_url: image for image in map(images.read_image, given.get("images", ()))}
    wanted = {**dataset.type_filters, **types}
    for url in urls:
        known.setdefault(url, images.Image(url, types=wanted))
    dataset = replace(dataset, images=tuple(known.values()))
    if urls:
        return dataset, tuple(known[url] for url in dict.fromkeys(urls))
    return dataset, dataset.inputs(types)


def first_dataset(
    entry: Mapping[str, Any], given: Mapping[str, Any], folder: Path
) -> images.Dataset:
    """The dataset with which the first step of a workflow begins: see `Generation.play`."""
    types = images.read_types(entry.get("input_types", {}))
    empty = images.Dataset(images.read_url(given.get("zarr_dir", str(folder))))
    return _inputs(empty, given, types)[0]


def _is_good(answer: CallResult, faults: Callable[[Any], Iterator[ModelFault]]) -> bool:
    """Whether the server goes on with what a command has written."""
    return (
        answer.succeeded
        and answer.readable
        and all(fault.coerced for fault in faults(answer.value))
    )


def _is_absolute(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/")


def _is_boolean(value: object) -> bool:
    try:
        _BOOLEAN.validate_python(value)
    except Invalid:
        return False
    return True


def _task_faults(task: Mapping[str, Any]) -> Iterator[ModelFault]:
    """What the server refuses, or coerces, beyond the types of a task's fields."""
    if all(task.get(part.executable) is None for part in _PARTS):
        yield ModelFault(
            (), f"{_INIT.executable} or {_COMPUTE.executable}, or both", "neither of them"
        )
    for part in _PARTS:
        if task.get(part.executable) is not None:
            continue
        if (meta := task.get(part.meta, {})) != {}:
            yield ModelFault(
                (part.meta,),
                f"no {part.meta}, or {{}}, without {part.executable}",
                shown(meta),
                kind=ModelFaultKind.UNWANTED,
            )
        if isinstance(schema := task.get(part.args_schema), dict):
            yield ModelFault(
                (part.args_schema,),
                f"no {part.args_schema} without {part.executable}",
                shown(schema),
                kind=ModelFaultKind.UNWANTED,
            )
    for part in _PARTS:
        schema = task.get(part.args_schema)
        for fault in _key_faults(schema) if isinstance(schema, dict) else ():
            yield replace(fault, keys=(part.args_schema, *fault.keys))
    for key in ("input_types", "output_types"):
        yield from images.type_faults(task.get(key, {}), (key,))
    tags = task.get("tags")
    seen: set[str] = set()
    for index, tag in enumerate(tags if isinstance(tags, list) else ()):
        if isinstance(tag, str) and tag.strip():
            if tag.strip() in seen:
                yield ModelFault(("tags", index), "each tag once", f"{shown(tag)} again")
            seen.add(tag.strip())


def _key_faults(value: Mapping[str, Any]) -> Iterator[ModelFault]:
    """Keys that are blank, or the same once they are stripped."""
    seen: set[str] = set()
    for key in value:
        bare = key.strip()
        if not bare:
            yield ModelFault((key,), "a key that is not blank", shown(key))
        elif bare in seen:
            yield ModelFault(
                (key,), "keys that differ by more than blanks", f"{json.dumps(key)} again"
            )
        seen.add(bare)
