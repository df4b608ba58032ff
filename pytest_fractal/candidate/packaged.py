"""The candidate: a PACKAGE argument, and everything that can be known about it.

Each fact is gathered when it is first asked for, and then kept in the store that all
threads and workers of a run share. Nothing is judged here.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from packaging.utils import canonicalize_name

from pytest_fractal.candidate.command_starts import (
    OPTIONS,
    PROBE,
    REFUSALS,
    START,
    launch,
    of_part,
    prober,
)
from pytest_fractal.candidate.dependency_lines import dependency_lines
from pytest_fractal.candidate.environment_changes import EnvironmentChanges
from pytest_fractal.candidate.generated_manifest import generate_manifest
from pytest_fractal.candidate.on_cluster import ask_cluster
from pytest_fractal.candidate.sample_runs import SampleRuns, run_fact
from pytest_fractal.candidate.start_seconds import StartSeconds
from pytest_fractal.candidate.store import Fact, Store
from pytest_fractal.candidate.wheel_source import WHEEL_SOURCES, WheelSource, Workshop
from pytest_fractal.environments.building import (
    BuildEnvironment,
    Built,
    Plans,
    build_from_tree,
)
from pytest_fractal.environments.bytecode import DependencyBytecode
from pytest_fractal.environments.environments import Environment, create_bare, requires_anything
from pytest_fractal.environments.installers import INSTALLERS, Installer
from pytest_fractal.environments.installing import unmet_requirements
from pytest_fractal.environments.interpreters import Interpreter, find_interpreter
from pytest_fractal.environments.pip_show import PipShow, expected_pip_show, run_pip_show
from pytest_fractal.environments.pixi import brought_by_pixi
from pytest_fractal.environments.project_table import PYPROJECT, is_for_pixi
from pytest_fractal.environments.trees import files_below
from pytest_fractal.environments.wheels import (
    MANIFEST_NAME,
    Wheel,
    installed_path,
    read_wheel,
)
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.facts import (
    Build,
    Bundle,
    ClusterAnswer,
    Command,
    EnvironmentUse,
    GeneratedManifest,
    Installation,
    PackagedPart,
    PackagedTask,
    Part,
    Task,
    TreeBuild,
    Validation,
)
from pytest_fractal.files import open_regular
from pytest_fractal.generations import GENERATIONS, NEWEST, Generation
from pytest_fractal.json_text import MOST_BYTES, MOST_LEVELS, read_json, too_large
from pytest_fractal.package_spec import PackageSpec
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.executors import Executor
from pytest_fractal.processes.probing import OptionProbe, Probe, Refusals
from pytest_fractal.processes.processes import last_lines
from pytest_fractal.processes.tracebacks import Crash
from pytest_fractal.processes.validation import argument_faults
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import PackageSamples, ResolvedArguments, Run
from pytest_fractal.server.facts import Collection, ServerRun
from pytest_fractal.settings import Settings
from pytest_fractal.task_lists import Generator, Manifest, TaskList
from pytest_fractal.verdicts import NotApplicable, NotChecked, Skipped

if TYPE_CHECKING:
    from pytest_fractal.candidate.on_server import OnServer

INTERPRETER: Final = Fact[Interpreter]("interpreter", Interpreter)
BUILD: Final = Fact[Built]("build", Built)
BUILD_ENVIRONMENT: Final = Fact[Environment]("build-environment", Environment)
TREE_BUILD: Final = Fact[Built]("tree-build", Built)
WHEEL: Final = Fact[Wheel]("wheel", Wheel, shared=False)
"""Each process reads the file itself: its content is read when it is asked for anyway."""
ENVIRONMENT: Final = Fact[Environment]("environment", Environment)
PIP_SHOW: Final = Fact[PipShow]("pip-show", PipShow)
INSTALLATION: Final = Fact[Installation]("install", Installation)
GENERATED: Final = Fact[GeneratedManifest]("generated-manifest", GeneratedManifest)

_GENERATES: Final = ("task_list", "create_manifest")
"""The modules in a package's `dev` that are about its manifest."""


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
        self.store = Store()
        self.servers = folder.parent / "servers"
        """Where whoever answers for the run keeps its servers alive."""
        self.siblings: Sequence[Candidate] = ()
        """The other candidates of the run."""
        self.is_wanted: Callable[[Set[type[Any]], Task | None], bool] = lambda *_: True
        """Whether a rule that is selected takes facts of these types; said by the engine."""
        self.plans: Plans = {}
        """What environments for builds were given; shared by the candidates of the run."""

    @cached_property
    def providers(self) -> Mapping[type[Any], Callable[..., Any]]:
        """How each fact that rules may take is gathered, by its type.

        What a rule takes that is not here does not exist of such a candidate, and the rule
        does not apply. Each is called with what it is about: a task, a part or a sample.
        """
        providers = {**self._own_providers(), **self._server_providers()}
        if self.settings.executor == "slurm":
            providers[ClusterAnswer] = lambda part: ask_cluster(self, part)
        return providers

    def _own_providers(self) -> Mapping[type[Any], Callable[..., Any]]:
        return {
            Build: lambda: self.build,
            TreeBuild: lambda: self.tree_build,
            Wheel: lambda: self.wheel,
            Bundle: lambda: self.bundle,
            Installation: lambda: self.installation,
            PipShow: lambda: self.pip_show,
            GeneratedManifest: lambda: self.generated_manifest,
            Manifest: lambda: self.manifest,
            PackagedTask: lambda task: task,
            PackagedPart: lambda part: part,
            Validation: self.validation,
            EnvironmentUse: self.environment_changes.use,
            **self._common_providers(),
        }

    def _common_providers(self) -> Mapping[type[Any], Callable[..., Any]]:
        """Those of every candidate."""
        return {
            TaskList: lambda: self.task_list,
            PackageSamples: lambda: self.sample_runs.all,
            Task: lambda task: task,
            Part: lambda part: part,
            Command: self.command,
            OptionProbe: self.options,
            Refusals: self.refusals,
            ResolvedArguments: self.sample_runs.arguments,
            Run: self.run,
        }

    def _server_providers(self) -> Mapping[type[Any], Callable[..., Any]]:
        if self.settings.server is None:
            return {}
        return {
            Collection: lambda version: self.on_server.collection(version),
            ServerRun: lambda sample, version: self.on_server.run(sample, version),
        }

    @property
    def asked_servers(self) -> tuple[str | None, ...]:
        """The versions of the servers that are asked; None where there is nothing to ask about."""
        if self.settings.server is None or not self.has_wheel:
            return (None,)
        return tuple(release.version for release in self.on_server.releases)

    @cached_property
    def interpreter(self) -> Interpreter:
        """The interpreter that was asked for. Raises `BadInput` when it is not there."""
        return self.store.once(INTERPRETER, lambda: find_interpreter(self.settings.python))

    @property
    def generation(self) -> Generation:
        """By whose servers it is installed; the newest one's where the manifest tells none."""
        manifest = self.manifest
        return manifest.generation if manifest and manifest.generation else NEWEST

    @property
    def _installer(self) -> Installer:
        make = INSTALLERS[self.settings.installer]
        return make(self.generation.upgraded_first, caches=not self.settings.no_cache)

    @property
    def build(self) -> Build:
        """How the wheel comes about: built, fetched, or given."""
        get = self.wheel_source.get
        assert get is not None, "without a wheel to get, no rule asks how it came about"
        workshop = Workshop(
            self.spec,
            self.folder,
            self.interpreter,
            lambda: self._build_environment,
            self.settings.build_timeout,
        )
        built = self.store.once(BUILD, lambda: get(workshop))
        tree = self.spec.tree
        manifests = _manifests_below(tree) if tree is not None and built.failure else ()
        return Build(self.spec.kind, self.spec.text, built, tree, manifests)

    @property
    def wheel_source(self) -> WheelSource:
        """Where the wheel comes from."""
        return WHEEL_SOURCES[self.spec.kind]

    @property
    def installs(self) -> bool:
        """Whether this run installs it, into an environment of its own."""
        return self.wheel_source.get is not None

    def prepare(self) -> None:
        """Look for the interpreter, and for what an index is asked for.

        Raises `BadInput` when either is not there.
        """
        _ = self.interpreter
        if self.wheel_source.from_index:
            try:
                _ = self.build
            except HarnessError as error:
                sentence = " ".join(str(error).split())
                raise BadInput(f"{self.spec.text}: {sentence}") from None

    @property
    def no_wheel(self) -> str | None:
        """Why no wheel could be built or fetched; None where there is one, or need be none."""
        failure = self.build.built.failure if self.installs else None
        return None if failure is None else failure.message

    @property
    def has_wheel(self) -> bool:
        """Whether there is a wheel to judge; not where the build or the machine failed.

        Nor where this failed itself: planning goes on, and the verdict on the build tells.
        """
        try:
            return self.build.built.wheel is not None
        except BadInput:
            raise
        except Exception:
            return False

    @property
    def tree_build(self) -> TreeBuild:
        """The wheel built straight from the source tree."""
        tree = self.spec.tree
        if tree is None:
            return TreeBuild(None, None, self.wheel, None)
        built = self.store.once(TREE_BUILD, self._build_from_tree)
        tree_wheel = read_wheel(built.wheel) if built.wheel else None
        return TreeBuild(tree, built, self.wheel, tree_wheel)

    @cached_property
    def wheel(self) -> Wheel:
        """What the wheel holds. Raises `BadInput` for a file that is no wheel."""
        path = self.build.built.wheel
        assert path is not None, "no rule asks for the wheel of a broken build"
        return self.store.once(WHEEL, lambda: read_wheel(path))

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
        size = self.wheel.size(path)
        text = (
            too_large(size) if size > MOST_BYTES else read_json(self.wheel.read(path), MOST_LEVELS)
        )
        version = text.value.get("manifest_version") if isinstance(text.value, dict) else None
        known = isinstance(version, str | int) and not isinstance(version, bool)
        generation = GENERATIONS.get(str(version)) if known else None
        return Manifest(path, text, generation, self._generator())

    def _generator(self) -> Generator | None:
        """What generates the manifest, where the package has what that takes.

        Source: fractal-task-tools 0.5.1 (`fractal-manifest create`, which reads the module
        `dev.task_list`), and the script of packages that use fractal_tasks_core.dev.
        """
        package = self.wheel.package
        task_list, script = (f"{package}/dev/{name}.py" for name in _GENERATES)
        if task_list not in self.wheel.contents:
            return None
        if script in self.wheel.contents:
            return Generator(f"python {self.located(script)}", self.located(task_list), script)
        return Generator(f"fractal-manifest create --package {package}", self.located(task_list))

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are listed: entries that are objects. None where there is no list."""
        listed = self.task_list
        if listed is None or listed.generation is None:
            return ()
        tasks: list[Task] = []
        taken: dict[str, int] = {}
        for index, entry in enumerate(listed.entries):
            if isinstance(entry, dict):
                name, slug = entry.get("name"), listed.slug(index)
                name = str(name).strip() if isinstance(name, str | int | float) else ""
                tasks.append(
                    self._task(
                        index=index,
                        id=_node_name(slug, taken),
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
        source = self.spec.tree
        manifests = _manifests_below(source) if source else ()
        return Bundle(self.wheel, source, manifests, self._generator())

    @property
    def environment(self) -> Environment:
        """The fresh environment, before anything of the candidate's is in it."""
        folder = self.environment_folder.folder
        return self.store.once(
            ENVIRONMENT, lambda: self._installer.create(folder, self.interpreter)
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
        installation = self.store.once(
            INSTALLATION,
            lambda: self._install(environment, wheel),
            {"environment": environment, "wheel": wheel},
        )
        self.environment_changes.watch()  # before anything of it is started
        return installation

    @property
    def _owner(self) -> str:
        """Whose is what is kept for the next run on the same package."""
        name = canonicalize_name(self.wheel.distribution)
        return f"{self.spec.kind}\n{self.spec.tree or ''}\n{name}"

    @property
    def _bytecode(self) -> DependencyBytecode:
        return DependencyBytecode(self._owner, self.wheel.distribution, self.environment_folder)

    @property
    def last_seconds(self) -> Mapping[str, float]:
        """How long the commands of its tasks took last time, by their ids, where that is known."""
        if self.settings.no_cache or not self.installs or not self.has_wheel:
            return {}
        return StartSeconds(self._owner).read()

    def keep_for_next_run(self) -> None:
        """Keep what its processes have compiled of its dependencies, and how long they took.

        Called when none of them runs any more.
        """
        if self.settings.no_cache or not self.installs or not self.store.has(INSTALLATION):
            return
        StartSeconds(self._owner).keep(
            (task, start.finished.seconds) for task, _, start in self.starts()
        )
        with contextlib.suppress(OSError, HarnessError):
            finished = self.installation.finished
            if finished is not None and finished.returncode == 0:
                self._bytecode.keep()

    @property
    def installed_versions(self) -> Mapping[str, str]:
        """What this run has installed, by normalised name; empty where that is nothing."""
        try:
            return self.installation.versions if self.store.has(INSTALLATION) else {}
        except (BadInput, HarnessError):
            return {}

    @property
    def pip_show(self) -> PipShow:
        """What `pip show` prints of the package.

        Asked where the package is installed in this run, and worked out from the wheel where
        it cannot be, or where no rule that was selected needs an installation.
        """
        wheel = self.wheel
        if not self.is_wanted({Installation, Command, Run}, None):
            return expected_pip_show(wheel)
        try:
            installation = self.installation
        except HarnessError:  # reported by the rules that cannot do without
            return expected_pip_show(wheel)
        if installation.finished is None or installation.finished.returncode:
            return expected_pip_show(wheel)
        return self.store.once(PIP_SHOW, lambda: run_pip_show(installation.environment, wheel))

    @property
    def generated_manifest(self) -> GeneratedManifest:
        """What the package's own generator makes of it, where it is installed."""
        manifest, installation = self.manifest, self.installation
        assert manifest is not None
        assert manifest.generator is not None
        generator, tree = manifest.generator, self.spec.tree
        project = tree / PYPROJECT if tree is not None else None
        return self.store.once(
            GENERATED,
            lambda: generate_manifest(
                generator,
                self.package_root,
                installation.environment,
                self.executor,
                folder=self.folder / "generated-manifest",
                project_file=project if project is not None and project.is_file() else None,
                timeout=self.settings.timeout,
                variables=self.variables,
            ),
        )

    def command(self, part: Part) -> Command:
        """What the first start of a command shows."""
        installation = self._installed()
        argv = self.argv(part)
        probe = self.store.once(of_part(PROBE, part), lambda: self._probe(part))
        if (crash := probe.first.crash) is not None and self._is_for_pixi(crash):
            raise NotChecked(f"it ends with {crash.headline}. {_PIXI_BRINGS}")
        return Command(part, argv, probe, installation, self.misplaced(part))

    def options(self, part: Part) -> OptionProbe:
        """What more starts show of its options, where it takes any."""
        probe = self.command(part).probe
        return self.store.once(
            of_part(OPTIONS, part),
            lambda: prober(self, part).options(probe),
            {"first": probe.first},
        )

    def refusals(self, part: Part) -> Refusals:
        """What more starts show of arguments that it should refuse."""
        probe = self.command(part).probe
        return self.store.once(of_part(REFUSALS, part), lambda: prober(self, part).refusals(probe))

    def misplaced(self, part: Part) -> Mapping[str, str]:  # noqa: ARG002
        """Files that are named by relative paths: none, the server gives absolute ones."""
        return {}

    def validation(self, part: Part) -> Validation:
        """What a task's models say of arguments made from its schema, where it is started.

        Not for its own sake: a run by rules that start nothing shall start nothing.
        """
        unknown = Validation((), {}, command_started=False)
        task = part.task
        is_started = part in task.run_parts and self.is_wanted({Command}, task)
        if self._needs_pixi or not is_started:
            return unknown
        try:
            installation = self._installed()
            if installation and installation.finished and installation.finished.returncode:
                return unknown
            probe = self.command(part).probe
        except (HarnessError, Skipped):
            return unknown  # the rules about the command tell
        return Validation(argument_faults(probe.first, probe.lacks), probe.arguments)

    def work(
        self, task: Task, sample: Sample | None, facts: Sequence[type[Any]]
    ) -> Iterator[tuple[str, Fact[Any]]]:
        """The facts of these types that take starts of commands, each with what is started."""
        if sample is not None:
            yield f"{task.id} {sample.name}", run_fact(sample)
            return
        started: Mapping[type[Any], Fact[Any]] = {
            Command: PROBE,
            OptionProbe: OPTIONS,
            Refusals: REFUSALS,
        }
        for part in task.run_parts:
            for kind, fact in started.items():
                if kind in facts:
                    yield f"{task.id} {part.keys.name}", of_part(fact, part)

    def output_tail(self) -> str:
        """The last line that the installer or the build has printed until now."""
        logs = [path for path in self.folder.glob("*.log") if path.is_file()]
        if not logs:
            return ""
        newest = max(logs, key=lambda path: path.stat().st_mtime_ns)
        try:
            with open_regular(newest, follow=False) as log:
                log.seek(-min(4096, log.seek(0, os.SEEK_END)), os.SEEK_END)
                text = log.read(4096).decode(errors="replace").replace("\r", "\n")
        except OSError:
            return ""
        return last_lines(text, 1)

    def _installed(self) -> Installation | None:
        """What must stand before a command can be started."""
        return self.installation

    @property
    def own_folder(self) -> str:
        """Where the modules of the package are, as the tracebacks of its commands show it."""
        return str(self.package_root) + os.sep

    @property
    def library_folder(self) -> str:
        """Where the modules are that it requires, in the same way."""
        return str(self.environment_folder.site_packages) + os.sep

    @property
    def package_root(self) -> Path:
        """Where the package's folder is, or would be."""
        return self.environment_folder.site_packages / self.wheel.package

    @property
    def variables(self) -> Mapping[str, str]:
        """What its commands see in their environment besides the usual."""
        # One home for all: what they download there is not downloaded again by the next.
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        return {"HOME": str(home)}

    def lacking(self, fact: type[Any]) -> Skipped | None:
        """Why facts of a type in `providers` cannot be gathered here; None when they can."""
        if fact in _NEED_INSTALLATION and self._needs_pixi:
            return NotChecked(_PIXI)
        if fact is GeneratedManifest and self.manifest and self.manifest.generator is None:
            return NotApplicable("the package brings nothing that generates its manifest")
        return None

    def _is_for_pixi(self, crash: Crash) -> bool:
        """Whether a command lacks what pixi, and it alone, may bring."""
        if not self._lacks_pixi:
            return False
        missing = _MISSING_MODULE.match(crash.headline)
        return missing is not None and missing["module"] != self.wheel.package

    @cached_property
    def _lacks_pixi(self) -> bool:
        """Whether pixi would bring more to its environment than is there."""
        tree = self.spec.tree
        return tree is not None and bool(brought_by_pixi(tree, self.wheel.distribution))

    @cached_property
    def _needs_pixi(self) -> bool:
        """Whether it is a source tree for pixi that does not install without it."""
        if self.spec.path is None or not is_for_pixi(self.spec.path) or not self.has_wheel:
            return False
        try:
            finished = self.installation.finished
        except HarnessError:
            return False  # the verdicts on the installation tell
        return finished is not None and finished.returncode != 0

    @property
    def needs_pixi(self) -> bool:
        """Whether this run has found that pixi alone would bring all that it needs."""
        return self.store.has(INSTALLATION) and (self._needs_pixi or self._lacks_pixi)

    @property
    def home(self) -> Path | None:
        """The author's folder; None for a wheel or a requirement."""
        return self.spec.tree

    @cached_property
    def sample_runs(self) -> SampleRuns:
        """Its samples, and what came of running them."""
        return SampleRuns(self)

    @cached_property
    def environment_changes(self) -> EnvironmentChanges:
        """What its tasks change in the environment."""
        return EnvironmentChanges(self)

    def launch(self, part: Part, arguments: Mapping[str, Any], folder: Path) -> Start:
        """Start a command as Fractal does, in `folder`, which must not exist yet."""
        return launch(self, part, arguments, folder)

    def run(self, sample: Sample) -> Run:
        """What came of running a sample, after the steps before it in its workflow."""
        previous = self.run(sample.previous) if sample.previous else None

        for part in sample.task.run_parts if self._lacks_pixi else ():
            self.command(part)  # it may need pixi to start at all

        def gather() -> Run:
            self._installed()
            return self.sample_runs.run(sample, previous, self.sample_runs.folder_of(sample))

        # Every process has read the sample itself.
        run = self.store.once(run_fact(sample), gather, {"sample": sample})
        for execution in run.executions:
            if (crash := execution.start.crash) is not None and self._is_for_pixi(crash):
                raise NotChecked(f"the task ends with {crash.headline}. {_PIXI_BRINGS}")
        return run

    @cached_property
    def on_server(self) -> OnServer:
        """What a real server does with it, for a run that asks one."""
        from pytest_fractal.candidate.on_server import OnServer  # as heavy as a client

        return OnServer(self)

    def starts(self) -> Iterator[tuple[str, str | None, Start]]:
        """All process starts until now, each with the id of its task and its sample, if any."""
        for start in self.store.values(START):
            yield Path(start.arguments_file).parents[1].name, None, start
        for sample, start in self.sample_runs.starts():
            yield sample.task.id, sample.name, start

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

    def own_file(self, file: str) -> str | None:
        """The file of the author's that a finding about `file` is shown at; None for none."""
        return self.in_tree(file)

    def in_tree(self, file: str) -> str | None:
        """A path in the wheel, or on disk, relative to the author's folder; None if not there."""
        if self.home is None:
            return None
        for place in (PurePosixPath(file), PurePosixPath("src", file)):
            if os.path.isfile(self.home / place):  # noqa: PTH113 - false for an impossible name
                return Path(os.path.relpath(self.home / place, self.home)).as_posix()
        return None

    def _build_from_tree(self) -> Built:
        tree, folder = self.spec.tree, self.folder / "tree-build"
        assert tree is not None
        environment = self._build_environment
        environment.given.update(self.build.built.given)  # maybe by another process
        return build_from_tree(tree, folder, environment, self.settings.build_timeout)

    @cached_property
    def _build_environment(self) -> BuildEnvironment:
        """That of both builds, so the requirements of the project are installed once."""
        folder = self.folder / "build-environment"
        made = self.store.once(BUILD_ENVIRONMENT, lambda: create_bare(folder, self.interpreter))
        return BuildEnvironment(made, INSTALLERS["uv"](), self.plans)

    def _install(self, environment: Environment, wheel: Wheel) -> Installation:
        finished = self._installer.install_wheel(environment, wheel, self.spec.extras)
        pins = self.settings.pins
        # One by one, a pin may break what was installed before it.
        for group in [pins] if pins and self.generation.pins_at_once else [(pin,) for pin in pins]:
            if finished.returncode:
                break
            finished = self._installer.install(environment, group)
        requirements = environment.requirements()
        if finished.returncode == 0 and not self.settings.no_cache:
            self._bytecode.bring()
        are_checked = finished.returncode == 0 and requires_anything(requirements)
        unmet = unmet_requirements(environment) if are_checked else ()
        return Installation(
            environment,
            wheel,
            finished,
            self.spec.extras,
            self.settings.pins,
            environment.versions(),
            unmet,
            requirements,
            dependency_lines(self.home) if self.home is not None else {},
        )

    def _probe(self, part: Part) -> Probe:
        return prober(self, part).probe()


_NEED_INSTALLATION: Final = frozenset(
    {Installation, GeneratedManifest, Command, Run, Collection, ServerRun}
)

_PIXI: Final = (
    "the package installs only through pixi, which is not run here; install it by `pixi install` "
    "and judge it there: --fractal-environment=.pixi/envs/default, or choose an interpreter "
    "for which it installs: --fractal-python"
)


_PIXI_BRINGS: Final = (
    "Perhaps pixi brings what is missing, and pixi is not run here; install the package by `pixi "
    "install` and judge it there: --fractal-environment=.pixi/envs/default"
)

_MISSING_MODULE: Final = re.compile(
    r"ModuleNotFoundError: No module named '(?P<module>\w+)|ImportError: \S+\.so\S*: cannot open "
    r"shared object file"
)


def _manifests_below(tree: Path) -> tuple[PurePosixPath, ...]:
    """The manifests in a source tree, less those of tests, builds and environments."""
    elsewhere = {"build", "dist", "tests", "test", "site-packages"}
    found = [
        PurePosixPath(path.relative_to(tree).as_posix())
        for path in files_below(tree)
        if path.name == MANIFEST_NAME
    ]
    return tuple(
        sorted(
            (path for path in found if not elsewhere.intersection(path.parts)),
            key=lambda path: (len(path.parts), str(path)),
        )
    )


def _node_name(slug: str, taken: dict[str, int]) -> str:
    """A name for node ids that is not yet `taken`, to which it is added.

    With each taken name stands the number from which to look for the next one like it.
    """
    # Cut as a file system counts: folders are named like this too.
    safe = re.sub(r"[^\w.+()=@-]", "_", slug).encode()[:100].decode(errors="ignore")
    name, number = safe, taken.get(safe, 2)
    while name in taken:
        name, number = f"{safe}-{number}", number + 1
    taken[safe] = number
    taken.setdefault(name, 2)
    return name
