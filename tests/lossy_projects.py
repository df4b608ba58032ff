"""Small projects whose builds lose the manifest, by what loses it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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
        ("""my_tasks = ['*.csv', "__FRACTAL_MANIFEST__.json"]""",),
    ),
    Case(
        "setuptools-comment-beside-list",
        toml(SETUPTOOLS + "[tool.setuptools.package-data]\nmy_tasks = ['*.csv'] # tables\n"),
        (f"""my_tasks = ['*.csv', "{NAME}"] # tables""",),
    ),
    Case(
        "setuptools-comment-beside-inline-table",
        toml(SETUPTOOLS + "[tool.setuptools]\npackage-data = {my_tasks = ['*.csv']} # tables\n"),
        (f"""package-data = {{my_tasks = ['*.csv', "{NAME}"]}} # tables""",),
    ),
    Case(
        "setuptools-list-with-tabs",
        toml(SETUPTOOLS + '[tool.setuptools.package-data]\nmy_tasks = [\n\t"*.csv",\n]\n'),
        (f'    \t"{NAME}",',),
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
        "setuptools-manifest-in-over-lines",
        toml(
            SETUPTOOLS + '[tool.setuptools.package-data]\nmy_tasks = ["*.json"]\n',
            **{"MANIFEST.in": "global-exclude *.pyc \\\n    *.json\nprune docs\n"},
        ),
        ("(global-exclude *.pyc *.json)", f"include my_tasks/{NAME}"),
    ),
    Case(
        "setuptools-manifest-in-comment",
        toml(
            SETUPTOOLS + '[tool.setuptools.package-data]\nmy_tasks = ["*.json"]\n',
            **{
                "MANIFEST.in": "global-exclude\t*.json\t*.pyc # none\n"
                "global-exclude *.json # none\n"
            },
        ),
        (
            "    global-exclude\t*.pyc # none\n",
            "delete the line\n    global-exclude *.json # none",
        ),
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
        "setup-cfg-list-with-tabs",
        toml(
            backend("setuptools", "setuptools.build_meta"),
            **{"setup.cfg": CFG + "[options.package_data]\nmy_tasks =\n\t*.csv\n"},
        ),
        (f"    \t{NAME}",),
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
        "setup-py-tabs",
        {"setup.py": "\ufeff" + SETUP.format("").replace("    ", "\t")},
        (f'add below setup(\n    \tpackage_data={{"my_tasks": ["{NAME}"]}},',),
    ),
    Case(
        "setup-py-comment-beside-call",
        {"setup.py": SETUP.format("").replace("setup(\n", "setup(  # all of it\n")},
        ("In setup.py, add below setup(  # all of it",),
    ),
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
