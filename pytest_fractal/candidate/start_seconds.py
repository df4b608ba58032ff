"""How long the commands of a candidate took last time, so that the long ones begin first.

Only the order of starts follows from this file, and nothing that is judged: it may be lost,
damaged or written by anybody.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Final

from pytest_fractal.files import MEBIBYTE, by_use, cache_folder, read_regular, replacing

_KEPT: Final = 500
"""Of how many candidates it is kept; some kilobytes each."""


class StartSeconds:
    """The seconds that the longest start of each task took; `owner` names the candidate."""

    def __init__(self, owner: str) -> None:
        folder = cache_folder() / "start-seconds"
        self._file = folder / f"{hashlib.sha256(owner.encode()).hexdigest()[:32]}.json"

    def read(self) -> Mapping[str, float]:
        """Those of the last run, by the ids of tasks; empty where there was none."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            kept = json.loads(read_regular(self._file, MEBIBYTE, follow=False))
            if isinstance(kept, dict):
                return {task: took for task, took in kept.items() if isinstance(took, int | float)}
        return {}

    def keep(self, starts: Iterable[tuple[str, float]]) -> None:
        """Keep those of this run: of each start the id of its task, and its seconds."""
        longest: dict[str, float] = {}
        for task, took in starts:
            longest[task] = max(longest.get(task, 0.0), round(took, 2))
        if not longest:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self._file.exists()
            with replacing(self._file) as partial:
                partial.write_text(json.dumps({**self.read(), **longest}))
            if is_new:
                for path in by_use(self._file.parent, "*")[:-_KEPT]:
                    path.unlink(missing_ok=True)
