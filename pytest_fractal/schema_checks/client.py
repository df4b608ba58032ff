"""What JSON Schemas allow and patterns match, asked of a helper process with a limit.

Answers depend on the arguments alone. The helper starts with the first question, and ends
with this process, however that ends.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pytest_fractal.errors import HarnessError
from pytest_fractal.pointers import Keys

LATEST: Final = "https://json-schema.org/draft/2020-12/schema"
DRAFTS: Final = (
    "http://json-schema.org/draft-03/schema",
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    LATEST,
)
"""The URIs of the drafts that are known, without the `#` that some end with."""

_LONGEST: Final = 1.0
_SHORTEST: Final = 0.1
"""Seconds of processor time for one answer. It is halved with each that takes too long, so
that a thousand bad patterns do not take two thousand seconds, and doubled with each other."""
_REMEMBERED: Final = 10_000_000
"""Characters of answers that are kept."""
_BOOTSTRAP: Final = """
import sys
sys.path += sys.argv[1:]
from pytest_fractal.schema_checks.helper import main
main()
"""
_VARIABLES: Final = ("DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "PATH", "TMPDIR")


class OverLimit(Exception):
    """The answer takes too long; the message says so in a sentence without its subject."""


@dataclass(frozen=True)
class Refusal:
    """Why a schema refuses a value."""

    keys: Keys
    """The way to the place in the value that is refused."""
    message: str
    keyword: str | None
    """The keyword of the schema that refuses it; None for the schema `false`."""
    instance: Any
    """What stands at that place."""
    allowed: Any
    """The value of the keyword."""


def schema_faults(schema: Mapping[str, Any], draft: str) -> list[tuple[Keys, str]] | None:
    """Where a schema is not valid by one of `DRAFTS`: the way there, and a message.

    None when it is nested too deeply to be followed.
    """
    faults = _HELPER.ask("faults", schema, draft)
    return None if faults is None else [(tuple(keys), message) for keys, message in faults]


def lost_references(schema: Mapping[str, Any]) -> list[tuple[Keys, bool]]:
    """The ways to each `$ref` that does not resolve within a valid schema.

    With each, whether it leads elsewhere, not merely to what is not there.
    """
    return [(tuple(keys), remote) for keys, remote in _HELPER.ask("references", schema)]


def refused_defaults(
    schema: Mapping[str, Any], draft: str | None = None
) -> list[tuple[Keys, Refusal]]:
    """The ways to each part of a valid schema that refuses its own `default`, and why.

    `draft`, of `DRAFTS`, is that of a schema that names none; 2020-12 without it.
    """
    refused = _HELPER.ask("defaults", schema, draft)
    return [(tuple(keys), _refusal(reply)) for keys, reply in refused]


def refusal(
    schema: Mapping[str, Any], arguments: Mapping[str, Any], draft: str | None = None
) -> Refusal | None:
    """The best reason why a schema refuses these arguments; None when it allows them.

    `draft` as for `refused_defaults`.
    """
    reply = _HELPER.ask("refusal", schema, arguments, draft)
    return None if reply is None else _refusal(reply)


@lru_cache(1024)
def first_match(pattern: str, texts: tuple[str, ...]) -> int | None:
    """The index of the first text in which the pattern is found, as Python's `re` reads it.

    None when there is none, when it is no pattern, and when finding that takes too long.
    """
    try:
        index: int | None = _HELPER.ask("match", {}, pattern, texts)
    except OverLimit:
        return None
    return index


def _refusal(reply: Sequence[Any]) -> Refusal:
    keys, message, keyword, instance, allowed = reply
    return Refusal(tuple(keys), message, keyword, instance, allowed)


def _read(answer: str) -> Any:
    """What an answer of the helper's says."""
    reply = json.loads(answer)
    if "failed" in reply:
        raise HarnessError(f"a JSON Schema could not be checked: {reply['failed']}")
    if "over" in reply:
        raise OverLimit(reply["over"])
    return reply["answer"]


class _Helper:
    """The process that answers, one question after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._limit = _LONGEST
        self._answers: dict[bytes, str] = {}
        self._kept = 0

    def ask(self, operation: str, schema: Mapping[str, Any], *arguments: Any) -> Any:
        """Its answer. Raises `OverLimit` when that takes too long or too much memory."""
        with self._lock:
            limit = self._limit
            text, given = json.dumps(schema), json.dumps(arguments)
            # Tasks that share a model, or a whole schema, ask the same.
            question = hashlib.sha256(f"{operation}\n{given}\n{text}".encode()).digest()
            if question in self._answers:
                return _read(self._answers[question])
            request = f'["{operation}", {limit}, {given}]\n{text}\n'
            try:
                answer = self._exchange(request)
            except BaseException:  # Ctrl-C too: the next answer would be that to this question
                self._end(kill=True)
                raise
            if answer:
                self._limit = min(_LONGEST, 2 * limit)
            else:
                status = self._end()
                if status != -signal.SIGPROF:
                    raise HarnessError(
                        f"the process that checks JSON Schemas ended with status {status}"
                    )
                self._limit = max(_SHORTEST, limit / 2)
                answer = json.dumps({"over": f"takes more than {limit:g} s"})
            self._kept += len(answer)
            if self._kept > _REMEMBERED:
                self._answers.clear()
                self._kept = len(answer)
            self._answers[question] = answer
            return _read(answer)

    def close(self) -> None:
        """End the process, if it was ever started."""
        with self._lock:
            self._end()

    def _exchange(self, request: str) -> str:
        process = self._process
        if process is None or self._owner != os.getpid():
            process = self._process = self._started()
            self._owner = os.getpid()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(request)
            process.stdin.flush()
        except BrokenPipeError:
            return ""
        return process.stdout.readline()

    def _started(self) -> subprocess.Popen[str]:
        # Its own modules first, and only then what this process finds elsewhere.
        places = [place for place in sys.path if os.path.isabs(place)]  # noqa: PTH117 - a text
        return subprocess.Popen(
            [sys.executable, "-I", "-c", _BOOTSTRAP, *places],
            env={name: os.environ[name] for name in _VARIABLES if name in os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="ascii",
            start_new_session=True,  # Ctrl-C is for this process
        )

    def _end(self, *, kill: bool = False) -> int | None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return None
        if kill:
            process.kill()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        return process.wait()


_HELPER: Final = _Helper()
atexit.register(_HELPER.close)
