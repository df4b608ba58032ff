"""The two ways in which a run can go wrong without a rule being broken."""

from __future__ import annotations

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
        raise HarnessError(
            f"pytest-fractal itself failed while {doing}: {type(error).__name__}: {error}"
        ) from error
