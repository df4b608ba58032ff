"""Threads that wait for commands, and that no exit of Python waits for.

Python joins the threads of `ThreadPoolExecutor` before it exits. A run that is interrupted before
it could end its commands would wait for those, and they end only with the run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonPool(Executor):
    """An executor of up to `width` daemon threads. Each calls `begin` before it begins."""

    def __init__(self, width: int, begin: Callable[[], object] = lambda: None) -> None:
        self._width = width
        self._begin = begin
        self._threads: list[threading.Thread] = []
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function in one of the threads, after those that were submitted before."""
        future: Future[T] = Future()
        self._waiting.put((future, lambda: fn(*args, **kwargs)))
        if len(self._threads) < self._width:
            thread = threading.Thread(target=self._work, name="fractal", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end when all is done, or what has begun with `cancel_futures`."""
        if cancel_futures:
            with contextlib.suppress(Empty):
                while True:
                    if (waiting := self._waiting.get_nowait()) is not None:
                        waiting[0].cancel()
        for _ in self._threads:
            self._waiting.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        self._begin()
        while (waiting := self._waiting.get()) is not None:
            future, call = waiting
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            del waiting, future, call  # nothing is kept alive while the next is waited for
