"""Settings of a client: the BM account, the credentials and the connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_bm.campaigns import SendWindow

#: Seconds to wait for a connection, and then between two pieces of a response.
DEFAULT_TIMEOUT = 30.0
#: Maximum seconds to wait for a connection.
LONGEST_CONNECT_TIMEOUT = 10.0

#: Seconds after its first request within which a call that writes may be replayed with a new token (401) or
#: repeated (429, no connection). The in-flight window depends on it.
LATEST_REPLAY = 5.0


@dataclass(frozen=True, kw_only=True)
class BMSettings:
    """The API's URLs, the credentials, and options. Not validated here: see :func:`.settings_of`.

    :param api_url: base of the Campaign API, without a slash at the end
    :param token_url: the OAuth2 token endpoint
    :param client_id: OAuth2 client id
    :param client_secret: OAuth2 client secret; not in the ``repr``
    :param service_uuid: the BM account (service); None: every call that needs one fails
    :param timeout: seconds to wait for each piece of a response; for the connection, 10 at most
    :param verify: True, or the path of a CA bundle. True still honours ``REQUESTS_CA_BUNDLE``.
    :param proxies: as in requests, in addition to the environment's; not in the ``repr``, since they may
        contain a password
    :param draft_only: nothing may be sent: campaigns stay drafts
    :param allowed_recipient_lists: UUIDs of the only contact lists that may be messaged; None: any;
        ``()``: none
    :param allowed_variables: variables, besides contact fields and ``template_vars``, that the content of
        a cloned campaign may contain
    :param max_campaigns_per_hour: nothing is activated after this number of campaigns, not counting drafts,
        were created on the service in the past hour; None: no limit
    :param send_window: when messages may go out; None: at any time
    :param key_namespace: distinguishes the idempotency keys of Airflow installations that share a service
    :param max_age: default of the operators' ``max_age``, a day; None: no limit
    :param console_url: template of a link to a campaign, with ``{campaign_uuid}``
    :param conn_id: the Airflow connection that the settings come from, for messages
    """

    api_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    service_uuid: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    draft_only: bool = False
    allowed_recipient_lists: tuple[str, ...] | None = None
    allowed_variables: tuple[str, ...] = ()
    max_campaigns_per_hour: int | None = None
    send_window: SendWindow | None = None
    key_namespace: str = ""
    max_age: timedelta | None = timedelta(days=1)
    console_url: str | None = None
    conn_id: str | None = field(default=None, compare=False)

    @property
    def latest_replay(self) -> float:
        """Seconds within which a call that writes and was refused (401, 429) is sent again."""
        return min(LATEST_REPLAY, self.timeout)

    @property
    def timeouts(self) -> tuple[float, float]:
        """Connect and read time-outs, in seconds."""
        return min(self.timeout, LONGEST_CONNECT_TIMEOUT), self.timeout

    @property
    def exchange_deadline(self) -> float:
        """Seconds after which a request is abandoned, even if part of its response has arrived."""
        connect, read = self.timeouts
        return connect + 2 * read

    @property
    def in_flight_window(self) -> timedelta:
        """How long after it was first sent a request may still be carried out.

        The client gives up after :attr:`exchange_deadline`; a gateway may continue for as long again. The
        request may leave late: recording its intent, repeating it after a refusal, and replaying it with a
        new token may take ``latest_replay`` each.
        """
        return timedelta(seconds=2 * self.exchange_deadline + 3 * self.latest_replay)
