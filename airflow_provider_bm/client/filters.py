"""The filter of a list, and checks that the campaigns in a response match it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from airflow_provider_bm.campaigns.constants import CAMPAIGN_FIELDS, RESPONSE_FIELDS
from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.client.assumptions import FILTER_VALUE_SEPARATOR
from airflow_provider_bm.client.query import Filters, filter_of, list_params, optional_fields
from airflow_provider_bm.exceptions import BMPayloadError, BMResponseError, Problem, truncated_repr


@dataclass(frozen=True, kw_only=True)
class CampaignFilter:
    """A validated, hashable selection of campaigns to list.

    :ivar filters: query parameters, as they are sent
    :ivar fields: optional parts: ``tasks``, ``messages``
    """

    filters: tuple[tuple[str, str], ...]
    fields: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        sending_type: str | Sequence[str] | None = None,
        status: str | Sequence[str] | None = None,
        filters: Filters | None = None,
        fields: str | Sequence[str] = (),
    ) -> CampaignFilter:
        """Validate a filter; the arguments are those of :meth:`.BMClient.list_campaigns`.

        :raises BMPayloadError: a filter is invalid, or by a column that no campaign has
        """
        params = list_params(sending_type=sending_type, status=status, filters=filters)
        # Nothing in a response could show whether the server knows such a filter, or ignores it and lists
        # everything.
        unknown = [(key, value) for key, value in params if filter_of(key)[1] not in _COLUMNS]
        if unknown:
            what = f"is a filter by a column that no campaign has; they have {', '.join(_COLUMNS)}"
            problems = [Problem(f"filters[{key!r}]", value, what) for key, value in unknown]
            raise BMPayloadError(problems, "list of campaigns")
        return cls(filters=tuple(params), fields=tuple(optional_fields(fields)))

    def check(self, campaign: Mapping[str, Any]) -> None:
        """Check that a campaign matches the filter.

        Doubtful cases match: how a server compares letters, for example, is unknown.

        :raises BMResponseError: it does not: the server ignores a filter that it does not know
        """
        for key, wanted in self.filters:
            operator, column = filter_of(key)
            value = campaign.get(column)
            # A column that is not in the response may still be known to the server.
            if column in campaign and not _CHECKS[operator](value, wanted):
                raise BMResponseError(
                    f"The server was asked for campaigns with {key}={wanted}, and returned "
                    f"{campaign_label(campaign['uuid'], campaign)}, whose {column} is "
                    f"{truncated_repr(value)}: it does not support the filter."
                )


def _text(value: Any) -> str:
    """A text without case and accents, which many servers ignore."""
    if value is None:
        return ""
    letters = unicodedata.normalize("NFKD", str(value).casefold().strip())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _equals(value: Any, wanted: str) -> bool:
    if _text(value) == _text(wanted):
        return True
    mine, other = _number(value), _number(wanted)
    return mine is not None and other is not None and abs(mine - other) <= _tolerance(value)


def _is_one_of(value: Any, wanted: str) -> bool:
    return any(_equals(value, each) for each in wanted.split(FILTER_VALUE_SEPARATOR))


def _is_exactly_one_of(value: Any, wanted: str) -> bool:
    return value in wanted.split(FILTER_VALUE_SEPARATOR)


def _number(value: Any) -> float | None:
    """A number, or a time as one; None if it is neither."""
    try:
        return float(value)
    except OverflowError:
        return None
    except (TypeError, ValueError):
        return _moment(value)


def _moment(value: Any) -> float | None:
    try:
        return read_time(value).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _rank(value: Any) -> float | None:
    """A value's rank; None if unknown: text that looks like a number may be ordered as text."""
    return _moment(value) if isinstance(value, str) else _number(value)


def _tolerance(value: Any) -> float:
    """How far a time may be off: a response has whole seconds, where the server may store fractions."""
    return 1.0 if isinstance(value, str) and ":" in value else 0.0


def _is_at_most(value: Any, wanted: str) -> bool:
    mine, limit = _rank(value), _number(wanted)
    return mine is None or limit is None or mine <= limit + _tolerance(value)


def _is_at_least(value: Any, wanted: str) -> bool:
    mine, limit = _rank(value), _number(wanted)
    return mine is None or limit is None or mine >= limit - _tolerance(value)


def _is_between(value: Any, wanted: str) -> bool:
    low, _, high = wanted.partition(FILTER_VALUE_SEPARATOR)
    return _is_at_least(value, low) and _is_at_most(value, high)


def _is_not_between(value: Any, wanted: str) -> bool:
    low, _, high = wanted.partition(FILTER_VALUE_SEPARATOR)
    # Servers may count the limits themselves as between, or not.
    inside = _rank(value) is not None and _number(low) is not None and _number(high) is not None
    return not inside or _is_at_most(value, low) or _is_at_least(value, high)


_COLUMNS = (*CAMPAIGN_FIELDS, *RESPONSE_FIELDS)
_EMPTY: tuple[Any, ...] = (None, "", [], {})
_CHECKS: dict[str, Callable[[Any, str], bool]] = {
    "eq": _equals,
    "neq": lambda value, wanted: value != wanted,
    "in": _is_one_of,
    "notin": lambda value, wanted: not _is_exactly_one_of(value, wanted),
    "startswith": lambda value, wanted: _text(value).startswith(_text(wanted)),
    "contains": lambda value, wanted: _text(wanted) in _text(value),
    "endswith": lambda value, wanted: _text(value).endswith(_text(wanted)),
    "doesnotcontain": lambda value, wanted: value is None or wanted not in str(value),
    "isnull": lambda value, wanted: value in _EMPTY,
    "isempty": lambda value, wanted: value in _EMPTY,
    "isnotnull": lambda value, wanted: value is not None,
    "isnotempty": lambda value, wanted: value not in (None, ""),
    "lt": _is_at_most,
    "lte": _is_at_most,
    "gt": _is_at_least,
    "gte": _is_at_least,
    "between": _is_between,
    "notbetween": _is_not_between,
}
