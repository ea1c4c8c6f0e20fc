"""Secrets never appear in a log line, an exception, a serialized trigger, an XCom or a file.

While the suite runs, with logging at DEBUG, this module collects

* every record of every logger, whatever its handlers and masks, and of structlog,
* every :class:`BMError` created, as it prints, with its traceback, its causes and its attributes,
* every trigger created, as it is serialized,

and learns the secrets: those registered, and any client secret or token in an outgoing request. After each
test it searches what it collected. Airflow's files (logs, and the database with XComs and rendered fields)
are searched after each DAG run and at the end.
"""

from __future__ import annotations

import base64
import logging
import re
import traceback
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHORTEST = 8  # anything shorter cannot be distinguished from ordinary words
_FORMATTER = logging.Formatter("%(name)s %(levelname)s %(message)s")
_SECRET_IN_BODY = re.compile(r"(?:^|&)client_secret=([^&]+)")
# Loggers that print the traffic between Airflow's own processes, the connection included, at DEBUG.
_AIRFLOW_INTERNAL = ("supervisor", "airflow.sdk.execution_time", "sqlalchemy", "httpcore", "aiosqlite")


@dataclass(frozen=True)
class Leak:
    """A secret that was found in an output."""

    secret: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where} shows {self.secret[:3]}…({len(self.secret)} characters): {self.text}"


@dataclass
class LeakGuard:
    """The secrets, and the texts collected since the last search."""

    secrets: set[str] = field(default_factory=set)
    allowed: set[str] = field(default_factory=set)
    texts: list[tuple[str, str]] = field(default_factory=list)
    exceptions: list[BaseException] = field(default_factory=list)
    triggers: list[Any] = field(default_factory=list)
    listeners: list[Callable[[str], None]] = field(default_factory=list)

    def register(self, *secrets: str) -> None:
        """Add secrets, which must not appear from now on."""
        self.secrets.update(secret for secret in secrets if len(secret) >= SHORTEST)

    def forms(self) -> Iterable[tuple[str, str]]:
        """Each secret with its encodings: plain, URL-quoted and base64."""
        for secret in self.secrets - self.allowed:
            yield secret, secret
            quoted = urllib.parse.quote(secret, safe="")
            if quoted != secret:
                yield secret, quoted
            yield secret, base64.b64encode(secret.encode()).decode().rstrip("=")

    def add(self, where: str, text: str) -> None:
        """Add a text to the next search."""
        self.texts.append((where, text))

    def search(self, where: str, text: str) -> list[Leak]:
        """Search one text."""
        found = []
        for secret, form in self.forms():
            if (at := text.find(form)) >= 0:
                excerpt = text[max(0, at - 60) : at] + "<HERE>" + text[at + len(form) : at + len(form) + 60]
                found.append(Leak(secret, where, excerpt))
        return found

    def search_files(self, *roots: Path) -> list[Leak]:
        """Search files, byte by byte."""
        found = []
        forms = [(secret, form.encode()) for secret, form in self.forms()]
        for root in roots:
            for path in [root] if root.is_file() else sorted(root.rglob("*")):
                if not path.is_file():
                    continue
                content = path.read_bytes()
                for secret, form in forms:
                    if (at := content.find(form)) >= 0:
                        excerpt = content[max(0, at - 60) : at].decode(errors="replace")
                        found.append(Leak(secret, str(path), excerpt + "<HERE>"))
        return found

    def take(self) -> list[Leak]:
        """Search everything collected since the last call, and discard it."""
        for error in self.exceptions:
            self.add(f"exception {type(error).__name__}", describe(error))
        for trigger in self.triggers:
            try:
                self.add(f"trigger {type(trigger).__name__}", repr(trigger.serialize()))
            except Exception as error:  # incomplete, since its constructor raised
                self.add(f"trigger {type(trigger).__name__}", repr(error))
        texts, self.texts, self.exceptions, self.triggers = self.texts, [], [], []
        return [leak for where, text in texts for leak in self.search(where, text)]

    # Sources

    def saw_record(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_AIRFLOW_INTERNAL):
            return
        try:
            text = _FORMATTER.format(record)
        except Exception as error:
            text = f"{record.name} {record.msg!r} {record.args!r} ({error!r})"
        self.saw_line(f"log of {record.name}", text)

    def saw_event(self, logger: Any, method: str, event: Mapping[str, Any]) -> None:
        name = str(event.get("logger", ""))
        # "Sending request": from a task to its supervisor, with the secrets to mask. It has no logger name.
        if name.startswith(_AIRFLOW_INTERNAL) or event.get("event") == "Sending request":
            return
        shown = dict(event)
        text = f"{name} {shown.pop('level', method)} {shown.pop('event', '')} {shown!r}"
        error = shown.get("exc_info")
        if error is True:
            text += "\n" + traceback.format_exc()
        elif isinstance(error, tuple):
            text += "\n" + "".join(traceback.format_exception(*error))
        elif isinstance(error, BaseException):
            text += "\n" + describe(error)
        self.saw_line(f"log of {name or 'structlog'}", text)

    def saw_line(self, where: str, text: str) -> None:
        self.add(where, text)
        for listener in self.listeners:
            listener(text)

    def saw_request(self, request: Any) -> None:
        authorization = request.headers.get("Authorization", "")
        authorization = authorization.decode() if isinstance(authorization, bytes) else authorization
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            self.register(credentials.strip())
        body = request.body or ""
        body = body.decode(errors="replace") if isinstance(body, bytes) else body
        if isinstance(body, str):
            for secret in _SECRET_IN_BODY.findall(body):
                self.register(urllib.parse.unquote_plus(secret))


def describe(error: BaseException) -> str:
    """Return all parts of an exception that a log or error tracker may show."""
    parts = ["".join(traceback.format_exception(error)), repr(error)]
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        parts.append(repr(link.args))
        parts.append(repr(vars(link)))
        link = link.__cause__ or link.__context__
    return "\n".join(parts)


GUARD = LeakGuard()


def install() -> None:
    """Collect from all loggers, exceptions and requests of this process."""
    import requests.adapters
    import requests_mock

    real_call_handlers = logging.Logger.callHandlers

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        GUARD.saw_record(record)
        real_call_handlers(self, record)

    logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]

    for adapter in (requests.adapters.HTTPAdapter, requests_mock.Adapter):
        _watch_requests(adapter)

    from airflow_provider_bm.exceptions import BMError

    def init(self: BMError, *args: Any, **kwargs: Any) -> None:
        GUARD.exceptions.append(self)
        super(BMError, self).__init__(*args, **kwargs)

    BMError.__init__ = init  # type: ignore[method-assign]


def _watch_requests(adapter: Any) -> None:
    real_send = adapter.send

    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        GUARD.saw_request(request)
        return real_send(self, request, *args, **kwargs)

    adapter.send = send


def install_in_airflow() -> None:
    """Collect from triggers, and from structlog as Airflow 3 uses it. Imports Airflow."""
    from airflow.triggers.base import BaseTrigger

    real_init = BaseTrigger.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        GUARD.triggers.append(self)
        real_init(self, *args, **kwargs)

    BaseTrigger.__init__ = init  # type: ignore[method-assign]

    try:
        import structlog
    except ImportError:
        return  # Airflow 2

    def collect(logger: Any, method: str, event: Any) -> Any:
        GUARD.saw_event(logger, method, event)
        return event

    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[*processors[:-1], collect, processors[-1]])
