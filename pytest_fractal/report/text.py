"""What a person reads in a terminal: failures, summaries, and the rules themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from pytest_fractal.fixes.applying import Plan
from pytest_fractal.fixes.lines import patch_lines
from pytest_fractal.fixes.model import Fix
from pytest_fractal.report.conclusion import conclusion
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.report.overview import pluralize, title
from pytest_fractal.report.problems import Problem, problems
from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.verdicts import Finding, Outcome, Status, Verdict, first_names

WIDTH: Final = 96
_SUBJECTS: Final = 8
"""How many tasks of one problem are listed."""
_NAME: Final = 48
"""Characters of a task's name in a line of the summary."""
_PATCH: Final = 12
"""How many lines of a fix are shown."""
_PLACES: Final = 3
"""How many places."""


class Line(NamedTuple):
    """A line for the terminal, with the markup that pytest's writer takes."""

    text: str
    markup: Mapping[str, bool] = {}


_BAD: Final = {"red": True, "bold": True}
_WARNED: Final = {"yellow": True, "bold": True}
_GOOD: Final = {"green": True, "bold": True}
_FIX: Final = {"green": True}
_DIM: Final = {"light": True}


def verdict_text(verdict: Verdict) -> str:
    """A verdict that is not good, with all that it takes to fix the package."""
    rule = REGISTRY[verdict.code]
    lines = [_short_heading(verdict)]
    if verdict.reason:
        lines += ["", f"  {verdict.reason}"]
    for blocker in verdict.blockers:
        found = blocker.findings[0] if blocker.findings else None
        about = [heading(blocker, found), *verdict_text(blocker).splitlines()[1:]]
        lines += ["", *textwrap.indent("\n".join(about), "  ").splitlines()]
    for found in verdict.findings:
        lines += ["", *(line.text for line in _finding_lines(found, WIDTH))]
    if verdict.findings:
        lines += ["", *_rule_lines(rule, WIDTH, "pytest")]
    return "\n".join(lines)


def _short_heading(verdict: Verdict) -> str:
    """For where rule and task stand already: `FR301: No module named 'skimage': add ...`."""
    found = verdict.findings[0] if verdict.findings else None
    rest = len(verdict.findings) - 1
    more = f" (and {rest} more)" if rest > 0 else ""
    said = heading(verdict, found).partition(": ")[2]
    return f"{verdict.code}: {said}{more}"


def _problem_heading(problem: Problem) -> str:
    """The heading of its first finding, with how many tasks share it."""
    if len(problem.subjects) < 2 or problem.finding is None:
        return heading(problem.verdict, problem.finding)
    tasks = pluralize(len(problem.subjects), "task")
    verdict = problem.verdict
    return f"{verdict.code} {verdict.rule} ({tasks}): {problem.finding.breach}"


def heading(verdict: Verdict, found: Finding | None) -> str:
    """What is wrong, in a line: `FR301 command-starts[blur]: No module named 'skimage': add ...`.

    Without a finding, the reason why there is no verdict.
    """
    sample = f"-{verdict.sample}" if verdict.sample else ""
    about = f"[{verdict.task}{sample}]" if verdict.task else ""
    about += f" on fractal-server {verdict.server}" if verdict.server else ""
    said = found.breach if found is not None else (verdict.reason or REGISTRY[verdict.code].title)
    return f"{verdict.code} {verdict.rule}{about}: {said}"


def problem_lines(
    problem: Problem, width: int, *, first: bool, program: str = "pytest"
) -> Iterator[Line]:
    """One problem in full; `first` says that its rule was not explained before.

    `program` is the command that explains rules.
    """
    verdict, found = problem.verdict, problem.finding
    rule = REGISTRY[verdict.code]
    grade = "error" if problem.heavy else "warning"
    said = (found.found.strip().splitlines() or [""])[0] if found else verdict.reason or ""
    head = f"{grade}[{verdict.code}] {verdict.rule}: {said or rule.title}"
    markup = _BAD if problem.heavy else _WARNED
    yield from (Line(text, markup) for text in _fold(head, width, "  "))
    if found is None:
        return
    for number, place in enumerate(problem.places[:_PLACES]):
        yield from map(Line, _place_lines(place, width))
        if number == 0:
            yield from _excerpt_lines(found, width)
    if (more := len(problem.places) - _PLACES) > 0:
        yield Line(f"  --> and {more} more")
    if subjects := problem.subjects:
        listed = first_names(subjects, _SUBJECTS)
        yield from _labelled("task" if len(subjects) == 1 else "tasks", listed, width)
    if found.releases:
        yield from _labelled("servers", f"fractal-server {found.releases}", width)
    yield from _labelled("expected", found.expected, width)
    if len(found.found.strip().splitlines()) > 1:
        yield from _folded("found", found.found.strip(), width)
    yield from _labelled("fix", found.hint, width, _FIX)
    if found.fix is not None and "\n" not in found.hint:
        yield from _patch_lines(found.fix, width)
    if problem.blocks:
        yield from _labelled("blocks", pluralize(problem.blocks, "other check"), width)
    if first:
        yield from (Line(text, _DIM) for text in _rule_lines(rule, width, program))


def _place_lines(place: str, width: int) -> Iterator[str]:
    """File and JSON pointer, in two lines where they are too long for one."""
    line = f"  --> {place}"
    file, at, pointer = line.partition(" at /")
    if at and len(line) > width:
        yield file
        yield f"      at /{pointer}"
    else:
        yield line


def _excerpt_lines(found: Finding, width: int) -> Iterator[Line]:
    """The lines of the place, with a caret below it, as compilers show them."""
    if not found.excerpt or found.excerpt[-1][1].strip() in ("{", "["):
        return  # the beginning of a file shows nothing
    margin = len(str(found.excerpt[-1][0]))
    for number, text in found.excerpt:
        yield Line(f"  {number:>{margin}} | {text.expandtabs(4)[: width - margin - 6]}")
    last = found.excerpt[-1][1].expandtabs(4)
    start = len(last) - len(last.lstrip())
    if found.column is not None:
        start = len(found.excerpt[-1][1][: found.column - 1].expandtabs(4))
    carets = "^" if found.column is not None else "^" * len(last.strip())
    if start < width - margin - 6:
        shown = f"  {'':>{margin}} | {' ' * start}{carets}"
        yield Line(shown[:width], _BAD)


def _patch_lines(fix: Fix, width: int) -> Iterator[Line]:
    """The lines that go and come, as a diff has them; a long one is cut."""
    colors = {"-": {"red": True}, "+": {"green": True}}
    lines = list(patch_lines(fix.files))
    for text in lines[:_PATCH]:
        yield Line(f"    {text}"[:width], colors.get(text[0], {}))
    if len(lines) > _PATCH:
        yield Line(f"    and {len(lines) - _PATCH} more lines: --fractal-fix=diff", {})


def _finding_lines(found: Finding, width: int) -> Iterator[Line]:
    if found.where:
        yield from _labelled("where", found.where, width)
        yield from _excerpt_lines(found, width)
    if found.task:
        yield from _labelled("task", found.task, width)
    yield from _labelled("expected", found.expected, width)
    yield from _labelled("found", found.found, width)
    yield from _labelled("fix", found.hint, width)


def _rule_lines(rule: Rule, width: int, program: str) -> Iterator[str]:
    for label, text in (
        ("why", rule.rationale or rule.title),
        ("source", "; ".join(rule.cite)),
        ("more", f"{program} --fractal-explain={rule.code}\n{rule.page}"),
    ):
        yield from (line.text for line in _labelled(label, text, width))


def _labelled(
    label: str, text: str, width: int, markup: Mapping[str, bool] = MappingProxyType({})
) -> Iterator[Line]:
    """A labelled text; indented lines of its own stay as they are, for they are to be pasted."""
    paragraphs = text.splitlines() or [""]
    lead = f"  {label + ':':<10}"
    for number, paragraph in enumerate(paragraphs):
        before = lead if number == 0 else " " * len(lead)
        if number and paragraph[:1].isspace():
            yield Line(before + paragraph, markup)
        else:
            for line in _fold(before + paragraph, width, " " * len(lead)):
                is_long = len(line) > width and line.startswith(" " * len(lead))
                yield Line(f"    {line.lstrip()}" if is_long else line, markup)


def _folded(label: str, text: str, width: int) -> Iterator[Line]:
    """A labelled text to read, whose long lines are folded: what another program said."""
    lead = f"  {label + ':':<10}"
    for number, line in enumerate(text.splitlines()):
        before = lead if number == 0 else " " * len(lead)
        indent = len(before) + len(line) - len(line.lstrip()) + 2 * (number > 0)
        yield from map(Line, _fold(before + line, width, " " * min(indent, width // 2)))


def _fold(text: str, width: int, indent: str) -> list[str]:
    """A text in lines of at most this width, but for words that are longer."""
    lead = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        text.lstrip(),
        width,
        initial_indent=lead,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    ) or [text.rstrip()]


def header_lines(report: CandidateReport) -> list[str]:
    """What is judged, in two lines."""
    version = f" {report.version}" if report.version else ""
    generation = f", manifest version {report.generation}" if report.generation else ""
    tasks = f", {pluralize(len(report.tasks), 'task')}" if report.generation else ""
    lines = [f"fractal: {report.name}{version}{generation}{tasks}, from {report.source}"]
    if report.wheel:
        lines.append(f"         {report.wheel}, Python {report.python}")
    return lines


def summary_lines(report: CandidateReport, columns: int = WIDTH) -> Iterator[str]:
    """One line for the package and one for the tasks of one result; then the seconds by stage."""
    groups: dict[str | None, list[Verdict]] = {None: []}
    groups |= {task.id: [] for task in report.tasks}
    for verdict in report.verdicts:
        groups.setdefault(verdict.task, []).append(verdict)
    names = {task.id: task.name for task in report.tasks}
    labels = {key: "the package" if key is None else names.get(key, key) for key in groups}
    alike: dict[str, list[str]] = {}
    for key, verdicts in groups.items():
        if counts := _counts(verdicts):  # empty where nothing applies
            alike.setdefault(counts, []).append(labels[key])
    tallies = {
        _joined(subjects): f"{counts}{', each' if len(subjects) > 1 else ''}"
        for counts, subjects in alike.items()
    }
    width = max(map(len, tallies), default=0)
    for subjects, counts in tallies.items():
        yield f"{subjects:<{width}}  {counts}"
    stages = "  ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.timings.items())
    starts = pluralize(len(report.runs), "process start")
    indent = min(width, columns // 3)
    yield from _fold(f"{'seconds':<{indent}}  {stages}, {starts}", columns, " " * (indent + 2))


def _joined(subjects: Sequence[str]) -> str:
    """What several lines would be about, in one: `Blur, Register and 10 more tasks`."""
    shown = [subject[:_NAME] for subject in subjects[:2]]
    rest = len(subjects) - len(shown)
    more = f" and {rest} more {'task' if rest == 1 else 'tasks'}" if rest else ""
    return f"{', '.join(shown)}{more}"


def problems_lines(report: CandidateReport, strict: bool, width: int) -> Iterator[Line]:
    """Everything that is to be fixed, errors first; what a rule is about is reported once."""
    explained: set[str] = set()
    for problem in problems(report, strict):
        first = problem.verdict.code not in explained
        yield from problem_lines(problem, width, first=first, program=report.program)
        yield Line("")
        explained.add(problem.verdict.code)


def conclusion_lines(
    report: CandidateReport, strict: bool, complete: bool, width: int
) -> Iterator[Line]:
    """What a server will do, what to fix first, what was not checked, and what to type next."""
    result = conclusion(report, strict, complete)
    markup = {"good": _GOOD, "bad": _BAD, "unsure": _WARNED}[result.mood]
    lines = [Line(f"{title(report)}: {result.headline}", markup)]
    if result.servers:
        lines.append(Line(f"servers: {result.servers}"))
    if (first := result.fix_first) is not None:
        waits = f"; it blocks {pluralize(first.blocks, 'check')}" if first.blocks else ""
        lines.append(Line(f"fix first: {_problem_heading(first)}{waits}"))
    lines += [Line(f"not checked: {text}") for text in result.not_checked]
    lines += [Line(f"ignored: {text}") for text in result.ignored]
    lines += [Line(f"note: {text}") for text in result.notes]
    for line in lines:
        yield from (Line(text, line.markup) for text in _fold(line.text, width, "  "))
    yield Line(f"next: {result.next_command}")  # whole, for it is to be pasted


def fix_lines(plan: Plan, *, applied: bool) -> Iterator[Line]:
    """What was done to the author's files, or would be, as a diff."""
    colors = {"-": {"red": True}, "+": {"green": True}, "@": {"cyan": True}}
    for change in plan.changes:
        for text in change.diff():
            yield Line(text, colors.get(text[:1], {}))
    yield from (Line(f"left alone: {message}") for message in dict.fromkeys(plan.left))
    if not plan.changes:
        yield Line("no finding has a fix that can be applied without you")
    elif applied:
        files = ", ".join(change.file for change in plan.changes)
        yield Line(f"fixed: {files}", _GOOD)
    else:
        yield Line("nothing was written; --fractal-fix applies it")


def repeat_lines(report: CandidateReport) -> Iterator[str]:
    """For each run that did not end as expected, the command line that repeats it.

    Where only some of its components failed, those; the files must have been kept.
    """
    bad = (Outcome.FAIL, Outcome.WARN)
    for task, sample in dict.fromkeys(
        (verdict.task, verdict.sample)
        for verdict in report.verdicts
        if verdict.sample and verdict.outcome in bad
    ):
        runs = [run for run in report.runs if (run.task, run.sample) == (task, sample)]
        failed = [run for run in runs if run.returncode or run.timed_out]
        for run in failed or runs:
            yield f"to repeat {task}-{sample}:"
            yield f"  {run.rerun_command}"


def _counts(verdicts: Iterable[Verdict]) -> str:
    """How many checks have which status; those that do not apply are not counted."""
    codes: dict[Status, list[str]] = {}
    for verdict in verdicts:
        codes.setdefault(verdict.status, []).append(verdict.code)
    parts = []
    for status in Status:
        if status in codes and status is not Status.NOT_APPLICABLE:
            listed = ", ".join(dict.fromkeys(codes[status]))
            telling = f" ({listed})" if status in _TELLING else ""
            parts.append(f"{len(codes[status])} {status.replace('-', ' ')}{telling}")
    return ", ".join(parts)


_TELLING: Final = (Status.FAIL, Status.WARN, Status.ERROR)
"""With these the codes are listed."""


def rules_table() -> str:
    """All rules, a line each."""
    width = max(len(rule.name) for rule in REGISTRY.values())
    lines = []
    for rule in REGISTRY.values():
        letter = rule.severity.letter
        lines.append(f"{rule.code}  {letter}  {rule.name:<{width}}  {rule.title}")
    letters = (
        "E: an error fails. W: a warning fails under --fractal-strict. N: a note never fails."
    )
    return "\n".join([*lines, "", letters])
