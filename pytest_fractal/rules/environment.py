"""FR409: a task leaves its environment as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from pytest_fractal.environments.snapshots import Change, ChangeKind
from pytest_fractal.facts import EnvironmentUse
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.samples.runs import Run
from pytest_fractal.verdicts import Finding, Severity

_CODE: Final = frozenset({".py", ".pyc", ".pth", ".so", ".pyd", ".dylib", ".egg-link"})


@rule(
    "FR409",
    "leaves-environment-alone",
    needs=("FR303", "FR205"),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Write results to the paths that the task is given, caches below the user's home.",
    example='Path(__file__).with_name("cache.json").write_text(...) in a task.',
)
def leaves_environment_alone(_run: Run, use: EnvironmentUse) -> Iterator[Finding]:
    """A task changes nothing in the environment that it is installed in.

    The server makes one environment a package, which all its tasks, jobs and users share:
    what one task changes there, every later job runs. On a cluster the jobs run as other
    users than the one that owns the environment, and such a task fails. Bytecode
    (`__pycache__`) is no such change. A new file that is no code is a warning.
    """
    harmless = [change for change in use.changes if _is_harmless(change)]
    harmful = [change for change in use.changes if not _is_harmless(change)]
    for changes, severity in ((harmful, None), (harmless, Severity.WARNING)):
        if changes:
            yield Finding(
                expected="the environment as it was installed",
                found="; ".join(
                    f"{kind}: {_listed([it.path for it in changes if it.kind is kind])}"
                    for kind in ChangeKind
                    if any(change.kind is kind for change in changes)
                ),
                hint="write results below the paths that the task is given, temporary files by "
                "`tempfile`, and caches below the home of the user (`platformdirs`)",
                file=use.script,
                severity=severity,
            )


def _is_harmless(change: Change) -> bool:
    path = PurePosixPath(change.path)
    return (
        change.kind is ChangeKind.ADDED and path.suffix not in _CODE and path.parts[:1] != ("bin",)
    )


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(sorted(paths)[:3]) + more
