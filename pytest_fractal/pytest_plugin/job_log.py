"""Keeping what is the candidate's from being a command to the runner of a CI job.

GitHub's runner takes lines of the log for commands: `::error::...` at the start of a line,
after blanks, and `##[error]...` anywhere in it. A task's output or its name may hold such.
"""

from __future__ import annotations

import os
import re
from typing import Final

import pytest

# Colours, too, may stand before it, and what no eye sees: what a runner takes off is no promise.
_BLANKS: Final = r"(?:[^\S\r\n]|[\ufeff\u200b\u2060\0]|\x1b\[[0-9;]*m)*"
_COMMAND: Final = re.compile(rf"(?:\A|[\r\n]){_BLANKS}:(?=:)|##(?=\[)")
_BEGUN: Final = re.compile(rf"{_BLANKS}:?")


def without_commands(text: str, line: str = "") -> str:
    """A text in which no runner finds a command: a blank breaks each of them.

    `line` is what was printed before it in the same line.
    """
    return _COMMAND.sub(r"\g<0> ", line + text)[len(line) :]


class JobLog:
    """What pytest prints in a job of GitHub's, less what would be commands."""

    def __init__(self, config: pytest.Config) -> None:
        terminal = config.get_terminal_writer()
        self._write = terminal.write
        self._line = ""
        """What was printed of the line until now, as far as it matters."""
        terminal.write = self.write  # type: ignore[method-assign]

    @staticmethod
    def is_read() -> bool:
        """Whether a runner of GitHub's reads what is printed."""
        return os.environ.get("GITHUB_ACTIONS") == "true"

    def write(self, msg: str, *, flush: bool = False, **markup: bool) -> None:
        """Print a text of pytest's."""
        safe = without_commands(msg, self._line)
        self._write(safe, flush=flush, **markup)
        line = re.split(r"[\r\n]", self._line + safe)[-1]
        # Once there are letters, only two of them can become part of a command yet.
        self._line = line if _BEGUN.fullmatch(line) else f"_{line[-2:]}"

    def command(self, line: str) -> None:
        """Print a command of ours."""
        self._write(f"{line}\n")
        self._line = ""
