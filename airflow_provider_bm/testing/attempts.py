"""What ``dag.test()`` lacks: why a task failed, how one goes on whose trigger broke, and an end to it all."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import pytest

from .versions import is_airflow_2

#: Seconds from one attempt to end a run to the next: something may catch what is raised.
_AGAIN: Final = 1.0


class TookTooLong(BaseException):
    """A run has not ended in time. It is no ``Exception``, for which Airflow would retry the task."""


class _TriggerBroke(BaseException):
    """Carries the error of a trigger past what ``dag.test()`` would do."""


class Attempts:
    """Watches all attempts at the tasks of a DAG run.

    :ivar errors: what each task instance has raised last, by task id and map index
    :ivar interrupted: the task instance that was going on when the time was over
    """

    def __init__(self) -> None:
        """Watch none yet."""
        self.errors: dict[tuple[str, int], BaseException] = {}
        self.interrupted: tuple[str, int] | None = None
        self._broken: dict[tuple[str, int], BaseException] = {}
        self._over = False

    @contextmanager
    def watched(self, timeout: float | None) -> Iterator[None]:
        """Watch what runs in this thread.

        :param timeout: seconds until it is ended, between two tasks at the latest; None: never
        :raises TookTooLong: it was
        """
        if is_airflow_2():
            dags = import_module("airflow.models.dag")
            owner: Any = import_module("airflow.models.taskinstance").TaskInstance
            attempt = "_run_raw_task"
        else:
            dags = import_module("airflow.sdk.definitions.dag")
            owner, attempt = import_module("airflow.sdk.execution_time.supervisor"), "run_task_in_process"
        wrapped: list[tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = [
            (owner, attempt, self._noting),
            (dags, "_run_task", self._resuming),
            (dags, "_run_inline_trigger", _passing_on),
        ]
        with pytest.MonkeyPatch.context() as patch, self._limited(timeout):
            for where, name, wrapper in wrapped:
                patch.setattr(where, name, wrapper(getattr(where, name)))
            yield

    def _noting(self, attempt: Callable[..., Any]) -> Callable[..., Any]:
        """Note what an attempt at a task raises; from Airflow 3 on it is given back."""

        def noting(*args: Any, **kwargs: Any) -> Any:
            self._check()
            ti = args[0] if args else kwargs["ti"]
            error: BaseException | None = None
            try:
                result = attempt(*args, **kwargs)
                error = getattr(result, "error", None)
            except Exception as raised:
                error = raised
                raise
            finally:
                if type(error).__name__ == "TaskDeferralError":  # which says no more than that
                    error = self._broken.get(_key(ti), error)
                if error is not None and not isinstance(error, TookTooLong):
                    self.errors[_key(ti)] = error
            self._check()
            return result

        return noting

    def _resuming(self, run_task: Callable[..., Any]) -> Callable[..., Any]:
        """Resume a task whose trigger broke as the triggerer does, so that its retries apply."""

        def resuming(*, ti: Any, **kwargs: Any) -> Any:
            while True:
                try:
                    return run_task(ti=ti, **kwargs)
                except TookTooLong:
                    self.interrupted = _key(ti)
                    raise
                except _TriggerBroke as broke:
                    error = broke.__cause__ or broke
                    self._broken[_key(ti)] = error
                    _fail_on_resume(ti, error, kwargs.get("session"))

        return resuming

    def _check(self) -> None:
        if self._over:
            raise TookTooLong

    @contextmanager
    def _limited(self, timeout: float | None) -> Iterator[None]:
        if timeout is None:
            yield
            return
        done, ident = threading.Event(), threading.get_ident()
        # Only the main thread can be interrupted. Not by SIGALRM, which Airflow's own time-outs use.
        interruptible = threading.current_thread() is threading.main_thread()

        def watch() -> None:
            wait = timeout
            while not done.wait(wait):
                self._over, wait = True, _AGAIN
                if interruptible:
                    signal.pthread_kill(ident, signal.SIGUSR2)

        def give_up(*_: Any) -> None:
            if not done.is_set():
                raise TookTooLong

        before = signal.signal(signal.SIGUSR2, give_up) if interruptible else None
        watching = threading.Thread(target=watch, name="bm-run-limit", daemon=True)
        watching.start()
        try:
            try:
                yield
            finally:
                done.set()
        finally:
            # Once more, should the last signal have come just then.
            done.set()
            watching.join()
            if interruptible:
                signal.signal(signal.SIGUSR2, before or signal.SIG_DFL)


def _passing_on(run_trigger: Callable[..., Any]) -> Callable[..., Any]:
    def passing_on(*args: Any, **kwargs: Any) -> Any:
        try:
            return run_trigger(*args, **kwargs)
        except Exception as error:
            raise _TriggerBroke from error

    return passing_on


def _fail_on_resume(ti: Any, error: BaseException, session: Any) -> None:
    # What Airflow's ``Trigger.submit_failure`` does.
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    ti.next_method = "__fail__"
    ti.next_kwargs = {"error": "Trigger failure", "traceback": traceback.format_exception(error)}
    ti.state = TaskInstanceState.SCHEDULED
    if session is not None:
        session.merge(ti)
        session.commit()
    else:
        with create_session() as own:
            own.add(ti)


def _key(ti: Any) -> tuple[str, int]:
    index = ti.map_index
    return ti.task_id, -1 if index is None else index
