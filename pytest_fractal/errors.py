"""The two ways in which a run can go wrong without a rule being broken."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


class BadInput(Exception):
    """What the user typed cannot be used: one sentence, exit status 4.

    No such folder, an unknown rule code, an interpreter that is not there. The
    message is shown as it is, so it must say what was given and what is wrong.
    """


class HarnessError(Exception):
    """The harness, its network or its machine failed: no verdict on the package.

    A rule whose evidence ends in this gets the outcome `error`, never `fail`:
    the candidate is not to blame.
    """


def describe_os_error(error: OSError) -> str:
    """What the system refused, in one sentence that names the file."""
    file = f": {error.filename}" if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            # Of a copy, the error names what was read.
            return f"the disk is full; the run writes below {tempfile.gettempdir()} (TMPDIR)"
        case errno.EMFILE | errno.ENFILE:
            return f"too many files are open{file}"
        case None:
            return str(error)
    return f"{error.strerror}{file}"


def failure(error: Exception) -> str:
    """Why the harness gives up, in one sentence: the machine's fault, or a bug of ours."""
    if isinstance(error, BadInput | HarnessError):
        return " ".join(str(error).split())
    if isinstance(error, OSError):
        return describe_os_error(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    text = " ".join(str(error).split())
    return f"pytest-fractal itself failed: {type(error).__name__}: {text}".removesuffix(": ")


@contextmanager
def faults_as_errors(doing: str) -> Iterator[None]:
    """Turn an unexpected exception, which is a fault of ours, into a `HarnessError`.

    `doing` says in its sentence what was going on, such as `planning the checks`.
    """
    try:
        yield
    except (BadInput, HarnessError):
        raise
    except Exception as error:
        raise HarnessError(f"{failure(error)} (while {doing})") from error
