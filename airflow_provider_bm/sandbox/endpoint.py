"""The URLs of a sandbox, and the Airflow connection to it; shared by the sandbox and its remote client."""

from __future__ import annotations

import json
import shlex
from typing import Any, Final

from airflow_provider_bm.sandbox import contacts
from airflow_provider_bm.sandbox.api import API_PATH, TOKEN_PATH

CLIENT_ID: Final = "sandbox"
CLIENT_SECRET: Final = "sandbox-secret"  # noqa: S105 - published, and valid on loopback only
#: Stands for a custom client secret where others may read it.
SECRET_PLACEHOLDER: Final = "YOUR_CLIENT_SECRET"  # noqa: S105


class SandboxEndpoint:
    """The data that a client needs to connect to a sandbox."""

    _url: str = ""
    client_id: str
    client_secret: str
    #: The service that every sandbox has.
    service_uuid: str = contacts.DEFAULT_SERVICE

    @property
    def url(self) -> str:
        """Base URL of the server.

        :raises RuntimeError: it has not been started
        """
        if not self._url:
            raise RuntimeError("the sandbox has no URL before it is started")
        return self._url

    @property
    def api_url(self) -> str:
        """Base URL of the Campaign API."""
        return self.url + API_PATH

    @property
    def token_url(self) -> str:
        """URL of the token endpoint."""
        return self.url + TOKEN_PATH

    def connection(self, **extra: Any) -> dict[str, Any]:
        """Return the Airflow connection, in the form of ``AIRFLOW_CONN_*`` in JSON.

        :param extra: more extras of the connection, e.g. ``draft_only=True``
        """
        return {
            "conn_type": "bm",
            "port": 0,  # the form of Airflow 3.3 cannot test a connection without one
            "login": self.client_id,
            "password": self.client_secret,
            "schema": self.service_uuid,
            "extra": {
                "api_url": self.api_url,
                "token_url": self.token_url,
                "console_url": self.url + "/#{campaign_uuid}",
                **extra,
            },
        }

    def connection_json(self, **extra: Any) -> str:
        """Return the Airflow connection as JSON text."""
        return json.dumps(self.connection(**extra))


def export_command(sandbox: SandboxEndpoint) -> str:
    """Return the shell command that sets the Airflow connection, without a custom client secret."""
    connection = sandbox.connection()
    if sandbox.client_secret != CLIENT_SECRET:
        connection["password"] = SECRET_PLACEHOLDER
    return f"export AIRFLOW_CONN_BM_DEFAULT={shlex.quote(json.dumps(connection))}"
