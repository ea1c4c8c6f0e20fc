"""Segmentation: which contacts of the lists receive a campaign (Campaign API 4.7 to 4.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_bm.campaigns.json_text import dump_json
from airflow_provider_bm.campaigns.problems import Problems, sort_key
from airflow_provider_bm.campaigns.segmentation_matching import matcher, query_in_words
from airflow_provider_bm.campaigns.segmentation_rules import check_group, check_rule, check_segmentation
from airflow_provider_bm.campaigns.values import is_missing
from airflow_provider_bm.exceptions import BMPayloadError

if TYPE_CHECKING:
    class_only_method = classmethod
else:

    class class_only_method(classmethod):  # noqa: N801 - named like the decorator that it extends
        """A classmethod that instances do not have, since a call would discard the query built so far."""

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            if instance is not None:
                raise AttributeError(
                    f"{self.__func__.__name__}() starts a new query and would discard this one: "
                    "continue with or_where(), and_not() or or_not()"
                )
            return super().__get__(instance, owner)


@dataclass(frozen=True)
class SegmentationRule:
    """One condition on one contact field.

    :param field: contact field, one of ``constants.CONTACT_FIELDS``
    :param condition: comparison, one of ``constants.CONDITIONS``
    :param value: a string or several; ``""`` for ``isnull`` and ``isnotnull``, since the API requires the key
    :param operator: connection to the rule before it, ``AND`` or ``OR``; default ``AND``. The same for all
        rules of a group.

    Source: Campaign API 4.9.
    """

    field: str
    condition: str
    value: str | Sequence[str]
    operator: str = "AND"

    def to_dict(self) -> dict[str, Any]:
        """Return the rule in the API's form.

        :raises BMPayloadError: the rule is invalid; lists every problem
        """
        problems = Problems()
        result = check_rule(self.unchecked(), "rule", True, problems)
        return _checked(result, problems, "segmentation rule")

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Create an instance from the API's form.

        :param value: a ``SegmentationRule`` of the API
        :raises BMPayloadError: it is invalid; lists every problem
        """
        problems = Problems()
        checked = check_rule(value, "rule", True, problems)
        return cls(**_frozen(_checked(checked, problems, "segmentation rule")))

    def unchecked(self) -> dict[str, Any]:
        """Return what :meth:`to_dict` would, without validation."""
        return {
            "field": self.field,
            "condition": self.condition,
            "value": self.value,
            "operator": self.operator,
        }


@dataclass(frozen=True, kw_only=True)
class SegmentationGroup:
    """Rules that are all connected by AND, or all by OR.

    :param rules: at least one
    :param operator: connection to the group before it, ``OR``, ``AND NOT`` or ``OR NOT``; default ``OR``,
        also for the first group

    Source: Campaign API 4.8.
    """

    rules: tuple[SegmentationRule, ...]
    operator: str = "OR"

    def to_dict(self) -> dict[str, Any]:
        """Return the group in the API's form.

        :raises BMPayloadError: the group is invalid; lists every problem
        """
        problems = Problems()
        return _checked(
            check_group(self.unchecked(), "group", True, problems), problems, "segmentation group"
        )

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Create an instance from the API's form.

        :param value: a ``SegmentationGroup`` of the API
        :raises BMPayloadError: it is invalid; lists every problem
        """
        problems = Problems()
        checked = _checked(check_group(value, "group", True, problems), problems, "segmentation group")
        return cls(rules=_rules_of(checked), operator=checked["operator"])

    def unchecked(self) -> dict[str, Any]:
        """Return what :meth:`to_dict` would, without validation."""
        return {"operator": self.operator, "rules": _members(self.rules)}


@dataclass(frozen=True, kw_only=True)
class SegmentationQuery:
    """The contacts to address: groups of rules, evaluated from first to last.

    Contacts called John Smith, or with the nickname Johnny, as in the API's example::

        SegmentationQuery.where(first_name="John", last_name="Smith").or_where(nick_name="Johnny")

    A keyword is a contact field, with ``__`` and a condition after it unless that is ``eq``:
    ``birthday__lt="2000-01-01"``, ``city__in=["Bern", "Basel"]``. ``email__isnull=True`` becomes the
    condition ``isnull`` with the value ``""``, and ``email__isnull=False`` the condition ``isnotnull``; the
    same the other way round for ``isnotnull``. Whole numbers become strings, a set becomes a sorted tuple.
    Rules can be passed before the keywords, for what keywords cannot express, such as the same condition on
    the same field twice. Nothing is validated before :meth:`to_dict` or :meth:`to_json`.

    :param segmentation: the groups; at least one

    Source: Campaign API 4.7.
    """

    segmentation: tuple[SegmentationGroup, ...]

    @class_only_method
    def where(cls, *rules: SegmentationRule, **lookups: Any) -> Self:  # noqa: N805
        """Start a query: contacts for whom all of this is true.

        :param rules: rules, used as they are
        :param lookups: rules as keywords
        """
        return cls(segmentation=(_all_of("OR", rules, lookups),))

    @class_only_method
    def where_any(cls, *rules: SegmentationRule, **lookups: Any) -> Self:  # noqa: N805
        """Start a query: contacts for whom any of this is true.

        :param rules: rules; their operator becomes OR
        :param lookups: rules as keywords
        """
        return cls(segmentation=(_any_of("OR", rules, lookups),))

    def or_where(self, *rules: SegmentationRule, **lookups: Any) -> Self:
        """Add a group: or contacts for whom all of this is true. Parameters as for :meth:`where`."""
        return self._with(_all_of("OR", rules, lookups))

    def or_where_any(self, *rules: SegmentationRule, **lookups: Any) -> Self:
        """Add a group: or contacts for whom any of this is true. Parameters as for :meth:`where_any`."""
        return self._with(_any_of("OR", rules, lookups))

    def and_not(self, *rules: SegmentationRule, **lookups: Any) -> Self:
        """Add a group: but not those for whom all of this is true. Parameters as for :meth:`where`."""
        return self._with(_all_of("AND NOT", rules, lookups))

    def and_not_any(self, *rules: SegmentationRule, **lookups: Any) -> Self:
        """Add a group: but not those for whom any of this is true. Parameters as for :meth:`where_any`."""
        return self._with(_any_of("AND NOT", rules, lookups))

    def or_not(self, *rules: SegmentationRule, **lookups: Any) -> Self:
        """Add a group: or those for whom not all of this is true. Parameters as for :meth:`where`."""
        return self._with(_all_of("OR NOT", rules, lookups))

    def or_not_any(self, *rules: SegmentationRule, **lookups: Any) -> Self:
        """Add a group: or those for whom none of this is true. Parameters as for :meth:`where_any`."""
        return self._with(_any_of("OR NOT", rules, lookups))

    def to_dict(self) -> dict[str, Any]:
        """Return the query in the API's form, before it is serialized.

        :raises BMPayloadError: the query is invalid; lists every problem
        """
        problems = Problems()
        checked = check_segmentation(self.unchecked(), "query", True, problems)
        return _checked(checked, problems, "segmentation query")

    def to_json(self) -> str:
        """Return the query as JSON, as a campaign's ``query`` needs it.

        :raises BMPayloadError: the query is invalid; lists every problem
        """
        return dump_json(self.to_dict())

    def matches(self, contact: Mapping[str, Any], *, today: date | None = None) -> bool:
        """Evaluate the query for one contact, without a request.

        Compares like the sandbox: as numbers if both sides are numbers, otherwise as text. BM is assumed to
        do the same.

        :param contact: values by contact field; a missing value counts as an empty field
        :param today: the date for ``ann_in_days``; default: the current date in UTC
        :raises BMPayloadError: the query is invalid; lists every problem
        """
        values = {
            field: value.isoformat() if isinstance(value, date) else str(value)
            for field, value in contact.items()
            if not is_missing(value) and value != ""
        }
        return matcher(self.to_dict(), today or datetime.now(UTC).date())(values)

    def __str__(self) -> str:
        """Describe the query in words, or return its ``repr`` if it is invalid."""
        try:
            return query_in_words(self.to_dict())
        except BMPayloadError:
            return repr(self)

    def serialize(self) -> dict[str, Any]:
        """Return the query in the API's form, without validation: Airflow shows it in a DAG's details."""
        return self.unchecked()

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Create an instance from the API's form.

        :param value: a ``SegmentationQuery`` of the API
        :raises BMPayloadError: it is invalid; lists every problem
        """
        problems = Problems()
        checked = _checked(check_segmentation(value, "query", True, problems), problems, "segmentation query")
        groups = (
            SegmentationGroup(rules=_rules_of(group), operator=group["operator"])
            for group in checked["segmentation"]
        )
        return cls(segmentation=tuple(groups))

    def unchecked(self) -> dict[str, Any]:
        """Return what :meth:`to_dict` would, without validation."""
        return {"segmentation": _members(self.segmentation)}

    def _with(self, group: SegmentationGroup) -> Self:
        return replace(self, segmentation=(*self.segmentation, group))


def _as_bool(value: Any) -> bool | None:
    """Return a boolean, which a template may have rendered as text, or None if the value is not one."""
    if isinstance(value, str):
        word = value.strip().lower()
        return (
            True
            if word in ("true", "yes", "on", "1", "")
            else False
            if word in ("false", "no", "off", "0")
            else None
        )
    return bool(value) if isinstance(value, int) and value in (0, 1) else None


def _members(parts: Any) -> Any:
    return [_unchecked(part) for part in parts] if isinstance(parts, list | tuple) else parts


def _unchecked(part: Any) -> Any:
    # Anything else, such as a dict of the API's form, is checked with the rest.
    return part.unchecked() if isinstance(part, SegmentationRule | SegmentationGroup) else part


def _all_of(
    connector: str, rules: Sequence[SegmentationRule], lookups: Mapping[str, Any]
) -> SegmentationGroup:
    return SegmentationGroup(rules=(*rules, *_from_lookups(lookups, "AND")), operator=connector)


def _any_of(
    connector: str, rules: Sequence[SegmentationRule], lookups: Mapping[str, Any]
) -> SegmentationGroup:
    ors = tuple(replace(rule, operator="OR") for rule in rules)
    return SegmentationGroup(rules=(*ors, *_from_lookups(lookups, "OR")), operator=connector)


def _from_lookups(lookups: Mapping[str, Any], operator: str) -> tuple[SegmentationRule, ...]:
    rules = []
    for lookup, value in lookups.items():
        field, _, condition = lookup.partition("__")
        if condition in ("isnull", "isnotnull"):
            wanted = _as_bool(value)
            if wanted is not None:
                condition = "isnull" if wanted == (condition == "isnull") else "isnotnull"
                value = ""
        elif isinstance(value, AbstractSet):
            value = tuple(sorted(value, key=sort_key))
        elif isinstance(value, list):
            value = tuple(value)
        rules.append(SegmentationRule(field, condition or "eq", value, operator))
    return tuple(rules)


def _checked(result: dict[str, Any], problems: Problems, subject: str) -> dict[str, Any]:
    if problems:
        raise BMPayloadError(problems, subject)
    return result


def _rules_of(group: Mapping[str, Any]) -> tuple[SegmentationRule, ...]:
    return tuple(SegmentationRule(**_frozen(rule)) for rule in group["rules"])


def _frozen(rule: Mapping[str, Any]) -> dict[str, Any]:
    value = rule["value"]
    return {**rule, "value": tuple(value) if isinstance(value, list) else value}
