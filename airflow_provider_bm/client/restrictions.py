"""Restrictions of a connection, which the session enforces for every request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from airflow_provider_bm.campaigns.executions import first_execution_outside
from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.exceptions import BMDraftOnlyError, BMPolicyError, truncated_repr

#: Methods that change nothing, or nothing that could send.
_HARMLESS = ("GET", "HEAD", "OPTIONS", "DELETE")
#: The only status with which another method cannot send.
_HARMLESS_STATUS = {"POST": "draft", "PUT": "draft", "PATCH": "stopped"}
#: A request with one of these statuses sends nothing.
_INACTIVE = ("draft", "stopped", "finished")


class Restrictions:
    """The restrictions of a connection, checked against each request: they refuse it, or leave it unchanged.

    Data outside of the request is not checked: the recipient lists of a clone's source, for example.

    :param campaigns_in_past_hour: number of campaigns, other than drafts, that were created on the service in
        the past hour; called before a request that can send, if ``max_campaigns_per_hour`` is set
    :param now: the current time
    """

    def __init__(
        self,
        settings: BMSettings,
        *,
        campaigns_in_past_hour: Callable[[], int],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._campaigns_in_past_hour = campaigns_in_past_hour
        self._now = now

    def check(self, request: requests.PreparedRequest, call: str) -> None:
        """Refuse a request that the connection does not allow.

        :param call: the request, for messages
        :raises BMPolicyError: nothing was sent
        """
        method, settings = (request.method or "").upper(), self._settings
        if method in _HARMLESS or self._is_for_token(request):
            return
        content = _json_object(request.body)
        body = content or {}
        if body.get("name"):
            call += f" ({truncated_repr(body['name'], 100)})"
        can_send = method not in _HARMLESS_STATUS or body.get("status") != _HARMLESS_STATUS[method]
        if settings.draft_only and can_send:
            raise BMDraftOnlyError(
                f"The connection is draft_only: {call} was not sent, since its status is "
                f"{truncated_repr(body.get('status'))} and may only be {_HARMLESS_STATUS.get(method)!r}."
            )
        if content is None and settings.allowed_recipient_lists is not None:
            raise BMPolicyError(
                f"{call} was not sent: its body is not a JSON object without repeated keys, so its "
                "recipient_lists cannot be compared with the connection's allowed_recipient_lists."
            )
        check_recipient_lists(settings, body.get("recipient_lists"), f"{call} was not sent")
        if body.get("status") not in _INACTIVE:
            self._check_window(body, call)
            self._check_rate(call)

    def _is_for_token(self, request: requests.PreparedRequest) -> bool:
        # Normalised as requests does it: with the host in lower case, and a path.
        token_url = requests.Request("POST", self._settings.token_url).prepare().url
        return request.method == "POST" and request.url == token_url

    def _check_window(self, body: Mapping[str, Any], call: str) -> None:
        window, now = self._settings.send_window, self._now()
        if window is None:
            return
        # Without a schedule in the request, it is unknown: the campaign may send at once.
        schedule = {key: body[key] for key in ("schedule_type", "schedule_rrule") if body.get(key)}
        outside = first_execution_outside(schedule, window, now=now, until=now + timedelta(days=366))
        if outside is None:
            return
        verb = "would" if schedule else "has no schedule, and may"
        raise BMPolicyError(
            f"{call} was not sent: it {verb} send at {outside:%Y-%m-%d %H:%M} UTC, which is outside the "
            f"connection's send_window, {window}. It next opens at "
            f"{window.next_opening(max(now, outside)):%Y-%m-%d %H:%M} UTC."
        )

    def _check_rate(self, call: str) -> None:
        limit = self._settings.max_campaigns_per_hour
        if limit is None:
            return
        count = self._campaigns_in_past_hour()
        if count >= limit:
            raise BMPolicyError(
                f"{call} was not sent: {count} campaigns were created on the service in the past hour, and "
                f"the connection's max_campaigns_per_hour is {limit}. Find out what creates so many before "
                "you raise it."
            )


def check_recipient_lists(settings: BMSettings, lists: Any, subject: str) -> None:
    """Refuse recipient lists that the connection does not allow.

    :param lists: a campaign's ``recipient_lists``; None: not known, so not checked
    :param subject: begins the message: what was not done, and with which campaign
    :raises BMPolicyError: at least one list is not allowed
    """
    allowed = settings.allowed_recipient_lists
    if allowed is None or lists is None:
        return
    names = lists.split(",") if isinstance(lists, str) else lists if isinstance(lists, list) else [lists]
    others = [name for each in names if (name := str(each).strip()) and name.lower() not in allowed]
    if others:
        raise BMPolicyError(
            f"{subject}: allowed_recipient_lists does not contain {', '.join(others)}. It allows "
            f"{', '.join(allowed) or 'none'}."
        )


def is_recent(campaign: Mapping[str, Any], now: datetime) -> bool:
    """Whether a campaign was created in the past hour; if unknown: yes."""
    try:
        created = datetime.fromisoformat(str(campaign.get("created_dt")))
    except ValueError:
        return True
    created = created if created.tzinfo else created.replace(tzinfo=UTC)
    return created > now - timedelta(hours=1)


def _json_object(body: Any) -> Mapping[str, Any] | None:
    """The JSON object of a body; None if it is not one, or repeats a key: which one counts is unknown."""
    if not isinstance(body, (str, bytes)):
        return None  # Reading a stream would take it from the request.
    try:
        content = parse_json(body if isinstance(body, str) else body.decode())
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
