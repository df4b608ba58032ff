"""What a rule is: a small declaration around one function over typed facts."""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pytest_fractal.errors import BadInput
from pytest_fractal.facts import ClusterAnswer
from pytest_fractal.rules.subjects import OF_SERVERS, SCOPES, Scope
from pytest_fractal.verdicts import Finding, Severity, Skipped

if TYPE_CHECKING:
    from pytest_fractal.samples.files import Sample

DOCUMENTATION: Final = "https://fractal-analytics-platform.github.io/pytest-fractal/"
"""Where the documentation is published; each rule has a page there."""

_DECIDE_COLLECTION: Final = ("FR0", "FR1", "FR201")

GROUPS: Final = {
    "FR0": "The package",
    "FR1": "The manifest",
    "FR2": "The JSON Schemas",
    "FR3": "The command",
    "FR4": "Runs and what they write",
    "FR9": "A real server, and a cluster",
}
"""What rules are about, by how their codes begin."""

Judge = Callable[..., "Iterator[Finding] | Iterator[Finding | Note]"]


class Note(str):
    """What a rule says although it holds; yielded beside findings, shown as the reason."""


@dataclass(frozen=True)
class Rule:
    """One requirement on a task package."""

    code: str
    """Stable, such as `FR102`; part of the user interface."""
    name: str
    """Stable, such as `manifest-at-package-root`; part of the user interface."""
    title: str
    """What the rule requires, in one line."""
    rationale: str
    """Why: what Fractal does with a package that breaks the rule."""
    severity: Severity
    cite: tuple[str, ...]
    """Where the requirement is written down or was observed."""
    fix: str
    """How a package is fixed, in general; each finding says it for its own place."""
    example: str
    """A breach in a line or two."""
    subjects: tuple[type[Any], ...]
    """The types of the facts that `judge` takes."""
    judge: Judge
    find_needs: Callable[[], tuple[str, ...]]
    """Gives `needs`. Called when all rules are declared: a rule may need each of a kind."""
    skip_reason: Callable[[Sample], Skipped | None] = lambda _: None
    """Why the rule says nothing of this sample, whatever else is broken; None when it does."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The codes of the rules that must hold before this one can be judged."""
        return self.find_needs()

    @cached_property
    def scope(self) -> Scope:
        """What there is one verdict for: the package, each task, or each sample of each task."""
        scopes = {SCOPES[subject] for subject in self.subjects}
        if Scope.SAMPLE in scopes:
            return Scope.SAMPLE
        return Scope.TASK if scopes & {Scope.TASK, Scope.PART} else Scope.PACKAGE

    @property
    def group(self) -> str:
        """How the codes of its group begin: a key of `GROUPS`."""
        return self.code[:3]

    @property
    def page(self) -> str:
        """The address of its page in the documentation."""
        return f"{DOCUMENTATION}rules/{self.code}/"

    @property
    def decides_collection(self) -> bool:
        """Whether a package that breaks it is not collected by the server, or not as it should.

        These are the errors about the package and its manifest, and that of missing schemas.
        """
        return self.severity is Severity.ERROR and self.code.startswith(_DECIDE_COLLECTION)

    @cached_property
    def asks_server(self) -> bool:
        """Whether it judges what a real server does, which only runs where it is asked for."""
        return not OF_SERVERS.isdisjoint(self.subjects)

    @property
    def asks_cluster(self) -> bool:
        """Whether it judges what a cluster says, which only runs where commands run on one."""
        return ClusterAnswer in self.subjects


REGISTRY: Final[dict[str, Rule]] = {}
"""All rules by their code, in the order of the specification."""


Need = str | Callable[[Rule], bool]
"""The code of a rule that is needed, or what is asked of each: whether it is needed."""


def rule(
    code: str,
    name: str,
    *,
    severity: Severity = Severity.ERROR,
    needs: tuple[Need, ...] = (),
    cite: tuple[str, ...],
    fix: str,
    example: str,
    skip_reason: Callable[[Sample], Skipped | None] = lambda _: None,
    registry: dict[str, Rule] = REGISTRY,
) -> Callable[[Judge], Judge]:
    """Declare the decorated function a rule.

    The function takes facts, chosen by the types of its parameters, and yields a
    `Finding` for each breach; none means that the rule holds. The first line of its
    docstring is the rule's title, the rest its rationale. The rule is added to `registry`.
    """

    def find_needs() -> tuple[str, ...]:
        codes: list[str] = []
        for need in needs:
            codes += (
                [need]
                if isinstance(need, str)
                else [known.code for known in registry.values() if need(known)]
            )
        return tuple(codes)

    def declare(judge: Judge) -> Judge:
        title, _, rationale = inspect.cleandoc(judge.__doc__ or "").partition("\n")
        if code in registry or any(known.name == name for known in registry.values()):
            raise ValueError(f"two rules are called {code} or {name}")
        hints = typing.get_type_hints(judge)
        hints.pop("return", None)
        registry[code] = Rule(
            code=code,
            name=name,
            title=title.strip(),
            rationale=_explained(re.sub(r"(?<!\n)\n(?!\n)", " ", rationale.strip())),
            severity=severity,
            cite=cite,
            fix=fix,
            example=example,
            subjects=tuple(hints.values()),
            judge=judge,
            find_needs=find_needs,
            skip_reason=skip_reason,
        )
        return judge

    return declare


def _explained(rationale: str) -> str:
    """The text with each generation explained where it first appears."""
    for version in ("1", "2"):
        explained = (
            f"generation {version} (manifest version {version}, fractal-server {version}.x)"
        )
        rationale = re.sub(rf"generation {version}\b", explained, rationale, count=1)
    return rationale


def look_up(text: str) -> Rule:
    """The rule with this code or name. Raises `BadInput`, which tells those that are like it."""
    wanted = text.strip().lower()
    for known in REGISTRY.values():
        if wanted in (known.code.lower(), known.name):
            return known
    raise no_such_rule(text.strip())


def no_such_rule(text: str) -> BadInput:
    """What to say to a person who typed what is the code or the name of no rule."""
    wanted = text.strip().lower().replace("_", "-").replace(" ", "-")
    names = {name.lower(): rule for rule in REGISTRY.values() for name in (rule.code, rule.name)}
    near = [rule for name, rule in names.items() if wanted and name.startswith(wanted)]
    near += [names[name] for name in difflib.get_close_matches(wanted, names, 4, 0.6)]
    if len(wanted) > 3:
        near += [rule for rule in REGISTRY.values() if wanted in rule.name]
    listed = ", ".join(dict.fromkeys(f"{rule.code} {rule.name}" for rule in near))
    meant = f"did you mean {listed}? " if listed else ""
    return BadInput(
        f"{text}: no rule has this code or name; {meant}--fractal-rules lists them all"
    )
