"""What the steps of the GitHub Action do: `python -I run.py plan|install|check`.

Everything comes in by the environment: `INPUT_*` are the action's inputs, the rest is
GitHub's own (`RUNNER_TEMP`, `GITHUB_OUTPUT`, ...). No value is ever part of a script.
The standard library is all that is there before `install`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shlex
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any, Final

DATA: Final = "report.json"
SUMMARY: Final = "summary.md"
REPORTS: Final = (DATA, SUMMARY, "report.html", "report.sarif", "report.badge.json", "badge.svg")
"""What is written into the folder of reports; the suffix tells the format."""

_USAGE_ERROR: Final = 4
_NOTHING_JUDGED: Final = 5
_SUMMARY_LIMIT: Final = 1_000_000
"""Bytes: GitHub refuses a summary of more than 1 MiB."""
_PROJECT_FILES: Final = ("pyproject.toml", "setup.py", "setup.cfg", "requirements*.txt")
_NAME: Final = re.compile(r"\s*[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")


class Refused(Exception):
    """An input is of no use; the message is one sentence for its author."""


@dataclass(frozen=True)
class Inputs:
    """The action's inputs, read and checked."""

    packages: tuple[str, ...]
    extras: str
    pins: tuple[str, ...]
    select: str
    ignore: str
    strict: bool
    samples: str
    server: str
    version: str
    extra_args: tuple[str, ...]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Inputs:
        """Read them; raises `Refused` for one that cannot be used."""

        def lines(name: str) -> tuple[str, ...]:
            values = (line.strip() for line in environ.get(name, "").splitlines())
            return tuple(value for value in values if value)

        version = environ.get("INPUT_VERSION", "").strip()
        if not re.fullmatch(r"[0-9A-Za-z.!+_-]*", version) or version.startswith("-"):
            raise Refused(f"version: {version!r} is not the version of a release, such as 1.2.0")
        extras = ",".join(lines("INPUT_EXTRAS"))
        if not re.fullmatch(r"[\w.\s,-]*", extras, re.ASCII) or re.search(r"(^|,)\s*-", extras):
            raise Refused(f"extras: {extras!r} are not names of extras, such as gpu,plots")
        try:
            extra_args = shlex.split(environ.get("INPUT_EXTRA_ARGS", ""))
        except ValueError as error:
            raise Refused(f"extra-args: cannot be split into words: {error}") from None
        return cls(
            packages=lines("INPUT_PACKAGE") or (".",),
            extras=extras,
            pins=lines("INPUT_PINS"),
            select=",".join(lines("INPUT_SELECT")),
            ignore=",".join(lines("INPUT_IGNORE")),
            strict=_truth("strict", environ.get("INPUT_STRICT", "")),
            samples=environ.get("INPUT_SAMPLES", "").strip(),
            server=environ.get("INPUT_SERVER", "").strip(),
            version=version,
            extra_args=tuple(extra_args),
        )

    def arguments(self, python: str, folder: Path) -> Iterator[str]:
        """The command line of `pytest-fractal`; reports go into `folder`.

        Each value is one word with its option, so that none can be taken for an option.
        """
        for package in self.packages:
            yield f"--fractal-package={_with_extras(package, self.extras)}"
        yield f"--fractal-python={python}"
        yield from (f"--fractal-pin={pin}" for pin in self.pins)
        for name in ("select", "ignore", "samples"):
            if value := getattr(self, name):
                yield f"--fractal-{name}={value}"
        if self.strict:
            yield "--fractal-strict"
        if self.server.lower() not in ("", "false"):
            yield "--fractal-server" + ("" if self.server.lower() == "true" else f"={self.server}")
        yield from (f"--fractal-report={folder / name}" for name in REPORTS)
        yield f"--junit-xml={folder / 'junit.xml'}"
        yield "--fractal-keep"  # for the wheel; the runner empties its folder itself
        yield from self.extra_args


def _truth(name: str, text: str) -> bool:
    value = text.strip().lower()
    if value not in ("true", "false", ""):
        raise Refused(f"{name}: {text!r} is neither true nor false")
    return value == "true"


def _with_extras(package: str, extras: str) -> str:
    """The PACKAGE argument with the extras, where pip would write them."""
    if not extras:
        return package
    if "[" in package:
        raise Refused(f"extras: the package {package!r} names extras already")
    name = _NAME.match(package)
    if Path(package).exists() or package.endswith(".whl") or "/" in package or name is None:
        return f"{package}[{extras}]"
    return f"{package[: name.end()]}[{extras}]{package[name.end() :]}"


def plan() -> int:
    """Say where the installers keep their downloads, and under which key they are kept."""
    inputs = Inputs.read(os.environ)
    digest = hashlib.sha256()
    for name in ("PACKAGE", "EXTRAS", "PINS", "VERSION"):
        digest.update(os.environ.get(f"INPUT_{name}", "").encode("utf-8", "replace") + b"\0")
    for package in inputs.packages:
        folder = Path(package.partition("[")[0])
        for pattern in _PROJECT_FILES:
            for file in sorted(folder.glob(pattern)) if folder.is_dir() else ():
                digest.update(file.read_bytes() if file.is_file() else b"")
    python = re.sub(r"[^\w.-]", "_", os.environ.get("INPUT_PYTHON_VERSION", ""))[:40]
    prefix = "-".join(
        ("pytest-fractal", os.environ["RUNNER_OS"], os.environ["RUNNER_ARCH"], f"py{python}", "")
    )
    _output(cache=str(_home() / "cache"), prefix=prefix, key=prefix + digest.hexdigest()[:16])
    return 0


def install() -> int:
    """Install the tool into an environment of its own: of this ref, or the release asked for."""
    version = Inputs.read(os.environ).version
    folder_of_action = os.environ["GITHUB_ACTION_PATH"]
    wanted = f"pytest-fractal[server]=={version}" if version else f"{folder_of_action}[server]"
    folder = _home() / f"tool-{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"
    if not (folder / "bin" / "pytest-fractal").is_file():
        venv.create(folder, clear=True, with_pip=True)
        pip = (str(folder / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check")
        finished = subprocess.run([*pip, "install", "--quiet", wanted], env=_environment())
        if finished.returncode:
            raise Refused(f"pip could not install {wanted}; it says why in the log")
    _output(command=str(folder / "bin" / "pytest-fractal"))
    return 0


def check() -> int:
    """Judge; write reports, outputs and the summary whatever the verdict. Returns its status."""
    inputs = Inputs.read(os.environ)
    folder = Path(tempfile.mkdtemp(prefix="judged-", dir=_home()))
    reports, temporary = folder / "reports", folder / "tmp"
    reports.mkdir()
    temporary.mkdir()
    arguments = list(inputs.arguments(os.environ["CANDIDATE_PYTHON"], reports))
    status, said = _run(
        [os.environ["FRACTAL_COMMAND"], *arguments], _environment() | {"TMPDIR": str(temporary)}
    )
    file = reports / DATA
    report = json.loads(file.read_text("utf-8")) if file.is_file() else {"candidates": []}
    candidates = report["candidates"]
    if status == 0 and not candidates:  # extra-args may ask for something else, such as --help
        status, said = _NOTHING_JUDGED, "the arguments asked for something else than a verdict"
    wheels = [_wheel(one, inputs.packages, temporary) for one in candidates]
    if candidates:
        _output(
            report=str(file),
            folder=str(reports),
            wheel="\n".join(wheel for wheel in wheels if wheel),
            artifact=_artifact_name(candidates),
        )
    _output(
        passed="true" if status == 0 else "false",
        **{"failed-rules": ",".join(_failed(candidates, inputs.strict))},
    )
    if not candidates:
        _complain(said)
    elif (summary := reports / SUMMARY).is_file():
        _summarise(summary.read_text("utf-8"))
    return status if status >= 0 else 128 - status


def _run(argv: list[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Run a command that writes into the log; returns its status and what it said of errors."""
    sys.stdout.flush()
    process = subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    said: list[str] = []

    def pass_on() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            said.append(line)

    reader = threading.Thread(target=pass_on)
    reader.start()
    status = process.wait()
    reader.join()
    errors = [line.strip() for line in said if line.startswith("ERROR: ")]
    return status, " ".join(errors).removeprefix("ERROR: ") or "pytest-fractal could not begin"


def _failed(candidates: list[dict[str, Any]], strict: bool) -> list[str]:
    """The codes of the rules that are broken, each once."""
    bad = {"fail", "error"} | ({"warn"} if strict else set())
    verdicts = [verdict for one in candidates for verdict in one["verdicts"]]
    return sorted({verdict["code"] for verdict in verdicts if verdict["outcome"] in bad})


def _wheel(candidate: dict[str, Any], packages: tuple[str, ...], temporary: Path) -> str | None:
    """Where the wheel that was judged lies: as it was given, built, or fetched."""
    name = candidate["wheel"]
    if not name:
        return None
    given = [path for one in packages for path in glob(one.partition("[")[0])]  # noqa: PTH207
    made = [temporary.glob(f"*/package-*/{where}/{name}") for where in ("build/wheel", "download")]
    places = [Path(path) for path in given if Path(path).name == name]
    places += [path for found in made for path in found]
    return str(places[0].resolve()) if places else None


def _artifact_name(candidates: list[dict[str, Any]]) -> str:
    """Unlike any other in this workflow run, for those of one name overwrite each other."""
    words = [word for one in candidates for word in (one["name"], f"py{one['python']}")]
    readable = re.sub(r"[^\w.-]+", "_", "-".join(words), flags=re.ASCII)[:80]
    return f"pytest-fractal-{readable}-{os.environ['RUNNER_OS']}-{secrets.token_hex(3)}"


def _home() -> Path:
    """The action's own folder below that of the job, which the runner empties at its end."""
    folder = Path(os.environ["RUNNER_TEMP"]) / "pytest-fractal"
    folder.mkdir(exist_ok=True)
    return folder


def _environment() -> dict[str, str]:
    """What pip, uv and the tool see: the job's environment, and where downloads are kept."""
    cache = _home() / "cache"
    folders = {
        "UV_CACHE_DIR": str(cache / "uv"),
        "PIP_CACHE_DIR": str(cache / "pip"),
        "XDG_CACHE_HOME": str(cache),
    }
    job = {name: value for name, value in os.environ.items() if not name.startswith("INPUT_")}
    return folders | job


def _output(**values: str) -> None:
    """Set outputs of the step; a delimiter that nobody can foresee keeps each value whole."""
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        for name, value in values.items():
            end = f"end-{secrets.token_hex(16)}"
            file.write(f"{name}<<{end}\n{value}\n{end}\n")


def _summarise(markdown: str) -> None:
    """Append to the summary of the job."""
    data = markdown.encode("utf-8")
    if len(data) > _SUMMARY_LIMIT:
        data = data[:_SUMMARY_LIMIT].rpartition(b"\n")[0] + b"\n\nCut here: too long for GitHub.\n"
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("ab") as file:
        file.write(data + b"\n")


def _complain(sentence: str) -> None:
    """Tell why nothing was judged, where it is seen first: as annotation and as summary."""
    line = " ".join(sentence.split())
    print("::error title=pytest-fractal::" + line.replace("%", "%25"), flush=True)
    code = line.replace("`", "'")
    _summarise(f"### pytest-fractal has judged nothing\n\n`{code}`\n")


def _start_anew() -> None:
    """Start this script again, by `exec`, with an environment that holds nothing.

    Whatever it is started with can be read by all processes of the same user, as long as it
    runs, and so by the package that is judged. Back in the second start, the job's variables
    come from a file without a name.
    """
    if (handed := os.environ.get(_HANDED_OVER)) is not None:
        with os.fdopen(int(handed), encoding="utf-8") as file:
            os.environ.update(json.load(file))
        del os.environ[_HANDED_OVER]
        return
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        json.dump(dict(os.environ), file)
        file.seek(0)
        os.set_inheritable(file.fileno(), True)
        argv = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, argv, {_HANDED_OVER: str(file.fileno())})


_HANDED_OVER: Final = "PYTEST_FRACTAL_JOB"

STEPS: Final = {"plan": plan, "install": install, "check": check}


def main() -> int:
    """Run the step that the command line names; returns the exit status."""
    _start_anew()
    try:
        return STEPS[sys.argv[1]]()
    except Refused as error:
        print(f"ERROR: {error}", file=sys.stderr)
        _complain(str(error))
        return _USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
