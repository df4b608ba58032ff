"""The CODES arguments: which rules are selected or ignored, for which tasks, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pytest_fractal.errors import BadInput
from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.rules.registry import no_such_rule

_CODE: Final = re.compile(r"(?P<code>[^\[\]\s:]+)(?:\[(?P<task>.+)\])?(?:\s*:\s*(?P<reason>.*))?")


@dataclass(frozen=True)
class CodePattern:
    """One code or prefix that was selected or ignored, maybe for one task only."""

    code: str
    task: str | None = None
    reason: str | None = None

    def matches(self, rule: Rule, *tasks: str | None) -> bool:
        """Whether it means this rule, for a task that goes by any of these names."""
        return self.means(rule) and (self.task is None or self.task in tasks)

    def means(self, rule: Rule) -> bool:
        """Whether it means this rule, for whatever task."""
        return rule.code.startswith(self.code)


def parse_codes(text: str) -> tuple[CodePattern, ...]:
    """Read codes as the command line has them: `FR1,FR205,FR301[my_task]`."""
    return tuple(_code_pattern(part) for part in re.split(r",(?![^\[]*\])", text) if part.strip())


def parse_ignores(lines: Iterable[str]) -> tuple[CodePattern, ...]:
    """Read ignores as the ini file has them: one a line, `FR205: the reason`."""
    patterns = tuple(_code_pattern(line) for line in lines if line.strip())
    for pattern in patterns:
        if not pattern.reason:
            raise BadInput(
                f"fractal_ignore: {pattern.code} has no reason; "
                f"write `{pattern.code}: why it is ignored`"
            )
    return patterns


def _code_pattern(text: str) -> CodePattern:
    matched = _CODE.fullmatch(text.strip())
    code = matched["code"].upper() if matched else text.strip()
    if matched is None or not any(known.startswith(code) for known in REGISTRY):
        raise no_such_rule(code)
    return CodePattern(code, matched["task"], matched["reason"])
