"""The exceptions of this package. They never contain a token, a secret or a header.

::

    BMError
    ├── BMConfigError            the connection or the configuration is invalid or incomplete
    ├── BMPayloadError           the arguments are invalid: found before any request
    ├── BMPolicyError            refused by a restriction of the connection or of [bm]: nothing was sent
    │   └── BMDraftOnlyError       by draft_only
    ├── BMHeldError              refused: a test may only call its sandbox
    ├── BMCampaignStateError     the campaign's state does not allow it, or the wait for it failed
    ├── BMOutcomeUnknownError    a request that may have been carried out: do not repeat it blindly
    ├── BMTransportError         no complete response
    │   ├── BMConnectError         the request was never sent
    │   └── BMTimeoutError         no complete response in time
    ├── BMResponseError          a response that is not what the API promises (HTML, cut off, wrong shape)
    └── BMAPIError               the server refused: ``status``, ``code``, ``items``
        ├── BMBadRequestError      400, 422, and any other 4xx
        ├── BMAuthError            401, or the token endpoint refused the credentials
        ├── BMForbiddenError       403
        ├── BMNotFoundError        404
        ├── BMConflictError        409
        ├── BMRateLimitError       429
        └── BMServerError          408 and 5xx

``permanent`` says whether a retry of the task is pointless, ``retry_class`` whether the client may repeat
the call. Source of the error body: Campaign API 4.10 and 4.11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
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


class RetryClass(Enum):
    """Whether the request was carried out, and so whether it may be repeated."""

    #: Not carried out, and it may succeed later: any call may be repeated.
    REPEAT = "repeat"
    #: Not carried out, and it would not succeed later either.
    REFUSED = "refused"
    #: Perhaps carried out: only a call that cannot send messages may be repeated.
    UNKNOWN = "unknown"


class BMError(Exception):
    """Base class of all exceptions of this package.

    :ivar permanent: a later retry cannot succeed, so Airflow must not retry
    :ivar retry_class: whether the request was carried out, and may be repeated
    :ivar of_token: raised by the token endpoint, so the call itself was not carried out
    """

    permanent: bool = True
    retry_class: RetryClass = RetryClass.REFUSED
    of_token: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Airflow passes exceptions between processes; not every class can be constructed from its args.
        return _restore, (type(self), self.args, vars(self))


class BMConfigError(BMError, ValueError):
    """The connection or the configuration is invalid or incomplete; the message names the field."""


@dataclass(frozen=True)
class Problem:
    """A problem with a payload: the field, its value, and what is expected."""

    field: str
    value: Any
    expected: str

    def __repr__(self) -> str:
        return f"Problem({self.field!r}, {truncated_repr(self.value)}, {self.expected!r})"

    def __str__(self) -> str:
        return f"{self.field}={truncated_repr(self.value)}: {self.expected}"


class BMPayloadError(BMError, ValueError):
    """The arguments are invalid, found before any request was made.

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


class BMPolicyError(BMError):
    """A restriction of the connection, or of section ``[bm]``, refuses the request: nothing was sent."""


class BMDraftOnlyError(BMPolicyError):
    """``draft_only`` is on: nothing may be sent."""


class BMHeldError(BMError):
    """A test would have called another server than its sandbox: see :mod:`airflow_provider_bm.testing`."""


class BMCampaignStateError(BMError):
    """The campaign's state does not allow the change, or a wait for the campaign failed.

    :ivar campaign: the campaign as last read, or None
    """

    def __init__(self, message: str, campaign: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.campaign = campaign


class BMOutcomeUnknownError(BMError):
    """A request was sent, and it is unknown whether it was carried out.

    Permanent on purpose: repeating it blindly may send a campaign twice. ``__cause__`` is the error that
    the request ended with.

    :ivar what: what is unknown, and why, without the advice of the message
    :ivar name: name of the campaign that may exist or may have been activated
    :ivar status: HTTP status of the response, if there was one
    """

    retry_class = RetryClass.UNKNOWN

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
    """There was no complete response. Transient."""

    permanent = False
    retry_class = RetryClass.UNKNOWN


class BMConnectError(BMTransportError):
    """No connection was made, so the request was never sent.

    Permanent if the request could not be made at all, or the server's certificate is not trusted: that is
    an error in the connection.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_class = RetryClass.REFUSED if permanent else RetryClass.REPEAT


class BMTimeoutError(BMTransportError, TimeoutError):
    """The request was sent, and no complete response came in time."""


class BMResponseError(BMError):
    """A response that is not what the API promises: HTML, cut off, or of the wrong shape.

    Transient, since it usually comes from a proxy or a gateway; a redirect is permanent.

    :ivar status: HTTP status of the response
    """

    permanent = False
    retry_class = RetryClass.UNKNOWN

    def __init__(self, message: str, status: int | None = None, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.permanent = permanent


class BMAPIError(BMError):
    """The server refused the request, or failed.

    :ivar status: HTTP status
    :ivar code: the API's error code, if the body had one (4.10)
    :ivar message: the API's message, or an excerpt of the body if it is not in the API's form
    :ivar description: the API's description, if any
    :ivar items: the API's error items, ``({"name": …, "message": …}, …)`` (4.11)
    :ivar retry_after: seconds that the server asked to wait, or None
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
        retry_class: RetryClass = RetryClass.REFUSED,
    ) -> None:
        self.status = status
        self.call = call
        self.code = code
        self.message = message
        self.description = description
        self.items = tuple(items)
        self.retry_after = retry_after
        self.retry_class = retry_class
        text = f"HTTP {status}" + (f" {code}" if code else "") + f" on {call}"
        text += f": {message}" if message else ""
        text += f" ({description})" if description else ""
        text += "".join(f"\n  {_item_text(item)}" for item in self.items)
        text += f" (retry after {retry_after:g} s)" if retry_after else ""
        super().__init__(text)

    @classmethod
    def for_status(cls, status: int) -> type[BMAPIError]:
        """The class for an HTTP status; unknown 4xx are bad requests, unknown 5xx server errors."""
        return cls.classes.get(status) or (BMServerError if status >= 500 else BMBadRequestError)


class BMBadRequestError(BMAPIError, statuses=(400, 405, 422)):
    """The server did not accept the request."""


class BMAuthError(BMAPIError, statuses=(401,)):
    """The credentials or a new token were refused."""


class BMForbiddenError(BMAPIError, statuses=(403,)):
    """Not allowed: often the machine's IP address is not registered for the API account."""


class BMNotFoundError(BMAPIError, statuses=(404,)):
    """There is no such campaign or service."""


class BMConflictError(BMAPIError, statuses=(409,)):
    """Another operation on the campaign is in progress. Transient."""

    permanent = False


class BMRateLimitError(BMAPIError, statuses=(429,)):
    """Too many requests; ``retry_after`` is the wait that the server requested, or None."""

    permanent = False


class BMServerError(BMAPIError, statuses=(408, 500, 502, 503, 504)):
    """The server, or a gateway before it, failed."""

    permanent = False


def _item_text(item: Mapping[str, Any]) -> str:
    name, message, description = (item.get(key) for key in ("name", "message", "description"))
    return f"{name}: {message}" + (f" ({description})" if description else "")


def _restore(cls: type[BMError], args: tuple[Any, ...], attributes: dict[str, Any]) -> BMError:
    error = cls.__new__(cls, *args)
    error.args = args
    vars(error).update(attributes)
    return error
