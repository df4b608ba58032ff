"""Why a rule fails what the server takes: the ground of each, reviewed by hand.

A rule that is not here may only fail what the server refuses, freezes on or breaks on. To
let another one in, its rationale must cite the words that forbid it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GROUNDS: Final[Mapping[str, str]] = {
    "FR101": "page, Task package: the file is bundled under its exact name.",
    "FR102": "page, Task package: the manifest lies in the package's root folder.",
    "FR103": "page, Task package: there is one such file, in the root folder. Which of two the "
    "server reads depends on the order of the archive.",
    "FR104": "page, Task package: the manifest is a JSON file. JSON knows neither NaN (RFC 8259, "
    "section 6) nor a byte order mark or UTF-16 (8.1); readers differ on a key that is given "
    "twice (4).",
    "FR106": "page, Task metadata and Requirements: the types of the fields, and JSON Schemas "
    "that are included. The server's library turns an empty text or list into an empty object.",
    "FR108": "page, Task package: the package is a set of tasks. Of an empty list the server says "
    "OK, and no task appears.",
    "FR109": "the server strips the names after it has made the slugs of them, and then lists two "
    "tasks of the same name.",
    "FR110": "page, Task package: the package's tasks are scripts that are part of it.",
    "FR111": "page, Task metadata: `meta` is an object; Task meta-parameters: for a non-parallel "
    "task the key `parallelization_level` is missing.",
    "FR116": "PostgreSQL, the database that the server is meant to run with, stores no NUL; half "
    "a surrogate pair cannot be written as UTF-8. A name over 200 characters is taken by servers "
    "of generation 1, and makes jobs of generation 2 fail.",
    "FR201": "page, Requirements: JSON Schemas are included.",
    "FR202": "page, Requirements: what is included are JSON Schemas.",
    "FR203": "page, Requirements: the schemas are of a task's input parameters, an object.",
    "FR204": "page, Requirements: a JSON Schema, which can only be used when it is whole.",
    "FR205": "page, Task input parameters: these arguments are always among the input.",
    "FR206": "page, Requirements: the schemas are of the task's input parameters.",
    "FR208": "page, Requirements: the schema is of the task's input parameters; the author's own "
    "sample contradicts it.",
    "FR209": "fractal-task-tools, which generates the schemas of version `fractal_schema_v1`, "
    "refuses to (E01-E22): the web client cannot draw a form for them.",
    "FR303": "page, Command-line interface: the command takes its arguments from this file.",
    "FR302": "page, Command-line interface: the command must accept both options.",
    "FR401": "a component that is none, or is another's too: the server runs the task once a "
    "letter, once a key, twice on the same files, or on what is no text.",
    "FR402": "page, Task output: the task must always write its output before it ends.",
    "FR403": "page, Task output: it is an update of the metadata, which is an object; JSON is "
    "UTF-8 (RFC 8259, section 8.1), which has no half of a surrogate pair.",
    "FR404": "page, Task output: it is an update of the metadata, which is an object.",
    "FR405": "page, Task output: everything is written to disk before the task ends.",
    "FR406": "the package's author expects the refusal, in a sample of his own.",
}
"""The code of a rule -> its ground."""
