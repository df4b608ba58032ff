"""The candidate: a PACKAGE argument, and everything that can be known about it.

Each fact is gathered when it is first asked for, and then kept in the store that all
threads and workers of a run share. Nothing is judged here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from pytest_fractal.candidate.store import Store
from pytest_fractal.environments import building
from pytest_fractal.environments.building import BuildFailure, Built, is_for_pixi
from pytest_fractal.environments.environments import (
    INSTALLERS,
    Environment,
    Installer,
    check_index,
    create_bare,
    download,
    unmet_requirements,
)
from pytest_fractal.environments.interpreters import Interpreter, find_interpreter
from pytest_fractal.environments.wheels import (
    MANIFEST_NAME,
    Wheel,
    check_whole,
    installed_path,
    read_wheel,
)
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.facts import (
    Build,
    Bundle,
    Command,
    Installation,
    Manifest,
    PackagedPart,
    PackagedTask,
    Part,
    Task,
    TaskList,
    TreeBuild,
)
from pytest_fractal.generations import GENERATIONS
from pytest_fractal.json_text import read_json
from pytest_fractal.processes.commands import ARGUMENTS, OUTPUT, Start, start_command
from pytest_fractal.processes.executors import Executor
from pytest_fractal.processes.probing import Probe, probe_command
from pytest_fractal.processes.processes import last_lines
from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.samples.files import Sample, read_samples
from pytest_fractal.samples.generated import make_arguments
from pytest_fractal.samples.ome_zarr import OME_ZARR, copy_ome_zarr, make_ome_zarr
from pytest_fractal.samples.runs import (
    Filled,
    Run,
    TaskSamples,
    filled_arguments,
    run_sample,
)
from pytest_fractal.server.facts import Collection, ServerRun
from pytest_fractal.settings import PackageSpec, Settings

if TYPE_CHECKING:
    from pytest_fractal.server.servers import Server, ServerRelease


class Candidate:
    """What one PACKAGE argument names, and its facts.

    `folder` is private to the run, shared by all its processes. Facts raise `BadInput`
    where the argument turns out to be unusable and `HarnessError` where the machine
    fails; rules whose prerequisites hold find every fact that they need.
    """

    def __init__(
        self, spec: PackageSpec, settings: Settings, folder: Path, executor: Executor
    ) -> None:
        self.spec = spec
        self.settings = settings
        self.folder = folder
        self.executor = executor
        self.store = Store(folder / "facts")
        self.servers = folder.parent / "servers"
        """Where whoever answers for the run keeps its servers alive."""
        self.siblings: Sequence[Candidate] = ()
        """The other candidates of the run."""
        self._installer: Installer = INSTALLERS[settings.installer]()

    @cached_property
    def interpreter(self) -> Interpreter:
        """The interpreter that was asked for. Raises `BadInput` when it is not there."""
        return self.store.once("interpreter", lambda: find_interpreter(self.settings.python))

    @property
    def build(self) -> Build:
        """How the wheel comes about: built, fetched, or given."""
        gather: Callable[[], Built]
        match self.spec.kind:
            case "source":
                gather = self._build_release
            case "wheel":
                gather = self._given
            case "requirement":
                gather = self._fetch
        built = self.store.once("build", gather)
        source = self.spec.path if self.spec.kind == "source" else None
        return Build(self.spec.kind, self.spec.text, built, source)

    @property
    def has_wheel(self) -> bool:
        """Whether there is a wheel to judge; not where the build or the machine failed."""
        try:
            return self.build.built.wheel is not None
        except HarnessError:
            return False

    @property
    def tree_build(self) -> TreeBuild:
        """The wheel built straight from the source tree."""
        if self.spec.kind != "source":
            return TreeBuild(None, None, self.wheel, None)
        built = self.store.once("tree-build", self._build_from_tree)
        tree_wheel = read_wheel(built.wheel) if built.wheel else None
        return TreeBuild(self.spec.path, built, self.wheel, tree_wheel)

    @cached_property
    def wheel(self) -> Wheel:
        """What the wheel holds. Raises `BadInput` for a file that is no wheel."""
        path = self.build.built.wheel
        assert path is not None, "no rule asks for the wheel of a broken build"
        return self.store.once("wheel", lambda: read_wheel(path))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that can be asked of it."""
        asked = self.settings.server is not None
        return tuple(rule for rule in REGISTRY.values() if asked or not rule.asks_server)

    @property
    def task_list(self) -> TaskList | None:
        """The file that lists the tasks."""
        return self.manifest

    @cached_property
    def manifest(self) -> Manifest | None:
        """The manifest at the package root, else the first that the server would find."""
        if not self.has_wheel or not (found := self.wheel.manifests):
            return None
        root = f"{self.wheel.package}/{MANIFEST_NAME}"
        path = next((entry for entry in found if installed_path(entry) == root), found[0])
        content = self.wheel.read(path)
        text = read_json(content)
        version = text.value.get("manifest_version") if isinstance(text.value, dict) else None
        known = isinstance(version, str | int) and not isinstance(version, bool)
        return Manifest(path, text, GENERATIONS.get(str(version)) if known else None)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are listed: entries that are objects. None where there is no list."""
        listed = self.task_list
        if listed is None or listed.generation is None:
            return ()
        tasks: list[Task] = []
        for index, entry in enumerate(listed.entries):
            if isinstance(entry, dict):
                name, slug = entry.get("name"), listed.slug(index)
                name = str(name).strip() if isinstance(name, str | int | float) else ""
                tasks.append(
                    self._task(
                        index=index,
                        id=_node_name(slug, {task.id for task in tasks}),
                        slug=slug,
                        name=name or slug,
                        entry=entry,
                        listed=listed,
                        generation=listed.generation,
                    )
                )
        return tuple(tasks)

    def _task(self, **fields: Any) -> Task:
        return PackagedTask(**fields, wheel=self.wheel)

    @property
    def bundle(self) -> Bundle:
        """The wheel beside its source tree."""
        source = self.spec.path if self.spec.kind == "source" else None
        return Bundle(self.wheel, source, _manifests_below(source) if source else ())

    @property
    def environment(self) -> Environment:
        """The fresh environment, before anything of the candidate's is in it."""
        folder = self.environment_folder.folder
        return self.store.once(
            "environment", lambda: self._installer.create(folder, self.interpreter)
        )

    @property
    def environment_folder(self) -> Environment:
        """Where the environment is, or would be: nothing is made."""
        return Environment(self.folder / "environment", self.interpreter)

    @property
    def installation(self) -> Installation:
        """The wheel installed by its file, with its extras, and then the pins."""
        wheel = self.wheel
        environment = self.environment
        return self.store.once("install", lambda: self._install(environment, wheel))

    def command(self, part: Part) -> Command:
        """What starting a command shows."""
        installation = self._installed()
        argv = self.argv(part)
        probe = self.store.once(_probe_key(part), lambda: self._probe(part, argv))
        return Command(part, argv, probe, installation)

    def work(self, task: Task, sample: Sample | None) -> tuple[str, ...]:
        """Under which keys the store has what takes starts of commands, once it has it."""
        if sample is not None:
            return (_run_key(sample),)
        return tuple(_probe_key(part) for part in task.run_parts)

    def output_tail(self) -> str:
        """The last line that the installer or the build has printed until now."""
        logs = [path for path in self.folder.glob("*.log") if path.is_file()]
        if not logs:
            return ""
        with max(logs, key=lambda path: path.stat().st_mtime_ns).open("rb") as log:
            log.seek(-min(4096, log.seek(0, os.SEEK_END)), os.SEEK_END)
            text = log.read().decode(errors="replace").replace("\r", "\n")
        return last_lines(text, 1)

    def _installed(self) -> Installation | None:
        """What must stand before a command can be started."""
        return self.installation

    @property
    def own_folder(self) -> str:
        """Where the modules of the package are, as the tracebacks of its commands show it."""
        return str(self.package_root) + os.sep

    @property
    def package_root(self) -> Path:
        """Where the package's folder is, or would be."""
        return self.environment_folder.site_packages / self.wheel.package

    @property
    def variables(self) -> Mapping[str, str]:
        """What its commands see in their environment besides the usual."""
        # One home for all: what they download there is not downloaded again by the next.
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {"HOME": str(home)}

    def unsupported_reason(self, rule: Rule) -> str | None:
        """Why a rule cannot be asked of this candidate; None when it can."""
        needs_installation = {Installation, Command, Run} & {*rule.subjects}
        if (needs_installation or rule.asks_server) and self._needs_pixi:
            return _PIXI
        return None

    @cached_property
    def _needs_pixi(self) -> bool:
        """Whether it is a source tree for pixi that does not install without it."""
        if self.spec.path is None or not is_for_pixi(self.spec.path) or not self.has_wheel:
            return False
        finished = self.installation.finished
        return finished is not None and finished.returncode != 0

    @property
    def home(self) -> Path | None:
        """The author's folder; None for a wheel or a requirement."""
        return self.spec.path if self.spec.kind == "source" else None

    @property
    def samples_folder(self) -> Path | None:
        """Where its samples lie, or would."""
        folder = self.settings.samples
        if folder is None and self.home is not None:
            folder = self.home / "fractal_samples"
        return folder.resolve() if folder else None

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The samples that the author supplies. Raises `BadInput` for one that cannot be read."""
        folder = self.samples_folder
        if folder is None or not folder.is_dir():
            return ()
        if self.settings.samples and not any(folder.glob("*.json")):
            raise BadInput(f"{self.settings.samples}: no sample is in it: no file *.json")
        if not self.tasks:
            return ()  # the verdicts tell why there are none
        elsewhere = {
            name
            for sibling in self.siblings
            if sibling.samples_folder == folder
            for task in sibling.tasks
            for name in (task.name, task.slug, task.id)
        }
        return read_samples(folder, self.tasks, elsewhere)

    def samples_of(self, task: Task) -> tuple[Sample, ...]:
        """The author's samples of a task; for want of any, one that is made from the schema."""
        own = tuple(sample for sample in self.samples if sample.task.id == task.id)
        return own or (self._made_sample(task),)

    def _made_sample(self, task: Task) -> Sample:
        given = task.generation.made_sample(task.kind, task.entry)
        arguments = self.sampling(task).made_arguments
        return Sample(
            "made", self.folder / "made.json", task, arguments, reserved=given, made=True
        )

    def sampling(self, task: Task) -> TaskSamples:
        """The author's samples of a task, and arguments made from its schemas."""
        made = {
            part.keys.name: {
                name: value
                for name, value in make_arguments(part.schema).items()
                if name not in part.reserved.all
            }
            for part in task.run_parts
        }
        own = made if len(made) > 1 else next(iter(made.values()), {})
        return TaskSamples(task, tuple(one for one in self.samples if one.task.id == task.id), own)

    def filled(self, sample: Sample) -> Filled:
        """A sample with every argument that its task is given."""
        folder = self.sample_folder(sample)
        return Filled(
            sample,
            tuple(
                (part, filled_arguments(sample, folder, part)) for part in sample.task.run_parts
            ),
        )

    def launch(self, part: Part, arguments: Mapping[str, Any], folder: Path) -> Start:
        """Start a command as Fractal does, in `folder`, which must not exist yet."""
        first, second = part.task.generation.flags
        return start_command(
            self.argv(part),
            (first, ARGUMENTS, second, OUTPUT),
            json.dumps(arguments, indent=2).encode(),
            folder=folder,
            executor=self.executor,
            timeout=self.settings.timeout,
            variables=self.variables,
        )

    def run(self, sample: Sample) -> Run:
        """What came of running a sample, after the steps before it in its workflow."""
        previous = self.run(sample.previous) if sample.previous else None

        def gather() -> dict[str, Any]:
            self._installed()
            run = self._run(sample, previous, self.sample_folder(sample))
            # Less the sample, which every process has read itself.
            return {name: value for name, value in vars(run).items() if name != "sample"}

        return Run(sample, **self.store.once(_run_key(sample), gather))

    def _run(self, sample: Sample, previous: Run | None, folder: Path) -> Run:
        self.place_data(sample, folder)
        runs = folder.with_name(f"{folder.name}-runs") / sample.name
        return run_sample(sample, previous, folder, runs, self.launch, self.executor.width)

    def _run_again(self, sample: Sample, folder: Path) -> Run:
        previous = self._run_again(sample.previous, folder) if sample.previous else None
        return self._run(sample, previous, folder)

    def place_data(self, sample: Sample, folder: Path) -> None:
        """Put the sample data into the folder that is a sample's `{tmp}`, if it names them."""
        if sample.uses_ome_zarr:
            made = self.store.once("ome-zarr", lambda: make_ome_zarr(self.folder / OME_ZARR))
            copy_ome_zarr(made, folder / OME_ZARR)

    def sample_folder(self, sample: Sample) -> Path:
        """The `{tmp}` of a sample."""
        if sample.made:
            return self.folder / "made" / sample.task.id
        return self.folder / "samples" / sample.workflow

    @property
    def edition(self) -> ServerRelease:
        """The fractal-server to ask. Raises `BadInput` when it takes no such manifest."""
        from pytest_fractal.server.servers import ServerRelease

        listed = self.task_list
        generation = listed.generation.version if listed and listed.generation else None
        return ServerRelease.chosen(self.settings.server or "", generation)

    @property
    def server(self) -> Server:
        """A running server of this candidate's own, which ends with the run."""
        return self.store.once(
            "server",
            lambda: self.edition.start(
                self.folder / "server", self.servers, self.settings.database
            ),
        )

    @property
    def collection(self) -> Collection:
        """What the server made of the wheel."""
        from pytest_fractal.server import asking

        server = self.server
        return self.store.once("collection", lambda: asking.collection(server, self))

    def server_run(self, sample: Sample) -> ServerRun:
        """What came of running a sample, or the workflow that ends with it, on the server."""
        from pytest_fractal.server import asking

        server, collected, here = self.server, self.collection.collected, self.run(sample)

        def gather() -> ServerRun:
            return asking.server_run(
                server, self, collected, here, lambda place: self._run_again(sample, place)
            )

        return self.store.once(f"server-{_run_key(sample)}", gather)

    def starts(self) -> Iterator[tuple[str, str | None, Start]]:
        """All process starts until now, each with the id of its task and its sample, if any."""
        for start in self.store.values("start-"):
            yield Path(start.arguments_file).parents[1].name, None, start
        for task in self.tasks:
            for sample in self.samples_of(task):
                run = self.store.peek(_run_key(sample)) or {}
                for execution in run.get("executions", ()):
                    yield task.id, sample.name, execution.start

    def argv(self, part: Part) -> tuple[str, ...]:
        """A command, as the server would make it of its own environment."""
        assert isinstance(part, PackagedPart)
        python = self.environment_folder.python
        return (str(python), str(self.package_root / part.executable))

    def source_of(self, task: Task, python: str = "") -> str | None:
        """The task's `source`, as the server would store it; None where it stores none.

        `python` is the version that the server is asked for; by default, what the settings
        ask for.
        """
        if not python and self.settings.python:
            python = ".".join(map(str, self.interpreter.version_info[:2]))
        return task.generation.source(
            self.wheel.package,
            self.wheel.version or "",
            self.spec.extras,
            f"py{python}" if python else "",
            task.slug,
        )

    def located(self, file: str) -> str:
        """A path in the wheel as the author knows it: where the source tree has that file."""
        if self.home is not None and Path(file).is_relative_to(self.home):
            return str(Path(file).relative_to(self.home))
        return file if Path(file).is_absolute() else self.in_tree(file) or file

    def in_tree(self, file: str) -> str | None:
        """A path in the wheel, or on disk, relative to the author's folder; None if not there."""
        if self.home is None:
            return None
        for place in (PurePosixPath(file), PurePosixPath("src", file)):
            if os.path.isfile(self.home / place):  # noqa: PTH113 - false for an impossible name
                return Path(os.path.relpath(self.home / place, self.home)).as_posix()
        return None

    def _build_release(self) -> Built:
        assert self.spec.path is not None
        return building.build_release(
            self.spec.path, self.folder / "build", self._build_environment, INSTALLERS["uv"]()
        )

    def _build_from_tree(self) -> Built:
        assert self.spec.path is not None
        # The requirements of the same project: they are there already.
        return building.build_from_tree(
            self.spec.path, self.folder / "tree-build", self._build_environment, INSTALLERS["uv"]()
        )

    @property
    def _build_environment(self) -> Environment:
        folder = self.folder / "build-environment"
        return self.store.once("build-environment", lambda: create_bare(folder, self.interpreter))

    def _given(self) -> Built:
        assert self.spec.path is not None
        check_whole(self.spec.path)
        return Built(self.spec.path)

    def _fetch(self) -> Built:
        requirement = self.spec.requirement
        assert requirement is not None
        folder = self.folder / "download"
        finished = download(self.environment, requirement, folder)
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        if finished.returncode or not files:
            check_index(self.environment, requirement)
            said = finished.stderr or finished.stdout
            errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
            reason = " ".join(error.removeprefix("ERROR: ") for error in errors[-2:])
            raise BadInput(
                f"{self.spec.text}: the package index has nothing for this: "
                f"{reason or last_lines(said, 2)}"
            )
        if files[0].suffix != ".whl":
            return Built(None, BuildFailure("wheel", f"the index has only {files[0].name}"))
        return Built(files[0])

    def _install(self, environment: Environment, wheel: Wheel) -> Installation:
        extras = f"[{','.join(self.spec.extras)}]" if self.spec.extras else ""
        finished = self._installer.install(environment, [f"{wheel.path}{extras}"])
        for pin in self.settings.pins:
            if finished.returncode:
                break
            # One by one, as the server does: a pin may break what was installed before it.
            finished = self._installer.install(environment, [pin])
        unmet = () if finished.returncode else unmet_requirements(environment)
        return Installation(
            environment,
            wheel,
            finished,
            self.spec.extras,
            self.settings.pins,
            environment.versions(),
            unmet,
        )

    def _probe(self, part: Part, argv: tuple[str, ...]) -> Probe:
        task, schema = part.task, part.schema

        def starter(key: str, content: bytes, options: Sequence[str]) -> Start:
            name = f"start-{_digest(key, content, *options)}"
            return self.store.once(
                name,
                lambda: start_command(
                    argv,
                    options,
                    content,
                    folder=self.folder / "runs" / task.id / name[-8:],
                    executor=self.executor,
                    timeout=self.settings.timeout,
                    variables=self.variables,
                ),
            )

        made = make_arguments(schema)
        reserved = task.generation.reserved_values(task.kind, part.keys, self._fresh(task), made)
        unknown = schema.get("additionalProperties")
        return probe_command(
            lambda content, options: starter(shlex.join(argv), content, options),
            starter,
            script=argv[-1],
            package_folder=self.own_folder,
            flags=task.generation.flags,
            wrong_manners=task.generation.wrong_manners,
            schema=schema,
            reserved=reserved,
            complete={**made, **reserved},
            takes_unknown=bool(unknown)
            or "patternProperties" in schema
            or (unknown is None and part.takes_any_keyword),
        )

    def _fresh(self, task: Task) -> Path:
        folder = self.folder / "runs" / task.id / "data"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


_PIXI: Final = (
    "the package installs only through pixi, which is not run here; install it by `pixi install` "
    "and judge it there: --fractal-environment=.pixi/envs/default, or choose an interpreter "
    "for which it installs: --fractal-python"
)


def _manifests_below(tree: Path) -> tuple[PurePosixPath, ...]:
    """The manifests in a source tree, less those of tests, builds and environments."""
    elsewhere = {"build", "dist", "tests", "test", ".venv", "venv", "site-packages"}
    found = [
        PurePosixPath(path.relative_to(tree).as_posix()) for path in tree.rglob(MANIFEST_NAME)
    ]
    return tuple(
        sorted(
            (path for path in found if not elsewhere.intersection(path.parts)),
            key=lambda path: (len(path.parts), str(path)),
        )
    )


def _probe_key(part: Part) -> str:
    return f"probe-{_digest(part.task.id, part.keys.name)}"


def _run_key(sample: Sample) -> str:
    return f"run-{_digest(sample.task.id, sample.name)}"


def _node_name(slug: str, taken: set[str]) -> str:
    # Cut as a file system counts: folders are named like this too.
    safe = re.sub(r"[^\w.+()=@-]", "_", slug).encode()[:100].decode(errors="ignore")
    name, number = safe, 2
    while name in taken:
        name, number = f"{safe}-{number}", number + 1
    return name


def _digest(*parts: str | bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode(errors="replace") if isinstance(part, str) else part)
        whole.update(b"\0")
    return whole.hexdigest()[:16]
