"""Fields and values of the Campaign API, as published in its data models 4.1 to 4.9."""

from __future__ import annotations

from typing import Final

#: Messaging channels (4.1, ``sending_type``).
SENDING_TYPES: Final = ("sms", "webpush", "email", "telegram", "rbm", "viber", "whatsapp")
#: Channels whose ``template`` is serialized JSON; the others take plain text (4.1, ``template``).
JSON_TEMPLATE_SENDING_TYPES: Final = ("email", "telegram", "rbm", "viber", "whatsapp")

#: All statuses of a campaign (4.1, ``status``).
STATUSES: Final = ("active", "stopped", "finished", "draft")
#: Values of ``status`` when a campaign is created (4.1).
CREATE_STATUSES: Final = ("active", "draft")
#: Values that PATCH can change ``status`` to (4.5).
CHANGE_STATUSES: Final = ("active", "stopped")

SCHEDULE_TYPES: Final = ("now", "once", "scheduled")
QUERY_TYPES: Final = ("all", "segmentation")

#: Fields that a campaign must have (4.2, 4.3). A clone inherits missing fields from its source.
REQUIRED_FIELDS: Final = (
    "name",
    "status",
    "sending_type",
    "schedule_type",
    "template",
    "sender",
    "recipient_lists",
)
#: Fields that can be written, in the order of the documentation (4.1).
CAMPAIGN_FIELDS: Final = (
    "name",
    "status",
    "sending_type",
    "schedule_type",
    "schedule_rrule",
    "template",
    "webpush_title",
    "webpush_body",
    "webpush_target_url",
    "webpush_icon",
    "webpush_image",
    "sender",
    "recipient_lists",
    "query_type",
    "query",
)
#: Fields for webpush only (4.1).
WEBPUSH_FIELDS: Final = tuple(name for name in CAMPAIGN_FIELDS if name.startswith("webpush_"))
#: Fields of a POST that clones (4.2).
CLONE_FIELDS: Final = ("clone_uuid", "template_vars")
#: Fields that only a response has (4.4).
RESPONSE_FIELDS: Final = ("uuid", "created_dt", "updated_dt", "next_dt", "last_dt")
#: Optional parts of a response that the ``fields`` parameter requests (3.2, 3.3).
OPTIONAL_FIELDS: Final = ("tasks", "messages")

#: How a segmentation group connects to the one before it (4.8).
GROUP_OPERATORS: Final = ("OR", "AND NOT", "OR NOT")
#: How a rule connects to the one before it; the same for all rules of a group (4.9).
RULE_OPERATORS: Final = ("AND", "OR")
CONDITIONS: Final = (
    "eq",
    "neq",
    "isnull",
    "isnotnull",
    "in",
    "notin",
    "startswith",
    "endswith",
    "contains",
    "lt",
    "lte",
    "gt",
    "gte",
    "ann_in_days",
)
#: Contact fields that a rule can compare (4.9).
CONTACT_FIELDS: Final = (
    "first_name",
    "last_name",
    "second_name",
    "nick_name",
    "gender",
    "birthday",
    "salutation",
    "title",
    "language",
    "nationality",
    "mobile",
    "email",
    "phone",
    "address",
    "zip",
    "city",
    "region",
    "country",
    "b_company",
    "b_mobile",
    "b_email",
    "b_phone",
    "b_reception_code",
    "b_address",
    "b_zip",
    "b_city",
    "b_region",
    "b_country",
    "b_job_title",
    "b_department",
    "column_1",
    "column_2",
    "subscription_options_in",
    "subscription_options_out",
)

#: ``schedule_rrule`` of a ``once`` campaign: UTC, without a zone (4.1, ``Y-m-d H:i:s``).
ONCE_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
