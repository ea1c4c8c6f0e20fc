"""What can go wrong, as one tree. No Airflow in it, and never a token, secret or header.

::

    BMError
    ├── BMConfigError            the connection is wrong, or incomplete
    ├── BMPayloadError           what was asked for is wrong: found before any request
    ├── BMDraftOnlyError         refused, since the connection must never send
    ├── BMHeldError              refused, since a test may call nothing but its sandbox
    ├── BMCampaignStateError     the campaign's state does not allow it, or the wait for it failed
    ├── BMOutcomeUnknownError    a request that may have been carried out: it must not be repeated blindly
    ├── BMTransportError         no complete reply
    │   ├── BMConnectError         the request never left
    │   └── BMTimeoutError         no reply in time
    ├── BMResponseError          a reply that is not what the API promises (HTML, cut off, wrong shape)
    └── BMAPIError               the server said no: ``status``, ``code``, ``items``
        ├── BMBadRequestError      400, 422, and any 4xx without a class of its own
        ├── BMAuthError            401, or the token endpoint refused the credentials
        ├── BMForbiddenError       403
        ├── BMNotFoundError        404
        ├── BMConflictError        409
        ├── BMRateLimitError       429
        └── BMServerError          408 and 5xx

``permanent`` says whether trying the same again later is pointless. Source of the error body: Campaign
API 4.10 and 4.11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

_LONGEST_VALUE = 200


def truncate(text: str, longest: int) -> str:
    """Cut a text that is longer than a limit, and append its length."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def truncated_repr(value: object, longest: int = _LONGEST_VALUE) -> str:
    """Return the ``repr`` of a value, cut to a length that fits into a log line. Never fails."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - nested too deeply, an int of over 4,300 digits, a foreign type
        text = f"<{type(value).__name__} without a repr: {type(error).__name__}>"
    return truncate(text, longest)


class BMError(Exception):
    """Anything that this package raises on purpose.

    :ivar permanent: trying the same again later cannot help; Airflow retries would be wasted
    :ivar of_token: it happened while a token was fetched, so the call itself was not carried out
    """

    permanent: bool = True
    of_token: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Airflow hands exceptions from process to process; not every class can be made from its args.
        return _restore, (type(self), self.args, vars(self))


class BMConfigError(BMError, ValueError):
    """The connection is wrong or incomplete; the message names the field."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a payload: the field, its value, and what would be right."""

    field: str
    value: Any
    expected: str

    def __repr__(self) -> str:
        return f"Problem({self.field!r}, {truncated_repr(self.value)}, {self.expected!r})"

    def __str__(self) -> str:
        return f"{self.field}={truncated_repr(self.value)}: {self.expected}"


class BMPayloadError(BMError, ValueError):
    """What was asked for is invalid, found before any request was made.

    :param problems: every problem found, not only the first
    :param subject: what is invalid
    :param nothing_sent: it is a payload, so the message adds that nothing was sent
    """

    def __init__(
        self, problems: Iterable[Problem], subject: str = "campaign", *, nothing_sent: bool = False
    ) -> None:
        self.problems = tuple(problems)
        self.subject = subject
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"Invalid {subject}{'; nothing was sent' * nothing_sent}:{lines}")


class BMDraftOnlyError(BMError):
    """The connection says ``draft_only``: nothing that goes through it may send."""


class BMHeldError(BMError):
    """A test would have called another server than its sandbox: see :mod:`airflow_provider_bm.testing`."""


class BMCampaignStateError(BMError):
    """The campaign's state does not allow what was asked, or it ended otherwise than waited for.

    :ivar campaign: the campaign as it was last seen, if it was
    """

    def __init__(self, message: str, campaign: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.campaign = campaign


class BMOutcomeUnknownError(BMError):
    """A request left, and nobody knows whether it was carried out.

    Permanent on purpose: whoever repeats it blindly may send a campaign twice. The cause is in
    ``__cause__``.

    :ivar what: what is not known, and why, without the advice of the message
    :ivar name: name of the campaign that may exist or may have been activated
    :ivar status: HTTP status of the reply, if there was one
    """

    def __init__(
        self,
        what: str,
        *,
        advice: str = "Look for it in the BM console before you repeat this, or it may be sent twice.",
        name: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what
        self.name = name
        self.status = status


class BMTransportError(BMError):
    """There was no complete reply: a passing error."""

    permanent = False


class BMConnectError(BMTransportError):
    """No connection was made, so the request never left.

    Permanent where the server's certificate is not trusted: that is the connection's ``verify``.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class BMTimeoutError(BMTransportError, TimeoutError):
    """The request left and no reply came in time."""


class BMResponseError(BMError):
    """A reply that is not what the API promises: HTML, cut off, or of the wrong shape.

    Passing, since it usually comes from a proxy or a gateway on a bad day; a redirect is not.

    :ivar status: HTTP status of the reply
    """

    permanent = False

    def __init__(self, message: str, status: int | None = None, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.permanent = permanent


class BMAPIError(BMError):
    """The server refused, or failed, and said so.

    :ivar status: HTTP status
    :ivar code: the API's error code, if the body had one (4.10)
    :ivar message: the API's message, or a piece of the body if it was not the API's
    :ivar description: the API's description, if any
    :ivar items: the API's error items, ``({"name": …, "message": …}, …)`` (4.11)
    :ivar retry_after: seconds that the server asked to wait, if it did
    """

    classes: ClassVar[dict[int, type[BMAPIError]]] = {}

    def __init_subclass__(cls, statuses: Sequence[int] = (), **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        BMAPIError.classes.update(dict.fromkeys(statuses, cls))

    def __init__(
        self,
        *,
        status: int,
        call: str,
        code: str | None = None,
        message: str = "",
        description: str | None = None,
        items: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.call = call
        self.code = code
        self.message = message
        self.description = description
        self.items = tuple(items)
        self.retry_after = retry_after
        text = f"HTTP {status}" + (f" {code}" if code else "") + f" on {call}"
        text += f": {message}" if message else ""
        text += f" ({description})" if description else ""
        text += "".join(f"\n  {_item_text(item)}" for item in self.items)
        if retry_after is not None:
            text += f" (the server asks to wait {retry_after:g} s)"
        super().__init__(text)

    @classmethod
    def for_status(cls, status: int) -> type[BMAPIError]:
        """The class for an HTTP status; unknown 4xx are bad requests, unknown 5xx server errors."""
        return cls.classes.get(status) or (BMServerError if status >= 500 else BMBadRequestError)


class BMBadRequestError(BMAPIError, statuses=(400, 405, 422)):
    """The server did not accept the request."""


class BMAuthError(BMAPIError, statuses=(401,)):
    """The credentials were refused, or a fresh token was."""


class BMForbiddenError(BMAPIError, statuses=(403,)):
    """Not allowed: often the machine's IP address is not on the API account's list."""


class BMNotFoundError(BMAPIError, statuses=(404,)):
    """There is no such campaign or service."""


class BMConflictError(BMAPIError, statuses=(409,)):
    """Something else is happening to the campaign; it may pass."""

    permanent = False


class BMRateLimitError(BMAPIError, statuses=(429,)):
    """Too many requests; ``retry_after`` says how long to wait, if the server did."""

    permanent = False


class BMServerError(BMAPIError, statuses=(408, 500, 502, 503, 504)):
    """The server, or a gateway before it, has a problem."""

    permanent = False


def _item_text(item: Mapping[str, Any]) -> str:
    name, message, description = (item.get(key) for key in ("name", "message", "description"))
    return f"{name}: {message}" + (f" ({description})" if description else "")


def _restore(cls: type[BMError], args: tuple[Any, ...], attributes: dict[str, Any]) -> BMError:
    error = cls.__new__(cls, *args)
    error.args = args
    vars(error).update(attributes)
    return error
