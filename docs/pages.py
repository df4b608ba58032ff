"""The pages of the site that follow from the code: one a rule, their index, the servers.

They are made when the site is built (docs/build_site.py) and lie in no repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final

import kept_findings

from pytest_fractal.report.text import verdict_text
from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.rules.observed import Observation, observations
from pytest_fractal.rules.registry import GROUPS
from pytest_fractal.verdicts import Finding, Outcome, Severity, Verdict

_BARE_ADDRESS: Final = re.compile(r"(?<!<)https?://[^ >]+")
_AROUND: Final = 5
"""How many lines of a file are shown before and after the one that is meant."""
_WHOLE: Final = 70
"""A file of no more lines than these is shown whole."""


def generated() -> Mapping[str, str]:
    """The pages by their path in the site's sources."""
    return {
        "rules.md": "\n".join(_index()) + "\n",
        "observed.md": "\n".join(_observed()) + "\n",
        **{f"rules/{rule.code}.md": rule_page(rule) for rule in REGISTRY.values()},
    }


def _grouped() -> Iterator[tuple[str, list[Rule]]]:
    for prefix, rules in groupby(REGISTRY.values(), lambda rule: rule.group):
        yield prefix, list(rules)


def _index() -> Iterator[str]:
    yield "# The rules\n"
    yield "An error (E) fails. A warning (W) only fails under `--fractal-strict`."
    for prefix, rules in _grouped():
        yield f"\n## {prefix}: {GROUPS[prefix]}\n"
        yield "| code | name | | requires that |"
        yield "|---|---|---|---|"
        for rule in rules:
            letter = rule.severity.letter
            yield f"| {_link(rule.code)} | {rule.name} | {letter} | {rule.title} |"
    yield "\n```{toctree}\n:hidden:\n"
    yield from (f"{rule.code} {rule.name} <rules/{rule.code}>" for rule in REGISTRY.values())
    yield "```"


def _link(code: str, folder: str = "rules/") -> str:
    return f"[{code}]({folder}{code}.md)"


def rule_page(rule: Rule) -> str:
    """All that is known of a rule, as a page."""
    return "\n".join(_rule_lines(rule)) + "\n"


def _rule_lines(rule: Rule) -> Iterator[str]:
    folder = kept_findings.example(rule.code)
    findings = kept_findings.kept(rule.code)
    yield f"# {rule.code} {rule.name}\n"
    yield f"**{rule.title}**\n"
    strict = ": it fails under `--fractal-strict`" if rule.severity is Severity.WARNING else ""
    yield f"Severity: {rule.severity.value}{strict}.\n"
    yield f"{rule.rationale}\n"
    yield f"For instance:\n\n```text\n{rule.example}\n```\n"
    yield "## An example\n"
    yield f"{about(folder)} (`bad_packages/{folder.name}`)\n"
    yield from _excerpt(folder, findings)
    yield "pytest-fractal says of it:\n"
    outcome = {
        Severity.ERROR: Outcome.FAIL,
        Severity.WARNING: Outcome.WARN,
        Severity.NOTE: Outcome.PASS,
    }[rule.severity]
    sayings = _verdicts(rule, outcome, findings)
    yield f"```text\n{sayings}\n```\n"
    yield "## To fix it\n"
    yield f"{rule.fix}\n"
    yield "## What the real server does\n"
    yield from observed_lines(observations().get(rule.code, ()))
    yield "## Source\n"
    yield from ("- " + _BARE_ADDRESS.sub(r"<\g<0>>", cite) for cite in rule.cite)
    yield "\n## Beside other rules\n"
    yield from _relatives(rule)
    others = [package for package in _bad_packages(rule.code) if package != folder]
    if others:
        yield "## Other ways to break it\n"
        yield from (f"- {about(other)} (`{other.name}`)" for other in others)


def about(folder: Path) -> str:
    """What is wrong with a bad package: the comment at the head of its expected.toml."""
    lines = (folder / "expected.toml").read_text("utf-8").splitlines()
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    return " ".join(comment)


def _bad_packages(code: str) -> list[Path]:
    return sorted((kept_findings.ROOT / "bad_packages").glob(f"{code}_*"))


def _verdicts(rule: Rule, outcome: Outcome, findings: tuple[Finding, ...]) -> str:
    """What the terminal shows of them."""
    verdict = Verdict(rule.code, rule.name, findings[0].task, outcome, findings)
    return verdict_text(verdict)


def _excerpt(folder: Path, findings: tuple[Finding, ...]) -> Iterator[str]:
    """The lines of the package that a reader should see to understand the finding."""
    shown = _places(folder, findings)
    for file, line in shown:
        name = file.relative_to(folder).as_posix()
        lines = file.read_text("utf-8", "replace").splitlines()
        first, last = 1, len(lines)
        if line is not None and len(lines) > _WHOLE // 2:
            first, last = max(1, line - _AROUND), min(len(lines), line + _AROUND)
        elif len(lines) > _WHOLE:
            continue
        text = "\n".join(lines[first - 1 : last])
        language = {".json": "json", ".py": "python", ".toml": "toml"}.get(file.suffix, "text")
        fence = "`" * (4 if "```" in text else 3)
        yield f"{fence}{{code-block}} {language}"
        yield f":caption: '`{name}`'"
        yield ":force:"  # what is broken may be its syntax
        if line is not None:
            yield f":lineno-start: {first}"
            yield f":emphasize-lines: {line - first + 1}"
        yield f"\n{text}\n{fence}\n"


def _places(folder: Path, findings: tuple[Finding, ...]) -> list[tuple[Path, int | None]]:
    """Where to look: at the line of the finding, else at the task's script or the project.

    A finding of a run has the line of its sample; the cause lies in the script.
    """
    for found in findings:
        if found.file and found.line and not found.file.startswith("fractal_samples/"):
            for file in sorted(folder.rglob(Path(found.file).name)):
                if file.is_file() and file.as_posix().endswith(found.file):
                    return [(file, found.line)]
    script = next((_script(folder, finding.task) for finding in findings if finding.task), None)
    project = [folder / name for name in ("pyproject.toml", "setup.cfg", "setup.py")]
    return [(file, None) for file in ([script] if script else project) if file.is_file()]


def _script(folder: Path, task: str) -> Path | None:
    """The executable of a task, where the manifest tells."""
    for manifest in folder.rglob("__FRACTAL_MANIFEST__.json"):
        try:
            entries = json.loads(manifest.read_text("utf-8"))["task_list"]
            for entry in entries:
                if entry["name"].lower().replace(" ", "_") == task:
                    executables = [entry[key] for key in entry if key.startswith("executable")]
                    return manifest.parent / str(executables[0])
        except (ValueError, KeyError, TypeError, IndexError):
            continue
    return None


def observed_lines(seen: tuple[Observation, ...]) -> Iterator[str]:
    """What servers did, as a table."""
    if not seen:
        yield "Nothing was observed beyond what is said above.\n"
        return
    yield "| fractal-server | given | does |"
    yield "|---|---|---|"
    yield from (
        f"| {observation.server} | {observation.package} | {observation.reaction} |"
        for observation in seen
    )
    yield ""


def _relatives(rule: Rule) -> Iterator[str]:
    if rule.needs:
        yield f"Needs {_listed(rule.needs)}: while one of them is broken, this one is blocked.\n"
    needed = tuple(needing.code for needing in REGISTRY.values() if rule.code in needing.needs)
    if needed:
        yield f"While this one is broken, it blocks {_listed(needed)}.\n"
    yield f"`--fractal-select={rule.code}` judges this one alone. To do without it, say why:\n"
    yield "```toml\n[tool.pytest.ini_options]"
    yield f'fractal_ignore = ["{rule.code}: why"]\n```\n'


def _listed(codes: tuple[str, ...]) -> str:
    return ", ".join(_link(code, "") for code in codes)


def _observed() -> Iterator[str]:
    yield "# What real servers do\n"
    yield "Where the specification is silent, the server decides. It was run on packages made for"
    yield "the purpose: fractal-server 1.4.10 for manifest version 1, 2.18.5 and 2.24.2 for"
    yield "version 2. Where these differ, see [Which servers take a package](servers.md)."
    for prefix, rules in _grouped():
        seen = [
            (rule, observation)
            for rule in rules
            for observation in observations().get(rule.code, ())
        ]
        if seen:
            yield f"\n## {GROUPS[prefix]}\n"
            yield "| rule | fractal-server | given | does |"
            yield "|---|---|---|---|"
            yield from (
                f"| {_link(rule.code)} | {seen_there.server} | {seen_there.package} | "
                f"{seen_there.reaction} |"
                for rule, seen_there in seen
            )
