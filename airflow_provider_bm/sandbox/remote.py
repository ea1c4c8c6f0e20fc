"""The operations of a sandbox in another process."""

from __future__ import annotations

import base64
import functools
import inspect
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow_provider_bm.sandbox.arguments import strings
from airflow_provider_bm.sandbox.clock import as_utc
from airflow_provider_bm.sandbox.endpoint import CLIENT_ID, CLIENT_SECRET, SandboxEndpoint
from airflow_provider_bm.sandbox.operations import OPERATIONS, Operation, Operations
from airflow_provider_bm.sandbox.settings import SETTINGS

# Type checkers and editors see the operations; at run time they are made from OPERATIONS.
if TYPE_CHECKING:
    _Base = Operations
else:
    _Base = SandboxEndpoint


class SandboxClient(_Base):
    """The same operations as :class:`.Sandbox`, over HTTP.

    :param url: where the sandbox is served, e.g. ``http://127.0.0.1:8765``
    """

    def __init__(self, url: str, client_id: str = CLIENT_ID, client_secret: str = CLIENT_SECRET) -> None:
        """Send nothing yet."""
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not the URL of a sandbox")
        self._url = url.rstrip("/")
        self.client_id, self.client_secret = client_id, client_secret
        # Not through a proxy from the environment: it is another process of a test.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self.clock = RemoteClock(self)  # type: ignore[assignment]

    def call(self, method: str, name: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Call a route under ``/_sandbox/``.

        :raises ValueError: the sandbox refuses it
        """
        url, data = f"{self.url}/_sandbox/{name}", None
        if method == "GET":
            url += "?" + urlencode({name: _as_query(value) for name, value in (arguments or {}).items()})
        elif arguments is not None:
            data = json.dumps(arguments, default=_as_json).encode()
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - checked above
        request.add_header("Content-Type", "application/json")
        login = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        try:
            with self._open(request, timeout=60) as reply:
                text = reply.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(f"{error.code} {error.read().decode('utf-8', 'replace')}") from None
        return json.loads(text) if text else None


def _as_query(value: Any) -> Any:
    if isinstance(value, str | int | float | None):
        return "" if value is None else value
    return _as_json(value) if isinstance(value, datetime) else ",".join(value)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return as_utc(value).isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise ValueError(f"{value!r} cannot be sent as JSON")


def _arguments(
    signature: inspect.Signature, sandbox: SandboxClient, *args: Any, **kwargs: Any
) -> dict[str, Any]:
    bound = signature.bind(sandbox, *args, **kwargs).arguments
    del bound["self"]
    others = {
        name: bound.pop(name)
        for name, parameter in signature.parameters.items()
        if parameter.kind is parameter.VAR_KEYWORD and name in bound
    }
    return bound | {name: value for mapping in others.values() for name, value in mapping.items()}


def _method(operation: Operation, local: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(local)

    @functools.wraps(local)
    def method(self: SandboxClient, *args: Any, **kwargs: Any) -> Any:
        arguments = _arguments(signature, self, *args, **kwargs)
        if operation.method == "GET":
            # In a query everything is a string: a number would be compared as one.
            known = signature.parameters
            strings({name: value for name, value in arguments.items() if name not in known})
            arguments = {n: v for n, v in arguments.items() if v is not None or n not in known}
        result = self.call(operation.method, operation.path, arguments)
        return result if operation.key is None else result[operation.key]

    return method


def _property(path: str, key: str | None, local: property) -> property:
    def read(self: SandboxClient) -> Any:
        result = self.call("GET", path)
        return result if key is None else result[key]

    def write(self: SandboxClient, value: Any) -> None:
        self.call("POST", path, {str(key): value})

    return property(read, write if local.fset else None, doc=local.__doc__)


for _operation in OPERATIONS:
    _local = getattr(Operations, _operation.name)
    _attribute = (
        _property(_operation.path, _operation.key, _local)
        if isinstance(_local, property)
        else _method(_operation, _local)
    )
    setattr(SandboxClient, _operation.name, _attribute)
for _name in SETTINGS:
    setattr(SandboxClient, _name, _property("settings", _name, getattr(Operations, _name)))


class RemoteClock:
    """The clock of a sandbox in another process; see :class:`.Clock`."""

    def __init__(self, client: SandboxClient) -> None:
        """Control the clock of this sandbox."""
        self._client = client

    def _control(self, **wanted: Any) -> datetime:
        return datetime.fromisoformat(self._client.call("POST", "clock", wanted)["now"])

    def now(self) -> datetime:
        """Return the current time of the sandbox, aware, in UTC."""
        return datetime.fromisoformat(self._client.call("GET", "clock")["now"])

    def advance(self, by: float | timedelta) -> datetime:
        """Move the clock forward."""
        return self._control(advance=by.total_seconds() if isinstance(by, timedelta) else by)

    def freeze(self) -> datetime:
        """Stop the clock."""
        return self._control(freeze=True)

    def resume(self) -> datetime:
        """Start the clock again."""
        return self._control(resume=True)

    def set(self, now: datetime) -> datetime:
        """Set the time."""
        return self._control(set=as_utc(now).isoformat())

    @property
    def frozen(self) -> bool:
        """Whether the clock is stopped."""
        return bool(self._client.call("GET", "clock")["frozen"])

    @property
    def speed(self) -> float:
        """Seconds of sandbox time per real second."""
        return float(self._client.call("GET", "clock")["speed"])

    @speed.setter
    def speed(self, speed: float) -> None:
        self._control(speed=speed)
