"""What a candidate, its build and its dependencies can find of the caller's secrets: nothing."""

from __future__ import annotations

import base64
import ensurepip
import io
import json
import os
import secrets
import shutil
import sys
import sysconfig
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran, Runner
from wheel_factory import TASK_SOURCE, good_manifest

from pytest_fractal.processes import sandbox
from pytest_fractal.processes.sandbox import check_mode

needs_walls = pytest.mark.skipif(
    bool(sandbox._obstacle()), reason=f"no walls: {sandbox._obstacle()}"
)

SPY = '''
import glob, os

WORD = "".join({letters!r})
PLACES = {places!r}

def seen():
    """The variables, and where the secret is found."""
    found = [name for name, value in os.environ.items() if WORD in value]
    for path in [*PLACES, *glob.glob("/proc/[0-9]*/environ"), *glob.glob("/proc/[0-9]*/cmdline")]:
        try:
            with open(path, "rb") as file:
                if WORD.encode() in file.read():
                    found.append(path)
        except OSError:
            pass
    return {{"variables": sorted(os.environ), "found": found}}
'''
"""Looks into the environment, into files, and at other processes."""

BACKEND = r"""
import io, json, os, tarfile, zipfile
from spy import seen

NAME, FILES, METADATA = {name!r}, {files!r}, {metadata!r}

def build_sdist(folder, config_settings=None):
    with tarfile.open(os.path.join(folder, NAME + "-1.0.tar.gz"), "w:gz") as archive:
        archive.add(".", NAME + "-1.0")
    return NAME + "-1.0.tar.gz"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    wheel = NAME + "-1.0-py3-none-any.whl"
    info = NAME + "-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as archive:
        for path, text in FILES.items():
            archive.writestr(NAME + "/" + path, text)
        archive.writestr(NAME + "/built.json", json.dumps(seen()))
        archive.writestr(info + "METADATA", METADATA)
        tags = "Root-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\n" + tags)
        names = [*archive.namelist(), info + "RECORD"]
        archive.writestr(info + "RECORD", "".join(name + ",,\n" for name in names))
    return wheel
"""
"""A build backend that lies in the source tree, and puts into the wheel what it has seen."""

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "1.0"
"""


def tree(name: str, files: Mapping[str, str], spy: str, requires: str = "") -> dict[str, str]:
    """The files of a source tree."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"
    return {
        "pyproject.toml": PYPROJECT.format(name=name),
        "backend.py": BACKEND.format(name=name, files=dict(files), metadata=metadata),
        "spy.py": spy,
        "PKG-INFO": metadata,
    }


class Index(SimpleHTTPRequestHandler):
    """A package index that wants a login."""

    login = ""

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Basic {self.login}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            return
        super().do_GET()


@dataclass(frozen=True)
class Planted:
    """A candidate, and a user with secrets everywhere."""

    word: str
    package: Path
    index: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the user."""
        paths = os.pathsep.join(
            word for word in os.environ["PATH"].split(os.pathsep) if not word.startswith("/root")
        )
        return {
            "PATH": paths,
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self.index,
            "HTTPS_PROXY": f"http://me:{self.word}@127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
            "GITHUB_ACTIONS": "true",
            "SETUPTOOLS_SCM_PRETEND_VERSION": "1.0",
            **{
                name: f"{self.word}-{name}"
                for name in (
                    *("GITHUB_TOKEN", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT"),
                    *("GITHUB_STEP_SUMMARY", "ACTIONS_RUNTIME_TOKEN", "AWS_SECRET_ACCESS_KEY"),
                    *("SSH_AUTH_SOCK", "UV_PUBLISH_TOKEN", "TWINE_PASSWORD", "PGPASSWORD"),
                    *("GIT_ASKPASS", "DOCKER_AUTH_CONFIG", "SOME_PASSWORD", "PYTHONSTARTUP"),
                )
            },
        }


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    word = f"hush{secrets.token_hex(8)}"
    home = tmp_path / "home"
    places = [
        home / name
        for name in (
            *(".netrc", ".pypirc", ".ssh/id_ed25519", ".aws/credentials", ".git-credentials"),
            *(".config/pip/pip.conf", ".config/gh/hosts.yml", "notes.txt"),
        )
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"# {word}\n")
    spy = SPY.format(letters=list(word), places=[str(place) for place in places])
    task = "import json\nfrom demo_secrets.spy import seen\n" + TASK_SOURCE.partition('"""\n')[2]
    task = task.replace("from __future__", "#").replace(
        "    options = parser",
        '    open("seen.json", "w").write(json.dumps(seen()))\n'
        '    __import__("sys").stderr.write(str(dict(__import__("os").environ)))\n'
        "    options = parser",
    )
    manifest = good_manifest()
    files = {"__init__.py": "", "spy.py": spy, "task.py": task}
    files["__FRACTAL_MANIFEST__.json"] = json.dumps(manifest)
    package = tmp_path / "work" / "package"
    package.mkdir(parents=True)
    own = tree("demo_secrets", files, spy, "Requires-Dist: fractal-tiny\n")
    for name, text in own.items():
        (package / name).write_text(text)
    served = tmp_path / "served" / "fractal-tiny"
    served.mkdir(parents=True)
    with tarfile.open(served / "fractal_tiny-1.0.tar.gz", "w:gz") as archive:
        for name, text in tree("fractal_tiny", {"__init__.py": ""}, spy).items():
            entry = tarfile.TarInfo(f"fractal_tiny-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    own_wheels = Path(ensurepip.__file__).parent / "_bundled"
    # Debian and Fedora keep them elsewhere.
    for bundled in Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or own_wheels).glob("*.whl"):
        # What fresh environments are given, or are upgraded to.
        place = served.parent / bundled.name.partition("-")[0]
        place.mkdir()
        shutil.copy(bundled, place)
        (place / "index.html").write_text(f'<!DOCTYPE html><a href="{bundled.name}">x</a>')
    (served / "index.html").write_text('<!DOCTYPE html><a href="fractal_tiny-1.0.tar.gz">x</a>')
    login = base64.b64encode(f"me:{word}".encode()).decode()
    handler = partial(type("Own", (Index,), {"login": login}), directory=served.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        index = f"http://me:{word}@127.0.0.1:{server.server_port}/"
        yield Planted(word, package, index, home)
        server.shutdown()
        thread.join()


def judge(runner: Runner, planted: Planted, *arguments: str) -> Ran:
    """Run the hermetic command as this user."""
    script = Path(sys.executable).with_name("pytest-fractal")
    given = planted.environment
    argv: list[str | Path] = [script, planted.package, "-v", "-rA", "--fractal-keep", *arguments]
    argv.append(f"--fractal-database=postgresql://me:{planted.word}@localhost/x")
    argv += [f"--fractal-report=r.{suffix}" for suffix in ("json", "html", "md", "sarif")]
    argv.append("--junit-xml=junit.xml")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        process = runner.start(*argv, cwd=None, **given)
    return runner.finish(process)


OWN = {"PATH", "LANG", "HOME", "TMPDIR", "PYTEST_FRACTAL_RUN"}
SETTINGS = {"uv": {"UV_CACHE_DIR"}, "pip": {"PIP_CACHE_DIR", "PIP_CONFIG_FILE"}}
SET_BY_INSTALLERS = {
    *("UV", "UV_INTERNAL__BUILD_DIR", "UV_LINK_MODE", "VIRTUAL_ENV", "PYTHONIOENCODING"),
    *("PEP517_BACKEND_PATH", "PEP517_BUILD_BACKEND", "PIP_BUILD_TRACKER", "PIP_NO_INPUT"),
    *("PIP_DISABLE_PIP_VERSION_CHECK", "PYTHONNOUSERSITE", "PYTHONPATH"),
    *("_PYPROJECT_HOOKS_BUILD_BACKEND", "_PYPROJECT_HOOKS_BACKEND_PATH_JSON"),
}
HOOKS = {"GIT_CEILING_DIRECTORIES"}
"""What a build of the candidate's own gets besides."""


@pytest.mark.parametrize(
    ("walls", "installer", "rules"),
    [
        ("off", "uv", "FR"),
        pytest.param("required", "uv", "FR", marks=needs_walls),
        ("off", "pip", "FR301"),
    ],
)
def test_no_secret_is_found_anywhere(
    runner: Runner, planted: Planted, walls: str, installer: str, rules: str
) -> None:
    ran = judge(
        runner,
        planted,
        f"--fractal-sandbox={walls}",
        f"--fractal-installer={installer}",
        f"--fractal-select={rules}",
    )
    assert ran.status == 0, ran.text
    (kept,) = runner.temporary.glob("pytest-fractal-*")
    (built,) = kept.glob("package-0/environment/lib/*/site-packages/demo_secrets/built.json")
    (installed,) = kept.glob("package-0/environment/lib/*/site-packages/fractal_tiny/built.json")
    started = list(kept.glob("package-0/**/seen.json"))
    assert started
    for path in (built, installed, *started):
        reported = json.loads(path.read_text())
        in_home = [
            finding for finding in reported["found"] if finding.startswith(str(planted.home))
        ]
        assert reported["found"] == in_home, path
        # Where there are no walls, who knows the path of a file can read it.
        assert bool(in_home) == (walls == "off")
    extra = {"PWD"} if walls == "required" else set()
    assert set(json.loads(built.read_text())["variables"]) == (
        OWN | HOOKS | extra | {"SETUPTOOLS_SCM_PRETEND_VERSION", "NO_PROXY"}
    )
    for path in started:
        assert set(json.loads(path.read_text())["variables"]) == OWN | extra
    seen = set(json.loads(installed.read_text())["variables"])
    assert seen - SET_BY_INSTALLERS == (
        OWN | extra | {"SETUPTOOLS_SCM_PRETEND_VERSION", "NO_PROXY"} | SETTINGS[installer]
    )
    everything = [*kept.rglob("*"), *runner.folder.rglob("*")]
    for path in everything:
        inside = path.relative_to(path.anchor).parts
        if path.is_file() and "spy.py" not in inside:
            assert planted.word.encode() not in path.read_bytes(), path
    assert planted.word not in ran.text
    shutil.rmtree(kept)


def test_required_walls_that_cannot_stand_are_one_sentence(
    runner: Runner, good_wheel: Path, tmp_path: Path
) -> None:
    ran = runner.hermetic(good_wheel, "--fractal-sandbox=required", PATH="/nowhere")
    assert ran.status == 4, ran.text
    assert ran.err.strip().startswith("ERROR: --fractal-sandbox=required: bubblewrap ")
    assert len(ran.err.strip().splitlines()) == 1


def test_walls_are_of_three_kinds(pytester: pytest.Pytester, good_wheel: Path) -> None:
    ran = pytester.runpytest_inprocess(f"--fractal-package={good_wheel}", "--fractal-sandbox=none")
    assert (ran.ret, len(ran.stderr.str().strip().splitlines())) == (4, 1)
    with pytest.raises(Exception, match="auto, required, off"):
        check_mode("none")
