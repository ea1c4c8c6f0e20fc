"""The payloads that users write. Each becomes a checked JSON body, or an error that lists all problems.

Nothing is checked before ``to_payload()``, so that a model can be made of templates that are yet to be
rendered. What the fields mean stands at :class:`CampaignCreate`. Source: Campaign API 4.1 to 4.3, 4.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Self
from uuid import UUID

from airflow_provider_bm.campaigns.constants import CHANGE_STATUSES
from airflow_provider_bm.campaigns.ids import check_uuid
from airflow_provider_bm.campaigns.problems import Problems, check_choice
from airflow_provider_bm.campaigns.segmentation import SegmentationQuery
from airflow_provider_bm.campaigns.text import check_template_vars
from airflow_provider_bm.campaigns.validation import CLONE, CREATE, UPDATE, Kind, check_fields, check_names
from airflow_provider_bm.exceptions import BMPayloadError

TextLike = str | int
TemplateLike = str | Mapping[str, Any]
ListsLike = str | UUID | Sequence[str | UUID] | AbstractSet[str | UUID]
RruleLike = str | datetime
QueryLike = str | Mapping[str, Any] | SegmentationQuery


class _Payload:
    """What all payloads share."""

    _subject: ClassVar[str]

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Make one of a mapping.

        :param mapping: the fields
        :raises BMPayloadError: if a field is unknown or a required one is missing; lists these and every
            other problem of the mapping
        """
        problems = Problems()
        given_object: object = mapping
        if not isinstance(given_object, Mapping):
            problems.add("mapping", mapping, "must be a mapping of fields")
            raise BMPayloadError(problems, cls._subject)
        known = tuple(field.name for field in fields(cls))  # type: ignore[arg-type]
        required = [field.name for field in fields(cls) if field.default is MISSING]  # type: ignore[arg-type]
        check_names(mapping, known, problems)
        given = dict.fromkeys(required) | {name: mapping[name] for name in known if name in mapping}
        made = cls(**given)
        if problems or any(given[name] is None for name in required):
            made._check(problems)
            raise BMPayloadError(problems, cls._subject)
        return made

    def to_payload(self) -> dict[str, Any]:
        """Check all fields and give the JSON body.

        :return: the fields that are not None; all are strings, but for ``template_vars``
        :raises BMPayloadError: if anything is wrong; lists every problem
        """
        problems = Problems()
        payload = self._check(problems)
        if problems:
            raise BMPayloadError(problems, self._subject)
        return payload

    def _check(self, problems: Problems) -> dict[str, Any]:
        raise NotImplementedError

    def _check_campaign(self, kind: Kind, problems: Problems) -> dict[str, Any]:
        return dict(check_fields(vars(self), kind, problems))


@dataclass(frozen=True, kw_only=True)
class CampaignCreate(_Payload):
    """A new campaign.

    :param name: the campaign's name
    :param sending_type: channel: ``sms``, ``webpush``, ``email``, ``telegram``, ``rbm``, ``viber`` or
        ``whatsapp``
    :param template: the message: plain text for sms and webpush, for the others JSON, as a dict or a string
    :param sender: registered sender id, e-mail address or phone number, as the channel wants it
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
    :param webpush_target_url: where a webpush message leads
    :param webpush_icon: URL of an icon
    :param webpush_image: URL of an image

    Source: Campaign API 4.2.
    """

    name: TextLike
    sending_type: str
    template: TemplateLike
    sender: TextLike
    recipient_lists: ListsLike
    status: str = "active"
    schedule_type: str | None = None
    schedule_rrule: RruleLike | None = None
    query_type: str | None = None
    query: QueryLike | None = None
    webpush_title: TextLike | None = None
    webpush_body: TextLike | None = None
    webpush_target_url: TextLike | None = None
    webpush_icon: TextLike | None = None
    webpush_image: TextLike | None = None

    _subject: ClassVar[str] = CREATE.subject

    def _check(self, problems: Problems) -> dict[str, Any]:
        return self._check_campaign(CREATE, problems)


@dataclass(frozen=True, kw_only=True)
class CampaignUpdate(_Payload):
    """Changes to a campaign: fields as of :class:`CampaignCreate`, None where nothing changes.

    The empty text clears ``query``, ``schedule_rrule`` and the webpush fields. ``status`` can be any of the
    API's. Nothing is required here: PUT needs a whole campaign, which
    :func:`~airflow_provider_bm.campaigns.check_complete` checks once the changes are merged.

    Source: Campaign API 4.3.
    """

    name: TextLike | None = None
    sending_type: str | None = None
    template: TemplateLike | None = None
    sender: TextLike | None = None
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

    _subject: ClassVar[str] = UPDATE.subject

    def _check(self, problems: Problems) -> dict[str, Any]:
        return self._check_campaign(UPDATE, problems)


@dataclass(frozen=True, kw_only=True)
class CampaignClone(_Payload):
    """A copy of a campaign, with variables filled in and fields overwritten.

    Fields are as of :class:`CampaignCreate`; those left at None are the source's. The empty text clears
    ``query``, ``schedule_rrule`` and the webpush fields.

    :param clone_uuid: UUID of the campaign to clone
    :param template_vars: values for the ``{variables}`` of its template, by their names without braces.
        Strings are sent unchanged, numbers as Python writes them.
    :param status: ``active`` or ``draft``; default ``active``

    Source: Campaign API 1.4 and 4.2.
    """

    clone_uuid: str | UUID
    template_vars: Mapping[str, str | int | float | Decimal] | None = None
    status: str | None = "active"
    name: TextLike | None = None
    sending_type: str | None = None
    template: TemplateLike | None = None
    sender: TextLike | None = None
    recipient_lists: ListsLike | None = None
    schedule_type: str | None = None
    schedule_rrule: RruleLike | None = None
    query_type: str | None = None
    query: QueryLike | None = None
    webpush_title: TextLike | None = None
    webpush_body: TextLike | None = None
    webpush_target_url: TextLike | None = None
    webpush_icon: TextLike | None = None
    webpush_image: TextLike | None = None

    _subject: ClassVar[str] = CLONE.subject

    def _check(self, problems: Problems) -> dict[str, Any]:
        payload: dict[str, Any] = {"clone_uuid": check_uuid("clone_uuid", self.clone_uuid, problems)}
        if self.template_vars is not None:
            payload["template_vars"] = check_template_vars(self.template_vars, problems)
        return payload | self._check_campaign(CLONE, problems)


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
