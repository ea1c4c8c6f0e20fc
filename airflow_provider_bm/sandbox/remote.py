"""The handles of a sandbox in another process."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from .clock import as_utc
from .connection import CLIENT_ID, CLIENT_SECRET, Connectable
from .faults import DEFAULT_TIMES
from .given import strings, uuids


class SandboxClient(Connectable):
    """The same methods as :class:`.Sandbox`, over HTTP.

    :param url: where the sandbox is served, e.g. ``http://127.0.0.1:8765``.
    """

    def __init__(self, url: str, client_id: str = CLIENT_ID, client_secret: str = CLIENT_SECRET) -> None:
        """Nothing is requested yet."""
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not the URL of a sandbox")
        self._url = url.rstrip("/")
        self.client_id, self.client_secret = client_id, client_secret
        # A proxy from the environment has no business between two processes of a test.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self.clock = RemoteClock(self)

    def call(self, method: str, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Call a handle; raise ValueError for what the sandbox refuses."""
        url, data = f"{self.url}/_sandbox/{name}", None
        if method == "GET":
            url += "?" + urlencode({n: v for n, v in (arguments or {}).items() if v is not None})
        elif arguments is not None:
            data = json.dumps(arguments).encode()
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

    def health(self) -> dict[str, Any]:
        """Tell that it runs, where, and with which service and recipient lists."""
        return dict(self.call("GET", "health"))

    def campaigns(self, **filters: Any) -> list[dict[str, Any]]:
        """See :meth:`.Sandbox.campaigns`."""
        fields = filters.pop("fields", None) or ""
        service = {"service_uuid": filters.pop("service_uuid", None)}
        # A query has no None: nothing stands for it.
        wanted = {name: "" if value is None else value for name, value in strings(filters).items()}
        named = {"fields": fields if isinstance(fields, str) else ",".join(fields)}
        return list(self.call("GET", "campaigns", wanted | service | named))

    def messages(
        self,
        campaign_uuid: str | None = None,
        to: str | None = None,
        channel: str | None = None,
        text: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> list[dict[str, Any]]:
        """See :meth:`.Sandbox.messages`."""
        wanted = strings({"campaign_uuid": campaign_uuid, "to": to, "channel": channel, "text": text})
        return list(self.call("GET", "messages", wanted | _texts({"since": since, "until": until})))

    def executions(self, campaign_uuid: str | None = None) -> list[dict[str, Any]]:
        """See :meth:`.Sandbox.executions`."""
        return list(self.call("GET", "executions", {"campaign_uuid": campaign_uuid}))

    def requests(
        self,
        method: str | None = None,
        path: str | None = None,
        status: int | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> list[dict[str, Any]]:
        """See :meth:`.Sandbox.requests`."""
        wanted = {"method": method, "path": path, "status": status}
        return list(self.call("GET", "requests", wanted | _texts({"since": since, "until": until})))

    def fault(
        self,
        method: str | None = None,
        path: str | None = None,
        nth: int = 1,
        times: int | None = DEFAULT_TIMES,
        **effect: Any,
    ) -> dict[str, Any]:
        """See :meth:`.Sandbox.fault`."""
        which = {"method": method, "path": path, "nth": nth, "times": times}
        return dict(self.call("POST", "faults", which | effect))

    def faults(self) -> list[dict[str, Any]]:
        """See :meth:`.Sandbox.faults`."""
        return list(self.call("GET", "faults"))

    def clear_faults(self, id: int | None = None) -> None:  # noqa: A002
        """See :meth:`.Sandbox.clear_faults`."""
        self.call("DELETE", "faults", {"id": id})

    def refuse(self, seconds: float) -> None:
        """See :meth:`.Sandbox.refuse`."""
        self.call("POST", "refuse", {"seconds": seconds})

    def reset(self) -> None:
        """See :meth:`.Sandbox.reset`."""
        self.call("POST", "reset")

    def revoke_tokens(self) -> None:
        """See :meth:`.Sandbox.revoke_tokens`."""
        self.call("POST", "revoke_tokens")

    def rate_limit(self, per_second: float | None, retry_after: str | int = "1") -> None:
        """See :meth:`.Sandbox.rate_limit`."""
        self.call("POST", "rate_limit", {"per_second": per_second, "retry_after": retry_after})

    def add_service(self, service_uuid: str | None = None) -> str:
        """See :meth:`.Sandbox.add_service`."""
        arguments = {} if service_uuid is None else {"service_uuid": service_uuid}
        return str(self.call("POST", "services", arguments)["service_uuid"])

    def add_client(self, client_id: str, client_secret: str, service_uuids: Iterable[str]) -> None:
        """See :meth:`.Sandbox.add_client`."""
        services = uuids("service_uuids", service_uuids)
        arguments = {"client_id": client_id, "client_secret": client_secret, "service_uuids": services}
        self.call("POST", "clients", arguments)

    def create(self, **fields: Any) -> dict[str, Any]:
        """See :meth:`.Sandbox.create`."""
        return dict(self.call("POST", "campaigns", _texts(fields)))

    def update_campaign(self, uuid: str, **fields: Any) -> dict[str, Any]:
        """See :meth:`.Sandbox.update_campaign`."""
        return dict(self.call("POST", "update_campaign", {"uuid": uuid, **_texts(fields)}))

    def start_campaign(self, uuid: str) -> dict[str, Any]:
        """See :meth:`.Sandbox.start_campaign`."""
        return dict(self.call("POST", "start_campaign", {"uuid": uuid}))

    def stop_campaign(self, uuid: str) -> dict[str, Any]:
        """See :meth:`.Sandbox.stop_campaign`."""
        return dict(self.call("POST", "stop_campaign", {"uuid": uuid}))

    def delete_campaign(self, uuid: str) -> None:
        """See :meth:`.Sandbox.delete_campaign`."""
        self.call("POST", "delete_campaign", {"uuid": uuid})

    @property
    def recipient_lists(self) -> dict[str, str]:
        """See :attr:`.Sandbox.recipient_lists`."""
        return dict(self.call("GET", "recipient_lists"))

    def add_recipient_list(self, name: str, contacts: Iterable[Mapping[str, str]]) -> str:
        """See :meth:`.Sandbox.add_recipient_list`."""
        given = [dict(contact) if isinstance(contact, Mapping) else contact for contact in contacts]
        arguments = {"name": name, "contacts": given}
        return str(self.call("POST", "recipient_lists", arguments)["uuid"])

    @property
    def ignore_filters(self) -> bool:
        """See :attr:`.Sandbox.ignore_filters`."""
        return bool(self.call("GET", "settings")["ignore_filters"])

    @ignore_filters.setter
    def ignore_filters(self, ignore: bool) -> None:
        self.call("POST", "settings", {"ignore_filters": ignore})

    @property
    def execution_seconds(self) -> float:
        """See :attr:`.Sandbox.execution_seconds`."""
        return float(self.call("GET", "settings")["execution_seconds"])

    @execution_seconds.setter
    def execution_seconds(self, seconds: float) -> None:
        self.call("POST", "settings", {"execution_seconds": seconds})

    @property
    def token_lifetime(self) -> float:
        """See :attr:`.Sandbox.token_lifetime`."""
        return float(self.call("GET", "settings")["token_lifetime"])

    @token_lifetime.setter
    def token_lifetime(self, seconds: float) -> None:
        self.call("POST", "settings", {"token_lifetime": seconds})


def _texts(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {n: as_utc(v).isoformat() if isinstance(v, datetime) else v for n, v in arguments.items()}


class RemoteClock:
    """The clock of a sandbox in another process; see :class:`.Clock`."""

    def __init__(self, client: SandboxClient) -> None:
        """Steer the clock of this sandbox."""
        self._client = client

    def _steer(self, **wanted: Any) -> datetime:
        return datetime.fromisoformat(self._client.call("POST", "clock", wanted)["now"])

    def now(self) -> datetime:
        """Tell the sandbox's time, aware, in UTC."""
        return datetime.fromisoformat(self._client.call("GET", "clock")["now"])

    def advance(self, by: float | timedelta) -> datetime:
        """Move the clock forward."""
        return self._steer(advance=by.total_seconds() if isinstance(by, timedelta) else by)

    def freeze(self) -> datetime:
        """Let time stand still."""
        return self._steer(freeze=True)

    def resume(self) -> datetime:
        """Let time pass again."""
        return self._steer(resume=True)

    def set(self, now: datetime) -> datetime:
        """Set the time."""
        return self._steer(set=as_utc(now).isoformat())

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return bool(self._client.call("GET", "clock")["frozen"])

    @property
    def speed(self) -> float:
        """Seconds of sandbox time per real second."""
        return float(self._client.call("GET", "clock")["speed"])

    @speed.setter
    def speed(self, speed: float) -> None:
        self._steer(speed=speed)
