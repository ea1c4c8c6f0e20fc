"""A list to ask for again and again, and whether the server has understood what it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.client.assumptions import FILTER_VALUE_SEPARATOR
from airflow_provider_bm.client.query import Filters, filter_of, list_params, optional_fields
from airflow_provider_bm.exceptions import BMResponseError, shorten


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What campaigns to list: checked, and good as a key.

    :ivar filters: parameters of the request, as they are sent
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
    ) -> Listing:
        """Check what is asked for; the arguments are those of ``BMClient.list_campaigns``.

        :raises BMPayloadError: a filter that no server would understand
        """
        params = list_params(sending_type=sending_type, status=status, filters=filters)
        return cls(filters=tuple(params), fields=tuple(optional_fields(fields)))

    def check(self, campaign: Mapping[str, Any]) -> None:
        """See that a campaign is one that was asked for.

        In doubt it is: how a server compares letters, say, is its own affair.

        :raises BMResponseError: the server does not know a filter; many ignore what they do not know
        """
        for key, wanted in self.filters:
            operator, column = filter_of(key)
            value = campaign.get(column)
            if not _CHECKS[operator](value, wanted):
                raise BMResponseError(
                    f"The server was asked for campaigns with {key}={wanted}, and gave {campaign['uuid']}, "
                    f"whose {column} is {shorten(value)}: it does not know the filter."
                )


def _text(value: Any) -> str:
    return "" if value is None else str(value).casefold().strip()


def _is_one_of(value: Any, wanted: str) -> bool:
    return _text(value) in [_text(each) for each in wanted.split(FILTER_VALUE_SEPARATOR)]


def _is_exactly_one_of(value: Any, wanted: str) -> bool:
    return value in wanted.split(FILTER_VALUE_SEPARATOR)


def _number(value: Any) -> float | None:
    """A number, or a time as one; None if it is neither."""
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        return read_time(value).astimezone(UTC).timestamp()
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None


def _equals(value: Any, wanted: str) -> bool:
    return _text(value) == _text(wanted) or _number(value) == _number(wanted) is not None


def _compares(good: Callable[[float, float], bool]) -> Callable[[Any, str], bool]:
    def check(value: Any, wanted: str) -> bool:
        mine, limit = _number(value), _number(wanted)
        return mine is None or limit is None or good(mine, limit)

    return check


def _anything(value: Any, wanted: str) -> bool:
    return True


_CHECKS: dict[str, Callable[[Any, str], bool]] = {
    "eq": lambda value, wanted: (
        _text(value) == _text(wanted) or _number(value) == _number(wanted) is not None
    ),
    "neq": lambda value, wanted: value != wanted,
    "in": _is_one_of,
    "notin": lambda value, wanted: not _is_exactly_one_of(value, wanted),
    "startswith": lambda value, wanted: _text(value).startswith(_text(wanted)),
    "contains": lambda value, wanted: _text(wanted) in _text(value),
    "endswith": lambda value, wanted: _text(value).endswith(_text(wanted)),
    "doesnotcontain": lambda value, wanted: value is None or wanted not in str(value),
    "isnull": lambda value, wanted: value in (None, ""),
    "isempty": lambda value, wanted: value in (None, ""),
    "isnotnull": lambda value, wanted: value is not None,
    "isnotempty": lambda value, wanted: value not in (None, ""),
    "lt": _compares(lambda mine, limit: mine <= limit),
    "lte": _compares(lambda mine, limit: mine <= limit),
    "gt": _compares(lambda mine, limit: mine >= limit),
    "gte": _compares(lambda mine, limit: mine >= limit),
    "between": _anything,
    "notbetween": _anything,
}
