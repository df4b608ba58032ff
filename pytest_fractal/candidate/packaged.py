"""The candidate: a PACKAGE argument, and everything that can be known about it.

Each fact is gathered when it is first asked for, and then kept in the store that all
threads and workers of a run share. Nothing is judged here. What differs between kinds of
candidates stands here; what follows from it has an object or a module for each idea.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_fractal.candidate.author_files import AuthorFiles
from pytest_fractal.candidate.between_runs import BetweenRuns
from pytest_fractal.candidate.builds import Builds, manifests_below
from pytest_fractal.candidate.command_starts import START
from pytest_fractal.candidate.commands import Commands
from pytest_fractal.candidate.environment_changes import EnvironmentChanges
from pytest_fractal.candidate.generated_manifest import generated_manifest
from pytest_fractal.candidate.installation import (
    ENVIRONMENT,
    INSTALLATION,
    install,
    make_environment,
    pip_show,
)
from pytest_fractal.candidate.listed_tasks import find_generator, find_manifest, listed_tasks
from pytest_fractal.candidate.on_cluster import ask_cluster
from pytest_fractal.candidate.pixi import INSTALLS_BY_PIXI, Pixi
from pytest_fractal.candidate.sample_runs import SampleRuns
from pytest_fractal.candidate.store import Fact, Store
from pytest_fractal.candidate.wheel_source import WHEEL_SOURCES, WheelSource
from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.interpreters import Interpreter, find_interpreter
from pytest_fractal.environments.pip_show import PipShow
from pytest_fractal.environments.wheels import Wheel, read_wheel
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
from pytest_fractal.generations import NEWEST, Generation
from pytest_fractal.package_spec import PackageSpec
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.executors import Executor
from pytest_fractal.processes.probing import OptionProbe, Refusals
from pytest_fractal.samples.runs import PackageSamples, ResolvedArguments, Run
from pytest_fractal.server.facts import Collection, ServerRun
from pytest_fractal.settings import Settings
from pytest_fractal.task_lists import Manifest, TaskList
from pytest_fractal.verdicts import NotApplicable, NotChecked, Skipped

if TYPE_CHECKING:
    from pytest_fractal.candidate.on_server import OnServer

_INTERPRETER: Final = Fact[Interpreter]("interpreter", Interpreter)
_WHEEL: Final = Fact[Wheel]("wheel", Wheel, shared=False)
"""Each process reads the file itself: its content is read when it is asked for anyway."""


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
            Build: lambda: self.builds.release,
            TreeBuild: lambda: self.builds.from_tree,
            Wheel: lambda: self.wheel,
            Bundle: lambda: self.bundle,
            Installation: lambda: self.installation,
            PipShow: lambda: pip_show(self),
            GeneratedManifest: lambda: generated_manifest(self),
            Manifest: lambda: self.manifest,
            PackagedTask: lambda task: task,
            PackagedPart: lambda part: part,
            Validation: self.commands.validation,
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
            Command: self.commands.started,
            OptionProbe: self.commands.options,
            Refusals: self.commands.refusals,
            ResolvedArguments: self.sample_runs.arguments,
            Run: self.sample_runs.run,
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
        return self.store.once(_INTERPRETER, lambda: find_interpreter(self.settings.python))

    @property
    def generation(self) -> Generation:
        """By whose servers it is installed; the newest one's where the manifest tells none."""
        manifest = self.manifest
        return manifest.generation if manifest and manifest.generation else NEWEST

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
                _ = self.builds.release
            except HarnessError as error:
                sentence = " ".join(str(error).split())
                raise BadInput(f"{self.spec.text}: {sentence}") from None

    @property
    def has_wheel(self) -> bool:
        """Whether there is a wheel to judge; not where the build or the machine failed.

        Nor where this failed itself: planning goes on, and the verdict on the build tells.
        """
        try:
            return self.builds.release.built.wheel is not None
        except BadInput:
            raise
        except Exception:
            return False

    @cached_property
    def wheel(self) -> Wheel:
        """What the wheel holds. Raises `BadInput` for a file that is no wheel."""
        path = self.builds.release.built.wheel
        assert path is not None, "no rule asks for the wheel of a broken build"
        return self.store.once(_WHEEL, lambda: read_wheel(path))

    @property
    def task_list(self) -> TaskList | None:
        """The file that lists the tasks."""
        return self.manifest

    @cached_property
    def manifest(self) -> Manifest | None:
        """The manifest at the package root, else the first that the server would find."""
        return find_manifest(self.wheel, self.author_files.located) if self.has_wheel else None

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are listed: entries that are objects. None where there is no list."""
        return listed_tasks(self.task_list, self._task)

    def _task(self, **fields: Any) -> Task:
        return PackagedTask(**fields, wheel=self.wheel)

    @property
    def bundle(self) -> Bundle:
        """The wheel beside its source tree."""
        source = self.spec.tree
        manifests = manifests_below(source) if source else ()
        generator = find_generator(self.wheel, self.author_files.located)
        return Bundle(self.wheel, source, manifests, generator)

    @property
    def environment(self) -> Environment:
        """The fresh environment, before anything of the candidate's is in it."""
        place = self.environment_folder
        return self.store.once(ENVIRONMENT, lambda: make_environment(self, place))

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
            lambda: install(self, environment, wheel),
            {"environment": environment, "wheel": wheel},
        )
        self.environment_changes.watch()  # before anything of it is started
        return installation

    @property
    def needed_installation(self) -> Installation | None:
        """What must stand before a command can be started; None where that is nothing."""
        return self.installation

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
        if fact in _NEED_INSTALLATION and self.pixi.alone_installs:
            return NotChecked(INSTALLS_BY_PIXI)
        if fact is GeneratedManifest and self.manifest and self.manifest.generator is None:
            return NotApplicable("the package brings nothing that generates its manifest")
        return None

    @property
    def home(self) -> Path | None:
        """The author's folder; None for a wheel or a requirement."""
        return self.spec.tree

    @cached_property
    def author_files(self) -> AuthorFiles:
        """The files of that folder."""
        return AuthorFiles(self.home)

    @cached_property
    def builds(self) -> Builds:
        """How its wheels come about."""
        return Builds(self)

    @cached_property
    def pixi(self) -> Pixi:
        """What it has through pixi alone."""
        return Pixi(self)

    @cached_property
    def commands(self) -> Commands:
        """Its commands, and what is learnt by starting them."""
        return Commands(self)

    @cached_property
    def between_runs(self) -> BetweenRuns:
        """What is kept of it from one run to the next."""
        return BetweenRuns(self)

    @cached_property
    def sample_runs(self) -> SampleRuns:
        """Its samples, and what came of running them."""
        return SampleRuns(self)

    @cached_property
    def environment_changes(self) -> EnvironmentChanges:
        """What its tasks change in the environment."""
        return EnvironmentChanges(self)

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


_NEED_INSTALLATION: Final = frozenset(
    {Installation, GeneratedManifest, Command, Run, Collection, ServerRun}
)
