"""Create a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.constants import CAMPAIGN_FIELDS
from airflow_provider_bm.operators.arguments import missing_parts
from airflow_provider_bm.operators.base import CONNECTION_FIELDS, DEFAULT_END_FROM_TRIGGER
from airflow_provider_bm.operators.guards import DEFAULT_MAX_AGE
from airflow_provider_bm.operators.send import DEFAULT_DEFERRABLE, SEVEN_DAYS, SendOperator

if TYPE_CHECKING:
    from airflow_provider_bm.campaigns import SegmentationQuery, SendWindow
    from airflow_provider_bm.exceptions import Problem


class BMCreateCampaignOperator(SendOperator):
    """Creates a campaign, which sends its messages unless it is a draft (API 3.1, 4.2).

    Returns the campaign's UUID. XCom ``campaign`` is the whole response, ``sent`` whether it is active or
    finished, ``adopted`` (only if True) whether an earlier request created it, and ``scheduled_for`` the
    opening of the send window, if the campaign was scheduled for it. Everything is checked before the first
    request. The request is sent once; every try searches for its campaign first.

    .. code-block:: python

        BMCreateCampaignOperator(
            task_id="send",
            name="Storm warning",
            sending_type="sms",
            template="Hello {first_name}, stay at home today.",
            sender="+41587000000",
            recipient_lists=["cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"],
            wait_for_completion=True,
        )

    :param name: name of the campaign (templated)
    :param sending_type: channel: ``sms``, ``webpush``, ``email``, ``telegram``, ``rbm``, ``viber``,
        ``whatsapp`` (templated)
    :param template: the message: plain text for sms and webpush, otherwise JSON, as a dict, a string, or
        the name of a ``.json`` file (templated)
    :param sender: sender ID, e-mail address, or phone number ID, by channel; a phone number as text
        (templated)
    :param recipient_lists: UUIDs of the lists to message: a list, or a comma separated string (templated)
    :param status: ``active`` (send) or ``draft`` (templated)
    :param schedule_type: ``now``, ``once`` or ``scheduled``; None: ``now`` without ``schedule_rrule``,
        ``once`` with a time, ``scheduled`` with an RRULE (templated)
    :param schedule_rrule: an aware datetime, a string with offset such as
        ``{{ data_interval_end.add(hours=1) }}``, ``Y-m-d H:i:s`` (UTC), or an iCal RRULE (templated)
    :param query_type: ``all`` or ``segmentation`` (templated)
    :param query: segmentation: a :class:`~airflow_provider_bm.campaigns.SegmentationQuery`, a dict, a JSON
        string, or the name of a ``.json`` file. Implies ``query_type='segmentation'``. (templated)
    :param webpush_title: title of a web push message (templated)
    :param webpush_body: body of a web push message (templated)
    :param webpush_target_url: URL that a web push message opens (templated)
    :param webpush_icon: URL of a web push message's icon (templated)
    :param webpush_image: URL of a web push message's image (templated)
    :param wait_for_completion: wait until the campaign has finished. Default: False
    :param deferrable: wait in the triggerer, without a worker slot. Default: Airflow's
        ``operators.default_deferrable``
    :param poke_interval: seconds (or a timedelta) between two polls. Default: 60
    :param timeout: seconds (or a timedelta) to wait at most; the campaign continues. Default: 7 days
    :param stop_on_kill: stop the campaign if the task is killed while it waits. Default: True
    :param end_from_trigger: if deferred, end in the triggerer when the campaign has finished (Airflow 3.3+).
        Default: ``[bm] end_from_trigger`` of Airflow's configuration, False
    :param deduplicate: one campaign for all tries of the task instance: its name starts with a key of the
        task instance, ``[7241509342138156] Storm warning``, by which every try searches for it. Default: True
    :param staged: create a draft first, and activate it once it is known to be the only one: safe even if
        two tries run at once, but it costs some requests and 1.5 seconds. Default: False
    :param float_format: format of numbers that are not whole, such as ``.2f``. Without it a number with more
        than six decimal places is refused.
    :param max_age: age up to which a scheduled or backfill run sends: a timedelta or seconds; None: any.
        Default: ``[bm] max_age`` of Airflow's configuration, or a day. (templated)
    :param on_stale: what an older run does: ``fail`` (default) or ``skip``
    :param send_window: when messages may go out: a :class:`~airflow_provider_bm.campaigns.SendWindow`
    :param allow_immediate: accept a recurring rule that fires as soon as it is saved, and a time in the past.
        Default: False
    :param allowed_variables: names of variables that BM fills, besides contact fields (templated)
    :param on_unknown_variable: what to do about a variable that is not filled, and about a name in
        ``template_vars`` that does not occur: ``fail`` (default) or ``warn``
    :param on_draft_only: how the task ends if the connection is ``draft_only``: ``succeed`` (default),
        ``fail`` or ``skip``
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: the campaign is invalid, or a check or the server refused it
    :raises AirflowSkipException: ``on_stale``, ``on_draft_only`` or a send window is set to skip
    :raises AirflowException: the outcome of the request is unknown; the next try searches for its campaign
    """

    template_fields: Sequence[str] = (*CAMPAIGN_FIELDS, "max_age", "allowed_variables", *CONNECTION_FIELDS)
    template_fields_renderers = {"template": "json", "query": "json"}

    def __init__(
        self,
        *,
        name: str,
        sending_type: str,
        template: str | dict[str, Any],
        sender: str,
        recipient_lists: str | Sequence[str],
        status: str = "active",
        schedule_type: str | None = None,
        schedule_rrule: str | datetime | None = None,
        query_type: str | None = None,
        query: str | dict[str, Any] | SegmentationQuery | None = None,
        webpush_title: str | None = None,
        webpush_body: str | None = None,
        webpush_target_url: str | None = None,
        webpush_icon: str | None = None,
        webpush_image: str | None = None,
        wait_for_completion: bool = False,
        deferrable: bool = DEFAULT_DEFERRABLE,
        poke_interval: float | timedelta = 60,
        timeout: float | timedelta = SEVEN_DAYS,
        stop_on_kill: bool = True,
        end_from_trigger: bool = DEFAULT_END_FROM_TRIGGER,
        deduplicate: bool = True,
        staged: bool = False,
        float_format: str | None = None,
        max_age: timedelta | float | str | None = DEFAULT_MAX_AGE,
        on_stale: str = "fail",
        send_window: SendWindow | Mapping[str, Any] | str | None = None,
        allow_immediate: bool = False,
        allowed_variables: str | Sequence[str] = (),
        on_unknown_variable: str = "fail",
        on_draft_only: str = "succeed",
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = name
        self.sending_type = sending_type
        self.template = template
        self.sender = sender
        self.recipient_lists = recipient_lists
        self.status = status
        self.schedule_type = schedule_type
        self.schedule_rrule = schedule_rrule
        self.query_type = query_type
        self.query = query
        self.webpush_title = webpush_title
        self.webpush_body = webpush_body
        self.webpush_target_url = webpush_target_url
        self.webpush_icon = webpush_icon
        self.webpush_image = webpush_image
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poke_interval = poke_interval
        self.timeout = timeout
        self.stop_on_kill = stop_on_kill
        # Only if it has an effect: Airflow refuses such tasks if a plugin has listeners.
        self.end_from_trigger = end_from_trigger and wait_for_completion and deferrable
        self.deduplicate = deduplicate
        self.staged = staged
        self.float_format = float_format
        self.max_age = max_age
        self.on_stale = on_stale
        self.send_window = send_window
        self.allow_immediate = allow_immediate
        self.allowed_variables = allowed_variables
        self.on_unknown_variable = on_unknown_variable
        self.on_draft_only = on_draft_only
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def argument_problems(self) -> Iterator[Problem]:
        """Yield problems that concern several arguments."""
        yield from super().argument_problems()
        yield from missing_parts(self)

    def payload(self, **overrides: Any) -> dict[str, Any]:
        """Return the validated payload of the POST."""
        from airflow_provider_bm.campaigns import CampaignCreate

        return CampaignCreate.from_mapping({**self.provided(CAMPAIGN_FIELDS), **overrides}).to_payload()
