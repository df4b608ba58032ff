"""The rules that a server shares, each with a candidate that both refuse because of it.

These candidates are the ordinary part of the suite. Refused by both, but here for another
reason, breaks the law: a rule that went blind could hide behind others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BOTH: Final[Mapping[str, str]] = {
    "FR003": "the import folder: another name",
    "FR101": "the manifest's place: nowhere",
    "FR104": "the manifest's text: cut in the middle",
    "FR105": "manifest_version: a text",
    "FR106": "non-parallel task's name: null",
    "FR109": "the list of tasks: the first task twice",
    "FR110": "an executable: that is not there",
    "FR111": 'parallel task\'s parallel_tasks_per_job: "text"',
    "FR114": "non-parallel task's docs_link: ftp",
    "FR201": "args_schema_version: null",
    "FR301": "an executable's file: a syntax error",
}

MUTANTS: Final[Mapping[str, Mapping[str, str]]] = {
    "1": {
        **_BOTH,
        "FR112": "non-parallel task's input_type: an empty text",
        "FR116": "non-parallel task's name: half a surrogate pair",
        "FR117": "METADATA: the version without a blank",
        "FR203": "non-parallel task's args_schema/properties: an empty list",
        "FR207": "parallel task's default: for input_paths",
    },
    "2": {
        **_BOTH,
        "FR103": "the manifest's place: a copy beside it, behind it in the archive",
        "FR115": "non-parallel task's type: parallel for its own",
        "FR116": "a task's name, lower-cased: of 255 bytes in lower case, of letters that grow",
        "FR117": "METADATA: Home-page with the manifest's name",
    },
}
"""By the generation and the rule: the kind of a mutant."""

OUTPUTS: Final[Mapping[str, Mapping[str, str]]] = {
    "1": {
        "FR401": "a non-parallel task's output: status 1",
        "FR403": "a non-parallel task's output: a list of texts",
        "FR404": "a parallel task's output: a list of texts",
    },
    "2": {
        "FR401": "a parallel task's output: status 1",
        "FR403": "a non-parallel task's output: a list of texts",
        "FR408": "a parallel task's images: zarr_url outside",
    },
}
"""The same, of outputs."""

TAKEN: Final = (
    "non-parallel task's docs_info: a text",
    "a non-parallel task's output: an empty object",
    "a parallel task's output: an empty object",
    "a parallel task's images: a new image",
)
"""What both take, with which a rule is noticed that refuses too much."""


def rule_for(generation: str, kind: str) -> str | None:
    """The rule by which such a candidate is to be refused, if it is one of these."""
    for kinds in (MUTANTS[generation], OUTPUTS[generation]):
        for code, known in kinds.items():
            if known == kind:
                return code
    return None
