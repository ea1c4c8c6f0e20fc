"""Additions to ``dag.test()``: the error of each task, and a time limit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ._compat import listening

#: Seconds that Airflow may take until the first task starts.
_STARTUP: Final = 120.0


class RunTimeout(BaseException):
    """A run took too long. Not an ``Exception``, since Airflow would retry the task."""


class RunWatch:
    """Listens to the tasks of a DAG run, and ends it if it takes too long.

    :param repeat: seconds between two attempts to end it: something may catch the first exception
    :ivar errors: the last error of each task instance, by task id and map index
    :ivar interrupted: the task instances that were running at the time limit
    """

    def __init__(self, repeat: float = 1.0) -> None:
        """Watch nothing yet."""
        self._repeat = repeat
        self.errors: dict[tuple[str, int], BaseException | str] = {}
        self.interrupted: set[tuple[str, int]] = set()
        self.timed_out = False
        self._task_started = threading.Event()
        self._done = threading.Event()

    @contextmanager
    def watch(self, timeout: float | None) -> Iterator[None]:
        """Watch a run in this thread. If it takes too long, ``timed_out`` is set, and the context ends early.

        :param timeout: seconds from the start of the first task; None: no limit
        """
        with listening(self.on_running, self.on_failed), self._limit(timeout):
            try:
                yield
            except RunTimeout:
                self.timed_out = True

    def on_running(self, task_instance: Any) -> None:
        """Start the clock with the first task; start no further task after the time limit."""
        self._task_started.set()
        if self.timed_out:
            raise RunTimeout

    def on_failed(self, task_instance: Any, error: Any) -> None:
        """Store the error."""
        if isinstance(error, RunTimeout):
            self.interrupted.add(_key(task_instance))
        elif error is not None:
            self.errors[_key(task_instance)] = error

    @contextmanager
    def _limit(self, timeout: float | None) -> Iterator[None]:
        if timeout is None:
            yield
            return
        thread = threading.get_ident()
        # Only the main thread can be interrupted; others end at their next task. Airflow's own time limits
        # use SIGALRM.
        interruptible = threading.current_thread() is threading.main_thread()

        def count() -> None:
            self._task_started.wait(_STARTUP)
            seconds = timeout
            while not self._done.wait(seconds):
                self.timed_out, seconds = True, self._repeat
                if interruptible:
                    signal.pthread_kill(thread, signal.SIGUSR2)

        def interrupt(*_: Any) -> None:
            if not self._done.is_set():
                raise RunTimeout

        before = signal.signal(signal.SIGUSR2, interrupt) if interruptible else None
        counting = threading.Thread(target=count, name="bm-run-limit", daemon=True)
        counting.start()
        try:
            yield
        finally:
            self._done.set()
            self._task_started.set()
            counting.join()
            if interruptible:
                signal.signal(signal.SIGUSR2, before or signal.SIG_DFL)


def _key(task_instance: Any) -> tuple[str, int]:
    index = task_instance.map_index
    return task_instance.task_id, -1 if index is None else index
