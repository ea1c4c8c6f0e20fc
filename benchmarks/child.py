"""Processes of the benchmark: each fresh, on a core of its own, spoken to in lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from tools.airflow_env import ROOT

#: The core of what is measured, and the one of what serves it. On one core they share it.
_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
MEASURED, SERVING = (_CORES[0], _CORES[-1]) if _CORES else (None, None)


def pin(pid: int, core: int | None) -> None:
    """Let a process run on that core only, where the system can do that."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


class Child:
    """A process that runs a module and answers commands.

    :param module: what ``python -m`` runs
    :param core: where it runs
    :param log: file for all that it prints
    """

    def __init__(
        self, module: str, *, core: int | None, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.module, self.log = module, log
        with log.open("w") as log_file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=ROOT,
                env=None if env is None else dict(env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                text=True,
            )
        pin(self.process.pid, core)

    def ask(self, command: str, *, patience: float = 120, **arguments: Any) -> Any:
        """Give a command, and return the answer.

        :param patience: seconds after which the process is given up
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        giving_up = threading.Timer(patience, self.process.kill)
        giving_up.start()
        try:
            self.process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            giving_up.cancel()
        if not line:
            said = self.log.read_text().strip()[-2000:]
            raise RuntimeError(f"{self.module} ended, or took more than {patience} s to {command}:\n{said}")
        return json.loads(line)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


def take_stdout() -> TextIO:
    """Keep standard output for the answers: what libraries print goes where errors go."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def answer(answers: TextIO, value: Any) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def answer_all(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """Answer commands, one after the other, until there are no more."""
    answers = take_stdout()
    for line in sys.stdin:
        arguments = json.loads(line)
        answer(answers, handlers[arguments.pop("command")](**arguments))
