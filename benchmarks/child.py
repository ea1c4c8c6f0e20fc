"""Child processes of the benchmark: each new, on its own core, controlled by lines of JSON."""

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

#: The core of the measured process, and the core of its server. They may be the same.
_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
MEASURED, SERVING = (_CORES[0], _CORES[-1]) if _CORES else (None, None)


def pin(pid: int, core: int | None) -> None:
    """Pin a process to a core, if the system supports it."""
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
        """Send a command, and return the response.

        :param patience: seconds after which the process is killed
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
            output = self.log.read_text().strip()[-2000:]
            raise RuntimeError(f"{self.module} ended, or took more than {patience} s to {command}:\n{output}")
        return json.loads(line)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


def take_stdout() -> TextIO:
    """Reserve standard output for responses: redirect the output of libraries to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def answer(answers: TextIO, value: Any) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def answer_all(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """Execute commands until the input ends."""
    answers = take_stdout()
    for line in sys.stdin:
        arguments = json.loads(line)
        answer(answers, handlers[arguments.pop("command")](**arguments))
