"""A build loses the manifest; exactly what the hint says is done; the build has it.

Every case is a small package whose sdist and wheel are really built, by its own backend.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest
from build import ProjectBuilder
from uv import find_uv_bin

from pytest_fractal.environments.indexes import installer_environment
from pytest_fractal.fixes.applying import Plan, plan_changes, write
from pytest_fractal.packaging_hints.backends import (
    Hint,
    packaging_hint,
    packaging_hint_for_module,
)

NAME = "__FRACTAL_MANIFEST__.json"


@dataclass(frozen=True)
class Case:
    """One way of losing a manifest."""

    id: str
    files: dict[str, str]
    says: tuple[str, ...] = ()
    """What the hint must hold, so that the cause is named."""
    folder: str = "my_tasks"
    """Where the manifest lies."""
    git: bool = False
    ignored_by_clone: str = ""
    """What `.git/info/exclude` holds: nobody reads that from the project's files."""
    inside: str = "my_tasks"
    """The package's folder in the wheel."""
    moved_to: str = ""
    whole: bool = False
    """Not the manifest alone is lost, but the package."""
    init: bool = True
    """The package has an `__init__.py`."""


PROJECT = '[project]\nname = "my-tasks"\nversion = "1.0"\ndescription = "Tasks"\n'


def backend(requires: str, module: str) -> str:
    return f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{module}"\n'


SETUPTOOLS = backend("setuptools", "setuptools.build_meta") + PROJECT
HATCHLING = backend("hatchling", "hatchling.build") + PROJECT
POETRY = backend("poetry-core", "poetry.core.masonry.api") + PROJECT
FLIT = backend("flit_core", "flit_core.buildapi") + PROJECT
PDM = backend("pdm-backend", "pdm.backend") + PROJECT
UV = backend("uv_build", "uv_build") + PROJECT
UV_FLAT = UV + '[tool.uv.build-backend]\nmodule-root = ""\n'
CFG = "[metadata]\nname = my-tasks\nversion = 1.0\n[options]\npackages = find:\n"
SRC_CFG = (
    "[metadata]\nname = my-tasks\nversion = 1.0\n[options]\npackages = find:\n"
    "package_dir =\n    = source\n[options.packages.find]\nwhere = source\n"
)
SETUP = """\
from setuptools import setup

setup(
    name="my-tasks",
    version="1.0",
    packages=["my_tasks"],
    {}
)
"""


def toml(text: str, **files: str) -> dict[str, str]:
    return {"pyproject.toml": text, **files}


FIND = "[tool.setuptools.packages.find]\n"
OTHER = {"other/__init__.py": ""}

CASES = [
    # setuptools, where the whole package is lost
    Case(
        "setuptools-package-not-listed",
        toml(SETUPTOOLS + '[tool.setuptools]\npackages = ["other"]\n', **OTHER),
        ("`packages` in [tool.setuptools] of pyproject.toml does not name the package my_tasks",),
        whole=True,
    ),
    Case(
        "setuptools-package-excluded",
        toml(SETUPTOOLS + FIND + 'exclude = ["my_tasks*"]\n', **OTHER),
        ("[tool.setuptools.packages.find]",),
        whole=True,
    ),
    Case(
        "setuptools-package-not-included",
        toml(SETUPTOOLS + FIND + 'include = ["other*"]\n', **OTHER),
        ("does not name the package my_tasks",),
        whole=True,
    ),
    Case(
        "setuptools-no-namespaces",
        toml(SETUPTOOLS + FIND + "namespaces = false\n", **OTHER),
        ("setuptools sees no package in my_tasks", "Create an empty my_tasks/__init__.py"),
        whole=True,
        init=False,
    ),
    Case(
        "setup-cfg-find-without-init",
        {"setup.cfg": CFG, "setup.py": "from setuptools import setup\nsetup()\n"},
        ("setuptools sees no package in my_tasks",),
        whole=True,
        init=False,
    ),
    Case(
        "setup-cfg-package-excluded",
        {
            "setup.cfg": CFG + "[options.packages.find]\nexclude = tests, my_tasks\n",
            "setup.py": "from setuptools import setup\nsetup()\n",
        },
        ("[options.packages.find] of setup.cfg leaves the package my_tasks out",),
        whole=True,
    ),
    # setuptools in pyproject.toml
    Case("setuptools", toml(SETUPTOOLS), ("[tool.setuptools.package-data]",)),
    Case("setuptools-src", toml(SETUPTOOLS), folder="src/my_tasks"),
    Case(
        "setuptools-namespace",
        toml(SETUPTOOLS),
        ('"my.tasks" = ["__FRACTAL_MANIFEST__.json"]',),
        folder="src/my/tasks",
        inside="my/tasks",
    ),
    Case(
        "setuptools-find-where",
        toml(SETUPTOOLS + '[tool.setuptools.packages.find]\nwhere = ["lib"]\n'),
        folder="lib/my_tasks",
    ),
    Case(
        "setuptools-package-dir",
        toml(
            SETUPTOOLS
            + '[tool.setuptools]\npackages = ["my_tasks"]\n'
            + 'package-dir = { my_tasks = "code/py" }\n'
        ),
        folder="code/py",
    ),
    Case(
        "setuptools-table-exists",
        toml(
            SETUPTOOLS
            + '[tool.setuptools.package-data]\n"*" = ["*.csv"]\n\n[tool.other]\nmy_tasks = 1\n'
        ),
        ("add below [tool.setuptools.package-data]",),
    ),
    Case(
        "setuptools-list-exists",
        toml(SETUPTOOLS + "[tool.setuptools.package-data]\nmy_tasks = ['*.csv']\n"),
        ('my_tasks = ["*.csv", "__FRACTAL_MANIFEST__.json"]',),
    ),
    Case(
        "setuptools-long-list-exists",
        toml(
            SETUPTOOLS
            + '[tool.setuptools.package-data]\nmy_tasks = [\n  "*.csv", # tables\n  "*.txt"\n]\n'
        ),
    ),
    Case(
        "setuptools-inline-table",
        toml(SETUPTOOLS + '[tool.setuptools]\npackage-data = { my_tasks = ["*.csv"] }\n'),
    ),
    Case(
        "setuptools-dotted-key",
        toml(SETUPTOOLS + '[tool.setuptools]\npackage-data."*" = ["*.csv"]\n'),
    ),
    Case(
        "setuptools-wrong-package",
        toml(SETUPTOOLS + '[tool.setuptools.package-data]\n"src.my_tasks" = ["*.json"]\n'),
        folder="src/my_tasks",
    ),
    Case(
        "setuptools-include-package-data-false",
        toml(
            SETUPTOOLS + "[tool.setuptools]\ninclude-package-data = false\n",
            **{"MANIFEST.in": "include my_tasks/*.json\n"},
        ),
    ),
    Case(
        "setuptools-exclude-package-data",
        toml(
            SETUPTOOLS
            + '[tool.setuptools.package-data]\n"*" = ["*.json"]\n'
            + '[tool.setuptools.exclude-package-data]\n"*" = ["__FRACTAL*"]\nmy_tasks = ["*.md"]\n'
        ),
        ("leaves it out", "delete"),
    ),
    Case(
        "setuptools-manifest-in-global-exclude",
        toml(
            SETUPTOOLS + '[tool.setuptools.package-data]\nmy_tasks = ["*.json"]\n',
            **{"MANIFEST.in": "include README.md\nglobal-exclude *.json\n"},
        ),
        ("MANIFEST.in takes it out", "delete the line"),
    ),
    Case(
        "setuptools-manifest-in-recursive-exclude",
        toml(
            SETUPTOOLS,
            **{"MANIFEST.in": "recursive-exclude my_tasks *.log *.json\nprune docs\n"},
        ),
        ("recursive-exclude my_tasks *.log",),
    ),
    # setuptools in setup.cfg
    Case("setup-cfg", {"setup.cfg": CFG, "setup.py": "from setuptools import setup\nsetup()\n"}),
    Case(
        "setup-cfg-no-setup-py",
        {"setup.cfg": CFG, "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\n'},
        ("[options.package_data]",),
    ),
    Case(
        "setup-cfg-package-dir",
        toml(backend("setuptools", "setuptools.build_meta"), **{"setup.cfg": SRC_CFG}),
        folder="source/my_tasks",
    ),
    Case(
        "setup-cfg-section-exists",
        toml(
            backend("setuptools", "setuptools.build_meta"),
            **{"setup.cfg": CFG + "[options.package_data]\n* = *.csv\n\n[flake8]\nmax = 1\n"},
        ),
        ("add below [options.package_data]",),
    ),
    Case(
        "setup-cfg-list-exists",
        toml(
            backend("setuptools", "setuptools.build_meta"),
            **{"setup.cfg": CFG + "[options.package_data]\nmy_tasks = *.csv, *.txt\n"},
        ),
        ("my_tasks = *.csv, *.txt, __FRACTAL_MANIFEST__.json",),
    ),
    Case(
        "setup-cfg-long-list-exists",
        toml(
            backend("setuptools", "setuptools.build_meta"),
            **{"setup.cfg": CFG + "[options.package_data]\nmy_tasks =\n    *.csv\n    *.txt\n"},
        ),
    ),
    Case(
        "setup-cfg-excluded",
        toml(
            backend("setuptools", "setuptools.build_meta"),
            **{
                "setup.cfg": CFG
                + "[options.package_data]\n* = *.json\n"
                + "[options.exclude_package_data]\n* =\n    *.md\n    *.json\n"
            },
        ),
        ("[options.exclude_package_data] of setup.cfg leaves it out (*.json)",),
    ),
    Case(
        "setup-cfg-beside-project-table",
        toml(SETUPTOOLS, **{"setup.cfg": "[options.package_data]\nmy_tasks = *.csv\n"}),
        ("setup.cfg",),
    ),
    # setuptools in setup.py
    Case("setup-py", {"setup.py": SETUP.format("")}, ("In setup.py, add below setup(",)),
    Case(
        "setup-py-one-line",
        {
            "setup.py": "from setuptools import setup\n"
            'setup(name="my-tasks", version="1.0", packages=["my_tasks"])\n'
        },
        ("Create setup.cfg with",),
    ),
    Case(
        "setup-py-dict-exists",
        {"setup.py": SETUP.format('package_data={"my_tasks": ["*.csv"]},')},
        ('package_data={"my_tasks": ["__FRACTAL_MANIFEST__.json", "*.csv"]},',),
    ),
    Case(
        "setup-py-other-package",
        {"setup.py": SETUP.format('package_data={"": ["*.csv"]},')},
    ),
    Case(
        "setup-py-long-dict-exists",
        {
            "setup.py": SETUP.format(
                'package_data={\n        "my_tasks": [\n            "*.csv",\n        ],\n    },'
            )
        },
    ),
    Case(
        "setup-py-excluded",
        {
            "setup.py": SETUP.format(
                'package_data={"": ["*.json"]},\n    exclude_package_data={"": ["*.json"]},'
            )
        },
        ("exclude_package_data in setup.py leaves it out",),
    ),
    # hatchling
    Case(
        "hatch-toml",
        toml(HATCHLING, **{"hatch.toml": '[build.targets.wheel]\nexclude = ["*.json"]\n'}),
        ("`exclude` in [build.targets.wheel] of hatch.toml leaves it out",),
    ),
    Case(
        "hatch-toml-about-other-things",
        toml(
            HATCHLING + '[tool.hatch.build.targets.wheel]\nexclude = ["*.json"]\n',
            **{"hatch.toml": "[envs.default]\nskip-install = true\n"},
        ),
        ("of pyproject.toml leaves it out",),
    ),
    Case(
        "hatchling-packages-below",
        toml(
            HATCHLING + '[tool.hatch.build.targets.wheel]\npackages = ["my_tasks/sub"]\n',
            **{"my_tasks/sub/__init__.py": ""},
        ),
        ("does not name my_tasks.",),
        whole=True,
    ),
    Case(
        "hatchling-git-ignored",
        toml(HATCHLING, **{".gitignore": "__pycache__/\n*.json"}),
        (".gitignore ignores it (*.json)", "!__FRACTAL_MANIFEST__.json"),
        git=True,
    ),
    Case(
        "hatchling-wheel-excludes",
        toml(HATCHLING + '[tool.hatch.build.targets.wheel]\nexclude = ["*.md", "*.json"]\n'),
        ("`exclude` in [tool.hatch.build.targets.wheel]",),
    ),
    Case(
        "hatchling-excludes-over-lines",
        toml(
            HATCHLING
            + '[tool.hatch.build]\nexclude = [\n  "/docs",\n  "/src/my_tasks/*.json", # big\n]\n'
        ),
        folder="src/my_tasks",
    ),
    Case(
        "hatchling-both-targets-exclude",
        toml(
            HATCHLING
            + '[tool.hatch.build.targets]\nsdist.exclude = ["*.json"]\n'
            + 'wheel = { exclude = ["__FRACTAL_MANIFEST__.json"] }\n'
        ),
    ),
    Case(
        "hatchling-includes-only-python",
        toml(HATCHLING + '[tool.hatch.build]\ninclude = ["*.py"]\n'),
        ("does not name it", 'include = ["*.py", "my_tasks/__FRACTAL_MANIFEST__.json"]'),
    ),
    Case(
        "hatchling-sdist-only-includes",
        toml(
            HATCHLING
            + '[tool.hatch.build.targets.sdist]\nonly-include = ["src/my_tasks/__init__.py"]\n'
        ),
        folder="src/my_tasks",
    ),
    Case(
        "hatchling-cause-unknown",
        toml(HATCHLING, **{".hgignore": "syntax: glob\n*.json\n"}),
        ("Nothing in the project's files tells why",),
    ),
    Case(
        "hatchling-cause-unknown-src",
        toml(HATCHLING, **{".hgignore": "syntax: glob\n*.json\n"}),
        folder="src/my_tasks",
    ),
    # poetry-core
    Case(
        "poetry-to",
        toml(
            POETRY + '[tool.poetry]\npackages = [{ include = "*.py", from = "lib", '
            'to = "my_tasks" }]\n'
        ),
        folder="lib",
    ),
    Case(
        "poetry-git-ignored",
        toml(POETRY, **{".gitignore": "*.json\n"}),
        (".gitignore ignores it",),
        git=True,
    ),
    Case(
        "poetry-git-ignored-in-folder",
        {**toml(POETRY), "src/my_tasks/.gitignore": "/__FRACTAL*\n"},
        ("src/my_tasks/.gitignore ignores it",),
        folder="src/my_tasks",
        git=True,
    ),
    Case(
        "poetry-ignored-by-the-clone",
        toml(POETRY),
        ("Nothing in the project's files tells why",),
        git=True,
        ignored_by_clone="*.json\n",
    ),
    Case(
        "poetry-ignored-by-the-clone-src",
        toml(POETRY + '[tool.poetry]\ninclude = ["LICENSE"]\n'),
        folder="src/my_tasks",
        git=True,
        ignored_by_clone="*.json\n",
    ),
    Case(
        "poetry-excludes",
        toml(POETRY + '[tool.poetry]\nexclude = ["**/*.json", "docs"]\n'),
        ("`exclude` in [tool.poetry]", 'exclude = ["docs"]'),
    ),
    Case(
        "poetry-packs-only-python",
        toml(POETRY + '[tool.poetry]\npackages = [{ include = "my_tasks/**/*.py" }]\n'),
        ("does not name it",),
    ),
    Case(
        "poetry-packs-only-python-src",
        toml(
            POETRY
            + "[tool.poetry]\npackages = [\n"
            + '    { include = "my_tasks/**/*.py", from = "src" },\n]\n'
        ),
        folder="src/my_tasks",
    ),
    # flit_core
    Case(
        "flit-excludes",
        toml(FLIT + '[tool.flit.sdist]\nexclude = ["my_tasks/*.json"]\n'),
        ("`exclude` in [tool.flit.sdist]", "delete the line"),
    ),
    Case(
        "flit-excludes-over-lines",
        toml(FLIT + '[tool.flit.sdist]\nexclude = [\n    "docs/",\n    "src/**/*.json",\n]\n'),
        folder="src/my_tasks",
    ),
    Case(
        "flit-beside-pyproject",
        toml(FLIT),
        (" to my_tasks/__FRACTAL_MANIFEST__.json",),
        folder="",
        moved_to="my_tasks",
    ),
    # pdm-backend
    Case(
        "pdm-source-includes",
        toml(PDM + '[tool.pdm.build]\nsource-includes = ["my_tasks/*.json"]\n'),
        ("`source-includes` in [tool.pdm.build] of pyproject.toml leaves it out",),
    ),
    Case(
        "pdm-excludes",
        toml(PDM + '[tool.pdm.build]\nexcludes = ["**/*.json"]\n'),
        ("`excludes` in [tool.pdm.build]",),
    ),
    Case(
        "pdm-excludes-src",
        toml(PDM + '[tool.pdm.build]\nexcludes = ["tests", "src/my_tasks/*.json"]\n'),
        folder="src/my_tasks",
    ),
    Case(
        "pdm-includes-only-python",
        toml(PDM + '[tool.pdm]\nbuild = { includes = ["my_tasks/**/*.py"] }\n'),
        ("does not name it",),
    ),
    Case(
        "pdm-includes-over-lines",
        toml(PDM + '[tool.pdm.build]\nincludes = [\n    "src/my_tasks/*.py",\n]\n'),
        folder="src/my_tasks",
    ),
    # uv_build
    Case(
        "uv-wheel-excludes",
        toml(UV_FLAT + 'wheel-exclude = ["*.json"]\n'),
        ("`wheel-exclude` in [tool.uv.build-backend]",),
    ),
    Case(
        "uv-source-excludes",
        toml(UV + '[tool.uv.build-backend]\nsource-exclude = ["/docs", "/src/my_tasks/*.json"]\n'),
        ("`source-exclude` in [tool.uv.build-backend]",),
        folder="src/my_tasks",
    ),
    Case(
        "uv-both-exclude",
        toml(UV_FLAT + f'wheel-exclude = ["{NAME}"]\nsource-exclude = [\n    "{NAME}",\n]\n'),
    ),
    # moved, and then still not packed
    Case(
        "setuptools-beside-pyproject",
        toml(SETUPTOOLS),
        (" to src/my_tasks/__FRACTAL_MANIFEST__.json",),
        folder="",
        moved_to="src/my_tasks",
    ),
]


# Most of a build's time goes into starting Python and importing the backend: this does
# it once, and forks for every hook that `build` calls.
SERVER = """
import json, os, runpy, sys, traceback
from importlib.metadata import entry_points
import setuptools.build_meta, setuptools.config._apply_pyprojecttoml
import setuptools.config._validate_pyproject
import hatchling.build, hatchling.builders.wheel, hatchling.builders.sdist, hatchling.metadata.core
import poetry.core.masonry.api, poetry.core.factory, poetry.core.masonry.builders.sdist
import poetry.core.masonry.builders.wheel
import flit_core.buildapi, pdm.backend, pdm.backend.wheel, pdm.backend.sdist
for command in entry_points(group="distutils.commands"):
    command.load()
for line in sys.stdin:
    log, cwd, argv, environ = json.loads(line)
    child = os.fork()
    if not child:
        status = 1
        try:
            out = os.open(log, os.O_WRONLY | os.O_CREAT)
            os.dup2(out, 1), os.dup2(out, 2)
            os.chdir(cwd)
            os.environ.update(environ)
            sys.argv = argv
            runpy.run_path(argv[0], run_name="__main__")
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Backends:
    """Every build backend, in one environment, so that no build needs one of its own."""

    def __init__(self, folder: Path) -> None:
        uv, env = find_uv_bin(), installer_environment("uv")
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True, env=env)
        self.python = str(folder / "bin" / "python")
        names = ("setuptools", "hatchling", "poetry-core", "flit_core", "pdm-backend", "uv_build")
        subprocess.run(
            [uv, "pip", "install", "-q", "--python", self.python, *names], check=True, env=env
        )
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.server = subprocess.Popen(
            [self.python, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATH": path},
        )

    def run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run one hook; `build` calls this."""
        assert self.server.stdin
        assert self.server.stdout
        _, *argv = cmd
        log = Path(f"{cwd}.log")
        order = json.dumps([str(log), cwd, argv, dict(extra_environ or {})])
        print(order, file=self.server.stdin, flush=True)
        assert self.server.stdout.readline() == "0\n", log.read_text()

    def build(self, tree: Path, scratch: Path) -> tuple[set[str], set[str]]:
        """The files of the sdist, and of the wheel that is built from it, as releases are."""
        shutil.copytree(tree, scratch / "tree")
        sdist = self._project(scratch / "tree").build("sdist", scratch / "sdist")
        with tarfile.open(sdist) as archive:
            archive.extractall(scratch / "unpacked", filter="data")
        (unpacked,) = (scratch / "unpacked").iterdir()
        files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
        wheel = self._project(unpacked).build("wheel", scratch / "wheel")
        return files, set(ZipFile(wheel).namelist())

    def _project(self, folder: Path) -> ProjectBuilder:
        return ProjectBuilder(folder, python_executable=self.python, runner=self.run)


@pytest.fixture(scope="session")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    backends = Backends(tmp_path_factory.mktemp("backends"))
    with backends.server as server:
        yield backends
        assert server.stdin
        server.stdin.close()


def make(tree: Path, case: Case) -> PurePosixPath:
    """Write the package; returns the path of its manifest."""
    package = tree / (case.moved_to or case.folder)
    package.mkdir(parents=True)
    if case.init:
        (package / "__init__.py").write_text('"""Tasks."""\n__version__ = "1.0"\n')
    manifest = PurePosixPath(case.folder, NAME)
    (tree / manifest).write_text("{}")
    for name, text in case.files.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(text)
    if case.git:
        subprocess.run(["git", "init", "-q", tree], check=True)
        (tree / ".git" / "info").mkdir(exist_ok=True)
        (tree / ".git" / "info" / "exclude").write_text(case.ignored_by_clone)
    return manifest


def obey(hint: Hint, tree: Path) -> None:
    """Do what the structured form of the hint says, and nothing else."""
    for addition in hint.additions:
        path = tree / addition.file
        lines = path.read_text().splitlines() if path.exists() else []
        place = len(lines)
        if addition.table is not None:
            place = [line.strip() for line in lines].index(addition.table.strip()) + 1
        lines[place:place] = addition.text.splitlines()
        path.write_text("\n".join(lines) + "\n")
    for file, line in hint.removals:
        lines = (tree / file).read_text().splitlines()
        lines.remove(line)
        (tree / file).write_text("\n".join(lines) + "\n")


def assert_text_says_the_same(hint: Hint) -> None:
    said = hint.text.splitlines()
    for addition in hint.additions:
        block = textwrap.indent(addition.text.strip("\n"), "    ")
        assert block in hint.text
        assert addition.file in hint.text
        if addition.table is not None:
            assert addition.table in hint.text
    for file, line in hint.removals:
        assert "    " + line in said
        assert file in hint.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_the_hint_says_brings_the_manifest_into_the_wheel(
    case: Case, backends: Backends, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    manifest = make(tree, case)
    wanted = f"{case.inside}/{NAME}"
    _, lost = backends.build(tree, tmp_path / "before")
    assert (f"{case.inside}/__init__.py" in lost) is not case.whole
    assert wanted not in lost

    hint = packaging_hint(tree, manifest)
    for words in case.says:
        assert words in hint.text
    assert_text_says_the_same(hint)
    assert hint.additions or hint.removals or case.moved_to
    is_outside = any(file.file.startswith("..") for file in (hint.fix.files if hint.fix else ()))
    assert (hint.fix is None) is bool(case.moved_to)
    plan = Plan() if hint.fix is None or is_outside else plan_changes(tree, [hint.fix])
    assert not plan.left
    if case.moved_to:
        (tree / manifest).rename(tree / case.moved_to / NAME)
    obey(hint, tree)
    # As data, the fix comes to the very same text.
    for change in plan.changes:
        assert (tree / change.file).read_bytes() == change.after

    sdist, wheel = backends.build(tree, tmp_path / "after")
    assert str(PurePosixPath(case.moved_to or case.folder, NAME)) in sdist
    assert wanted in wheel
    assert [path for path in wheel if path.endswith(NAME)] == [wanted]


# --- what takes more than lines, and is done by libraries that keep the format -----------

FORMS = {
    "entries-in-one-line-of-several": toml(
        HATCHLING + '[tool.hatch.build]\nexclude = [  # big\n  "docs", "*.json",\n]\n'
    ),
    "equal-lines": toml(
        HATCHLING
        + "".join(
            f'[tool.hatch.build.targets.{name}]\nexclude = ["*.json", "docs"]\n'
            for name in ("sdist", "wheel")
        )
    ),
    "inline-and-dotted": toml(
        HATCHLING + '[tool.hatch]\nbuild = {exclude = ["*.json"], "dev-mode-dirs" = ["."]}\n'
    ),
    "cfg-several-in-one-line": {
        "setup.cfg": CFG + "[options.packages.find]\nexclude =\n    tests, docs\n    my_tasks\n"
        "[options.package_data]\n# kept\nmy_tasks = *.txt, *.csv\n",
        "setup.py": "from setuptools import setup\nsetup()\n",
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_the_fix_as_data_reaches_what_no_line_shows(
    form: str, backends: Backends, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    manifest = make(tree, Case("", FORMS[form]))
    hint = packaging_hint(tree, manifest)
    assert hint.fix is not None
    plan = plan_changes(tree, [hint.fix])
    assert not plan.left
    for change in plan.changes:
        assert change.before is not None
        kept = [line for line in change.before.splitlines() if b"#" in line]
        assert [line for line in change.after.splitlines() if b"#" in line] == kept
        write(tree, change)
    _, wheel = backends.build(tree, tmp_path / "after")
    assert f"my_tasks/{NAME}" in wheel


# --- what is said where no edit can be given ---------------------------------------------


def hint_for(tree: Path, files: dict[str, str], folder: str = "my_tasks") -> Hint:
    tree.mkdir(exist_ok=True)
    return packaging_hint(tree, make(tree, Case("", files, folder=folder)))


def test_package_data_that_is_computed_is_left_to_the_author(tmp_path: Path) -> None:
    hint = hint_for(tmp_path / "tree", {"setup.py": SETUP.format("package_data=find_data(),")})
    assert not hint.additions
    assert not hint.removals
    assert 'Add "__FRACTAL_MANIFEST__.json" to package_data["my_tasks"] in setup.py.' in hint.text


def test_equal_lines_in_one_file_are_told_in_words_only(tmp_path: Path) -> None:
    """Which of them an edit means could not be known."""
    line = 'exclude = ["*.json", "docs"]\n'
    tables = "".join(f"[tool.hatch.build.targets.{name}]\n{line}" for name in ("sdist", "wheel"))
    hint = hint_for(tmp_path / "tree", toml(HATCHLING + tables))
    assert not hint.additions
    assert not hint.removals
    assert "`exclude` in [tool.hatch.build.targets.sdist]" in hint.text
    assert "`exclude` in [tool.hatch.build.targets.wheel]" in hint.text
    assert hint.text.count('    exclude = ["docs"]') == 2


def test_a_backend_of_the_projects_own_is_known_by_what_it_requires(tmp_path: Path) -> None:
    text = (
        '[build-system]\nrequires = ["hatchling>=1.2"]\nbuild-backend = "ours"\n'
        'backend-path = ["."]\n' + PROJECT + '[tool.hatch.build]\nexclude = ["*.json"]\n'
    )
    hint = hint_for(tmp_path / "tree", toml(text))
    assert hint.removals == (("pyproject.toml", 'exclude = ["*.json"]'),)


def test_a_gitignore_above_the_project_counts(tmp_path: Path) -> None:
    """A project in a folder of a larger repository."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("data/\n*.json\n")
    hint = hint_for(tmp_path / "project", toml(POETRY))
    (addition,) = hint.additions
    assert (addition.file, addition.text) == ("../.gitignore", "!__FRACTAL_MANIFEST__.json")


def test_an_unknown_backend_is_named(tmp_path: Path) -> None:
    text = backend("maturin", "maturin") + PROJECT
    hint = hint_for(tmp_path / "tree", toml(text))
    assert hint.text.startswith("The build backend maturin leaves it out")


@pytest.mark.parametrize("text", [FLIT, PDM, UV])
def test_a_loss_without_a_visible_cause_says_what_the_backend_needs(
    tmp_path: Path, text: str
) -> None:
    hint = hint_for(tmp_path / "tree", toml(text))
    assert "my_tasks" in hint.text
    assert not hint.additions
    assert not hint.removals


@pytest.mark.parametrize("text", ["", "no toml [", SETUPTOOLS + "[tool]\nsetuptools = 1\n"])
def test_files_that_cannot_be_read_do_no_harm(tmp_path: Path, text: str) -> None:
    assert NAME in hint_for(tmp_path / "tree", toml(text)).text


def test_a_module_that_hatchling_leaves_out_gets_the_lines(tmp_path: Path) -> None:
    module = tmp_path / "my_tasks" / "tasks" / "blur.py"
    module.parent.mkdir(parents=True)
    module.touch()
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        '[project]\nname = "my-tasks"\nversion = "1"\n\n'
        '[tool.hatch.build]\ninclude = ["my_tasks/*.py"]\n'
    )
    hint = packaging_hint_for_module(tmp_path, PurePosixPath("my_tasks/tasks/blur.py"))
    assert hint is not None
    assert "my_tasks/tasks/blur.py" in hint.text
    assert "include" in hint.text
