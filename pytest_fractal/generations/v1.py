"""Generation 1: manifest version "1", `-j` and `--metadata-out`, fractal-server 1.x."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from packaging.utils import canonicalize_name

from pytest_fractal.environments.pip_show import LOCATION, PipShow
from pytest_fractal.environments.wheels import MANIFEST_NAME, Wheel
from pytest_fractal.generations.components_v1 import (
    components_for,
    problem_of_component,
)
from pytest_fractal.generations.links_v1 import problem_of_link
from pytest_fractal.generations.meta_keys import (
    ABOVE_ZERO,
    AT_A_TIME,
    SlurmReader,
    slurm_faults,
    whole_by_int,
)
from pytest_fractal.generations.models_v1 import (
    CustomTaskModel,
    ManifestModel,
    TaskModel,
    custom_task_faults,
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
from pytest_fractal.json_text import shown

_WITH_IMAGES: Final = frozenset(
    {"Copy OME-Zarr structure", "Convert Metadata Components from 2D to 3D"}
)
"""To these the server hands `metadata["image"]` (its `FRACTAL_RUNNER_TASKS_INCLUDE_IMAGE`)."""


_COMPONENT: Final = "plate.zarr/B/03/0"
_RESERVED: Final = frozenset({"input_paths", "output_path", "metadata", "component"})
"""What a workflow's own arguments must not hold (`WorkflowTask.validate_args`)."""

_SLURM: Final = SlurmReader(
    whole=whole_by_int,
    texts=("time", "gres", "constraint"),
    turns_into_text=True,
    batches_always=False,
    checks_needs_gpu=False,
    drops_shared_time=True,
)


@dataclass(frozen=True)
class Dataset:
    """What the steps of a workflow share."""

    metadata: Mapping[str, Any]
    output_path: str

    @property
    def value(self) -> Mapping[str, Any]:
        """The metadata."""
        return self.metadata


class Version1:
    """The interface of manifests of version 1, as fractal-server 1.4.10 has it."""

    version = "1"
    takes_integer_version = True
    flags = ("-j", "--metadata-out")
    wrong_invocations: tuple[tuple[str, ...], ...] = (
        ("--json", "{arguments}", "--metadata-out", "{output}"),
        ("--json={arguments}", "--metadata-out={output}"),
        ("--json={arguments}",),
        ("--args-json", "{arguments}", "--out-json", "{output}"),
    )
    executable_keys = frozenset({"executable"})
    kind_key: str | None = None
    kinds: tuple[str, ...] = ()
    standard_words: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    type_keys: tuple[str, ...] = ("input_type", "output_type")
    schema_version = "pydantic_v1"
    form_schema_versions: frozenset[str] | None = None
    takes_boolean_schemas = False
    schema_tool = ""
    runners: Mapping[str, str] = {"fractal-tasks-core": "fractal_tasks_core.tasks._utils"}
    bad_in_executables = r"[ \t\n\r'\"\\]"
    kinds_since: Mapping[str, str] = {}
    cache_variable: str | None = None
    marks_warnings_since: str | None = None
    slurm: SlurmReader = _SLURM
    upgraded_first: tuple[str, ...] = ("pip",)
    pins_at_once = False
    manifest_keys = frozenset(ManifestModel.model_fields)
    task_keys = frozenset(TaskModel.model_fields)
    custom_keys = frozenset(CustomTaskModel.model_fields)

    def file_names(self, part: PartKeys, arguments: Mapping[str, Any]) -> tuple[str, str]:
        """Names by the place in the workflow, and the component (`TaskFiles`)."""
        stem = "0"
        if part.is_parallel:
            component = re.sub(r"[ /.]", "_", str(arguments.get("component")))
            # A name that is too long fails there too; here another rule tells.
            safe = component.encode(errors="replace").replace(b"\0", b"")[:200]
            stem = f"0_par_{safe.decode(errors='ignore')}"
        return f"{stem}.args.json", f"{stem}.metadiff.json"

    def faults(self, manifest: Mapping[str, Any]) -> Iterator[ModelFault]:
        """Where the server's models of manifest and tasks refuse it."""
        yield from manifest_faults(manifest)

    def custom_faults(self, entry: Any) -> Iterator[ModelFault]:
        """Where the model of a posted task refuses it: blank texts too, where they are given."""
        yield from custom_task_faults(entry)

    def kind(self, entry: Mapping[str, Any]) -> str:
        """Parallel when `meta["parallelization_level"]` is truthy, as the server decides."""
        meta = entry.get("meta")
        level = meta.get("parallelization_level") if isinstance(meta, dict) else None
        return "parallel" if level else "non_parallel"

    state: type[State] = Dataset
    refused_by = "fractal-server 2.x"
    deepest = 255
    """The server was seen to take 900. That of version 2 takes 255, and nobody writes more."""

    def meta_faults(self, meta: Mapping[str, Any], part: PartKeys) -> Iterator[ModelFault]:
        """What the runner cannot use: a level that is no text makes the job fail."""
        level = meta.get("parallelization_level")
        if "parallelization_level" in meta and not (isinstance(level, str) and level.strip()):
            yield ModelFault(
                ("parallelization_level",),
                'a text such as "image", or no such key for a non-parallel task',
                shown(level),
            )
        # The local runner reads it by its model, and runs so many components at a time.
        at_a_time = meta.get(AT_A_TIME)
        number = 1 if at_a_time is None else whole_by_int(at_a_time)
        breaks = number is None or (part.is_parallel and number < 1)
        if breaks:
            does = "the job is done, and nothing has run" if number else "the job fails"
            yield ModelFault((AT_A_TIME,), ABOVE_ZERO, f"{shown(at_a_time)}: {does}")
        for fault in slurm_faults(meta, self.slurm, is_parallel=part.is_parallel):
            if not (breaks and fault.keys == (AT_A_TIME,)):
                yield fault

    def link_problem(self, link: str) -> str:
        """Why the server refuses a URL; empty where it takes it."""
        return problem_of_link(link)

    def second_manifest(self, path: str, *, is_first: bool) -> str | None:
        """It takes the first path in the archive that contains the name."""
        if MANIFEST_NAME not in path:
            return None
        return f"also {path}" + (", which the server reads instead" if is_first else "")

    def misreadings(self, wheel: Wheel, shown: PipShow, manifest: str) -> Iterator[Misreading]:
        """What it reads: the last word of the first line that begins with the field's name.

        Blanks, cases and continued lines do not matter to anyone else who reads METADATA
        (`inspect_package` and `_pip_install` of 1.4.10).
        """
        metadata = wheel.raw_metadata.decode(errors="replace").splitlines()
        for field, means in (("Name", wheel.name), ("Version", wheel.version)):
            line = next((line for line in metadata if line.startswith(field)), "")
            read = (line.split() or [""])[-1]
            same = canonicalize_name if field == "Name" else str
            if same(read) != same((means or "").strip()):
                expected = f"{means} as the last word of the first line that begins with {field}"
                yield Misreading(expected, line or "there is no such line", "METADATA")
        place = next((line for line in shown.about if line.startswith("Location:")), "")
        if (place.split() or [""])[-1] != LOCATION:
            expected = "no line that begins with Location: before the one of `pip show` itself"
            yield Misreading(expected, place or "there is none", shown.origin(place))

    def parts(self, entry: Mapping[str, Any]) -> tuple[PartKeys, ...]:
        """The one command of a task."""
        return self.runs(self.kind(entry))

    def runs(self, kind: str) -> tuple[PartKeys, ...]:
        """The one command, whose keys are the same for both kinds."""
        is_parallel = kind == "parallel"
        return (PartKeys(kind, "executable", "meta", "args_schema", "command", is_parallel),)

    def reserved(self, kind: str, part: PartKeys) -> Reserved:
        """The arguments that the server fills in; `component` for parallel tasks alone."""
        common = ("input_paths", "output_path", "metadata")
        if kind == "parallel":
            return Reserved((*common, "component"), ())
        return Reserved(common, ("component",))

    reserved_shapes: Mapping[str, Mapping[str, Any]] = {
        "input_paths": {"type": "array", "items": {"type": "string"}},
        "output_path": {"type": "string"},
        "component": {"type": "string"},
        "metadata": {"type": "object"},
    }

    def filled_in(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The defaults of properties, but for null (`Task.default_args_from_args_schema`)."""
        properties = schema.get("properties")
        return {
            name: value["default"]
            for name, value in (properties.items() if isinstance(properties, dict) else ())
            if isinstance(value, dict) and value.get("default") is not None
        }

    def as_handed_on(
        self, schema: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """With what it fills in. With one that is reserved all are dropped, silently."""
        filled = {**self.filled_in(schema), **arguments}
        return {} if _RESERVED & filled.keys() else filled

    def reserved_values(
        self, kind: str, part: PartKeys, folder: Path, made: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the server fills in; `folder` is where the data lie."""
        values: dict[str, Any] = {
            "input_paths": [str(folder)],
            "output_path": str(folder),
            "metadata": {},
        }
        return values | ({"component": _COMPONENT} if kind == "parallel" else {})

    sample_keys = frozenset({"input_paths", "output_path", "component", "metadata"})
    must_write = True
    refuses_nan = True
    parallel_keys: str | None = "overwrites the dataset's own with a list over the components"
    has_output_model = False

    unstorable = "[\ud800-\udfff]"
    handed_on: Mapping[str, Any] = {}

    def sample_folders(self, kind: str) -> tuple[str, ...]:
        """See `Generation`."""
        return ".", "input", "output"

    def sample_faults(self, kind: str, given: Mapping[str, Any]) -> Iterator[SampleFault]:
        """What the models of datasets and their resources refuse in a sample."""
        paths = given.get("input_paths", ["/"])
        if not isinstance(paths, list) or not paths:
            yield SampleFault(
                ("input_paths",), "a list with an absolute path", shown(paths), _FIX_INPUT
            )
        else:
            for index, path in enumerate(paths):
                if not _is_absolute(path):
                    yield SampleFault(
                        ("input_paths", index), "an absolute path", shown(path), _FIX_INPUT
                    )
        if not _is_absolute(path := given.get("output_path", "/")):
            yield SampleFault(
                ("output_path",),
                "an absolute path",
                shown(path),
                'write "{tmp}/..." or leave it out: it is a fresh folder then',
            )
        if not isinstance(metadata := given.get("metadata", {}), dict):
            yield SampleFault(
                ("metadata",), "an object", shown(metadata), "write the dataset's metadata, or {}"
            )
        component = given.get("component", "")
        if not isinstance(component, str):
            yield SampleFault(("component",), "a text", shown(component), _FIX_COMPONENT)
        elif "component" in given and kind != "parallel":
            yield SampleFault(
                ("component",),
                "no component for a non-parallel task",
                f"{shown(component)}, which Fractal does not supply",
                "remove it",
            )
        elif problem := problem_of_component(component):
            yield SampleFault(
                ("component",),
                "a component that the server can make a file name of",
                f"{shown(component)}, which {problem}",
                _FIX_COMPONENT,
            )

    def made_sample(
        self, kind: str, entry: Mapping[str, Any], data: str | None = None
    ) -> dict[str, Any]:
        """The places of the data, and for a parallel task a component."""
        places = {} if data is None else {"input_paths": [data], "output_path": data}
        return places | ({"component": _COMPONENT} if kind == "parallel" else {})

    def images_for(self, kind: str, given: Mapping[str, Any], data: str) -> dict[str, Any]:
        """See `Generation`. What a parallel task works on, its metadata may tell."""
        return {}

    def play(
        self,
        name: str,
        entry: Mapping[str, Any],
        given: Mapping[str, Any],
        before: Dataset | None,
        folder: Path,
    ) -> TaskExecution:
        """One step. Steps share the output path, which is the later ones' input too."""
        kind = self.kind(entry)
        (part,) = self.runs(kind)
        metadata = {**(before.metadata if before else {}), **given.get("metadata", {})}
        output_path = before.output_path if before else str(folder / "output")
        shared = {
            "input_paths": [output_path if before else str(folder / "input")],
            "output_path": output_path,
            **given,
            "metadata": _seen(name, kind, metadata),
        }
        output_path = shared["output_path"]
        components, problem = components_for(kind, entry, metadata, given.get("component"))
        blocked = None
        if problem is not None:
            blocked = RunBlocked(
                "a run that Fractal can start",
                problem,
                "let the task before it in the workflow write it"
                if before is not None
                else "give the sample the metadata of a task before it, or "
                '"component": "plate.zarr/B/03/0", "input_paths": ["{ome_zarr}"]',
            )
        elif not components:
            blocked = RunBlocked(
                "a component at least",
                f"metadata[{entry['meta']['parallelization_level']!r}] is an empty list: the "
                "server runs nothing, and calls the task done",
                "see why the task before it in the workflow lists none",
                fails=False,
            )
        answers: Sequence[CallResult] = ()
        if components:
            answers = yield tuple(
                Call(part, shared)
                if component is None
                else Call(part, {**shared, "component": component}, f"the component {component!r}")
                for component in components
            )
        outputs = [answer.value for answer in answers if isinstance(answer.value, dict)]
        after = Dataset(_merged(kind, metadata, outputs), output_path)
        return ExecutionResult(after, Path(output_path), blocked)

    def output_faults(self, kind: str, part: PartKeys, value: Any) -> Iterator[ModelFault]:
        """None: an output is any object."""
        yield from ()

    def slug(self, name: str) -> str:
        """Lower case, blanks as `_` (fractal-server 1.4.10, `slugify_task_name`).

        Other white space at its end is stripped with that of the `source`.
        """
        return name.replace(" ", "_").lower().rstrip()

    def name_fault(self, name: str) -> ModelFault | None:
        """Of any length, but for PostgreSQL's index over the `source`, which ends with it."""
        size = len(self.slug(name).encode(errors="replace"))
        if size <= _LONGEST_SLUG:
            return None
        found = f"{size} bytes: a server on PostgreSQL cannot store the source that ends with it"
        return ModelFault((), f"a name of at most {_LONGEST_SLUG} bytes", found, coerced=True)

    def identities(self, name: str) -> Mapping[str, str]:
        """The slug ends the `source`, which is unique in the server's database."""
        return {"slug": self.slug(name), "name": name.strip()}

    def twin_releases(self, name: str, other: str) -> None:
        """None: they all are alike."""

    def source(
        self, package: str, version: str, extras: Sequence[str], python: str, slug: str
    ) -> str:
        """For a wheel on the server's disk (fractal-server 1.4.10, `package_source`)."""
        return ":".join(("pip_local", package, version, ",".join(extras), python, slug))


VERSION_1: Final = Version1()


_FIX_INPUT: Final = (
    'write "{samples}/..." or "{tmp}/...", or leave it out: it is a fresh folder then'
)
_FIX_COMPONENT: Final = (
    'write the path of an image below the input path, such as "plate.zarr/B/03/0"'
)


def _is_absolute(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/")


_LONGEST_SLUG: Final = 2500
"""An index takes rows of 2704 bytes, and the `source` has some more before the slug."""


def _seen(name: str, kind: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as a task gets it.

    Without `image` for parallel tasks, two names excepted (`trim_TaskParameters`).
    """
    if kind != "parallel" or name in _WITH_IMAGES:
        return dict(metadata)
    return {key: value for key, value in metadata.items() if key != "image"}


def _merged(
    kind: str, metadata: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Updated by a non-parallel task; by parallel ones with a list for each of their keys."""
    if kind != "parallel":
        return {**metadata, **(outputs[0] if outputs else {})}
    lists: dict[str, list[Any]] = {}
    for output in outputs:
        for key, value in output.items():
            lists.setdefault(key, []).append(value)
    return {**metadata, **lists}
