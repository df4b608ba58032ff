"""Run by an environment that holds fractal-task-tools: its own check of JSON Schemas.

Reads a list of schemas from standard input, and writes for each None, or the code and the
path of what is refused first; for a check that dies otherwise, what it dies of.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from fractal_task_tools._specs import validate_schema  # type: ignore[import-not-found]


def first_refused(schema: dict[str, Any]) -> list[str] | None:
    try:
        validate_schema(schema=schema, path="", root_schema=schema)
    except Exception as error:
        reported = re.fullmatch(r"\[(E\d\d)\] .*? at (/.*)?", str(error), re.DOTALL)
        return (
            [reported[1], reported[2] or ""]
            if reported
            else ["", f"{type(error).__name__}: {error}"]
        )
    return None


json.dump([first_refused(schema) for schema in json.load(sys.stdin)], sys.stdout)
