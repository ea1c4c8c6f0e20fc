"""The payloads that users write. Each becomes a validated JSON body, or an error that lists all problems.

Nothing is validated before ``to_payload()``, so that a model can contain templates that are not rendered yet.
:class:`CampaignCreate` documents the fields. Source: Campaign API 4.1 to 4.3, 4.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from numbers import Real
from typing import Any, ClassVar, Self
from uuid import UUID

from airflow_provider_bm.campaigns.constants import CHANGE_STATUSES
from airflow_provider_bm.campaigns.ids import check_uuid
from airflow_provider_bm.campaigns.problems import Problems, check_choice
from airflow_provider_bm.campaigns.segmentation import SegmentationQuery
from airflow_provider_bm.campaigns.text import check_template_vars
from airflow_provider_bm.campaigns.validation import (
    CLONE,
    CREATE,
    UPDATE,
    PayloadRules,
    check_fields,
    check_names,
)
from airflow_provider_bm.exceptions import BMPayloadError

TextLike = str | int
TemplateLike = str | Mapping[str, Any]
ListsLike = str | UUID | Sequence[str | UUID] | AbstractSet[str | UUID]
RruleLike = str | datetime
QueryLike = str | Mapping[str, Any] | SegmentationQuery


class _Payload:
    """Base class of all payloads."""

    _subject: ClassVar[str]

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Create a payload from a mapping.

        :param mapping: the fields
        :raises BMPayloadError: a field is unknown or a required one is missing; lists these and every other
            problem of the mapping
        """
        problems = Problems()
        candidate: object = mapping
        if not isinstance(candidate, Mapping):
            problems.add("mapping", mapping, "must be a mapping of fields")
            raise BMPayloadError(problems, cls._subject, nothing_sent=True)
        known = tuple(item.name for item in fields(cls))  # type: ignore[arg-type]
        required = [item.name for item in fields(cls) if item.default is MISSING]  # type: ignore[arg-type]
        check_names(mapping, known, problems)
        values = dict.fromkeys(required) | {name: mapping[name] for name in known if name in mapping}
        payload = cls(**values)
        if problems or any(values[name] is None for name in required):
            payload._check(problems)
            raise BMPayloadError(problems, cls._subject, nothing_sent=True)
        return payload

    def to_payload(self) -> dict[str, Any]:
        """Validate all fields and return the JSON body.

        :return: the fields that are not None; all are strings, except ``template_vars``
        :raises BMPayloadError: a field is invalid; lists every problem
        """
        return self._checked()

    def _checked(self, **options: Any) -> dict[str, Any]:
        problems = Problems()
        payload = self._check(problems, **options)
        if problems:
            raise BMPayloadError(problems, self._subject, nothing_sent=True)
        return payload

    def _check(self, problems: Problems) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class _Campaign(_Payload):
    """The fields of a campaign, all of them optional."""

    name: TextLike | None = None
    sending_type: str | None = None
    template: TemplateLike | None = None
    sender: str | None = None
    recipient_lists: ListsLike | None = None
    status: str | None = None
    schedule_type: str | None = None
    schedule_rrule: RruleLike | None = None
    query_type: str | None = None
    query: QueryLike | None = None
    webpush_title: TextLike | None = None
    webpush_body: TextLike | None = None
    webpush_target_url: TextLike | None = None
    webpush_icon: TextLike | None = None
    webpush_image: TextLike | None = None

    _rules: ClassVar[PayloadRules]

    def _check(self, problems: Problems) -> dict[str, Any]:
        return dict(check_fields(vars(self), self._rules, problems))


@dataclass(frozen=True, kw_only=True)
class CampaignCreate(_Campaign):
    """A new campaign.

    :param name: the campaign's name; runs of white space become one space
    :param sending_type: channel: ``sms``, ``webpush``, ``email``, ``telegram``, ``rbm``, ``viber`` or
        ``whatsapp``
    :param template: the message: plain text for sms and webpush, JSON for other channels, as a dict or a
        string
    :param sender: registered sender id, e-mail address or phone number, depending on the channel; a string
    :param recipient_lists: UUIDs of contact lists, as a list or a comma separated string; duplicates are
        dropped
    :param status: ``active`` or ``draft``; default ``active``
    :param schedule_type: ``now``, ``once`` or ``scheduled``; by default inferred: ``now`` without
        ``schedule_rrule``, ``once`` with a time, ``scheduled`` with an RRULE
    :param schedule_rrule: an aware datetime, an ISO 8601 string with an offset, ``Y-m-d H:i:s`` in UTC, or
        an RRULE
    :param query_type: ``all`` or ``segmentation``; by default ``segmentation`` if there is a query
    :param query: a :class:`SegmentationQuery`, a dict or JSON
    :param webpush_title: title of a webpush message
    :param webpush_body: text of a webpush message
    :param webpush_target_url: URL that a webpush message opens
    :param webpush_icon: URL of an icon
    :param webpush_image: URL of an image

    Source: Campaign API 4.2.
    """

    name: TextLike = field()
    sending_type: str = field()
    template: TemplateLike = field()
    sender: str = field()
    recipient_lists: ListsLike = field()
    status: str = "active"

    _subject: ClassVar[str] = CREATE.subject
    _rules: ClassVar[PayloadRules] = CREATE


@dataclass(frozen=True, kw_only=True)
class CampaignUpdate(_Campaign):
    """Changes to a campaign: fields as in :class:`CampaignCreate`, None where nothing changes.

    An empty string clears ``query``, ``schedule_rrule`` and the webpush fields. ``status`` can be any
    status of the API. Nothing is required here: PUT needs a complete campaign, which
    :func:`~airflow_provider_bm.campaigns.merge_changes` checks.

    Source: Campaign API 4.3.
    """

    _subject: ClassVar[str] = UPDATE.subject
    _rules: ClassVar[PayloadRules] = UPDATE


@dataclass(frozen=True, kw_only=True)
class CampaignClone(_Campaign):
    """A copy of a campaign, with variables filled in and fields overwritten.

    Fields are as in :class:`CampaignCreate`; those left at None come from the source. An empty string clears
    ``query``, ``schedule_rrule`` and the webpush fields.

    :param clone_uuid: UUID of the campaign to clone
    :param template_vars: values for the ``{variables}`` of its template, by their names without braces.
        Strings are sent unchanged, numbers as printed.
    :param status: ``active`` or ``draft``; default ``active``

    Source: Campaign API 1.4 and 4.2.
    """

    clone_uuid: str | UUID
    template_vars: Mapping[str, str | Real] | None = None
    status: str | None = "active"

    _subject: ClassVar[str] = CLONE.subject
    _rules: ClassVar[PayloadRules] = CLONE

    def to_payload(self, float_format: str | None = None) -> dict[str, Any]:
        """Validate all fields and return the JSON body.

        :param float_format: format of numbers in ``template_vars`` that are not whole, such as ``.2f``. By
            default, a number that would print an exponent or more than six decimal places is a problem.
        :return: the fields that are not None; all are strings, except ``template_vars``
        :raises BMPayloadError: a field is invalid; lists every problem
        """
        return self._checked(float_format=float_format)

    def _check(self, problems: Problems, float_format: str | None = None) -> dict[str, Any]:
        payload: dict[str, Any] = {"clone_uuid": check_uuid("clone_uuid", self.clone_uuid, problems)}
        if self.template_vars is not None:
            payload["template_vars"] = check_template_vars(self.template_vars, problems, float_format)
        return payload | super()._check(problems)


@dataclass(frozen=True, kw_only=True)
class CampaignStatus(_Payload):
    """A change of status by PATCH.

    :param status: ``active`` to resume, ``stopped`` to stop

    Source: Campaign API 4.5.
    """

    status: str

    _subject: ClassVar[str] = "status of a campaign"

    def _check(self, problems: Problems) -> dict[str, Any]:
        return {"status": check_choice("status", self.status, CHANGE_STATUSES, problems)}
