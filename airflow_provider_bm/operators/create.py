"""Create a campaign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.constants import CAMPAIGN_FIELDS
from airflow_provider_bm.operators.base import CONNECTION_FIELDS
from airflow_provider_bm.operators.send import DEFAULT_DEFERRABLE, SEVEN_DAYS, SubmitOperator

if TYPE_CHECKING:
    from airflow_provider_bm.campaigns import SegmentationQuery


class BMCreateCampaignOperator(SubmitOperator):
    """Creates a campaign, and so sends its messages unless it is a draft (API 3.1, 4.2).

    Returns the campaign's UUID; the whole response is under the XCom key ``campaign``. Everything is
    checked before the first request; the request is carried out once, and later tries look for its campaign
    first.

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
    :param sender: who it comes from: sender ID, e-mail address, or phone number ID, by channel (templated)
    :param recipient_lists: UUIDs of the lists to message: a list, or a comma separated string (templated)
    :param status: ``active`` (send) or ``draft`` (templated)
    :param schedule_type: ``now``, ``once`` or ``scheduled``; None: ``now`` without ``schedule_rrule``,
        ``once`` with a time, ``scheduled`` with an RRULE (templated)
    :param schedule_rrule: when: an aware datetime, a text with offset such as
        ``{{ data_interval_end.add(hours=1) }}``, ``Y-m-d H:i:s`` (UTC), or an iCal RRULE (templated)
    :param query_type: ``all`` or ``segmentation`` (templated)
    :param query: segmentation: a :class:`~airflow_provider_bm.campaigns.SegmentationQuery`, a dict, a JSON
        string, or the name of a ``.json`` file. Given, ``query_type`` is ``segmentation``. (templated)
    :param webpush_title: title of a web push message (templated)
    :param webpush_body: body of a web push message (templated)
    :param webpush_target_url: URL that a web push message opens (templated)
    :param webpush_icon: URL of a web push message's icon (templated)
    :param webpush_image: URL of a web push message's image (templated)
    :param wait_for_completion: wait until the campaign has finished; default: do not
    :param deferrable: wait in the triggerer, without a worker slot; default: Airflow's
        ``operators.default_deferrable``
    :param poke_interval: seconds (or a timedelta) between two looks; default 60
    :param timeout: seconds (or a timedelta) to wait at most; default 7 days. The campaign goes on by
        itself.
    :param stop_on_kill: stop the campaign if the task is killed while it waits; default: do
    :param deduplicate: one campaign for all tries of the task instance: its name ends in a key of the task
        instance, ``Storm warning [7c41e09ab2]``, by which later tries find it; default: do
    :param staged: make a draft first, and activate it once it is known to be the only one: also safe if two
        tries are alive at once, for some more requests and a second and a half; default: do not
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: it is not valid, or was refused
    :raises AirflowException: it is not known whether it was carried out; the next try looks for it
    """

    template_fields: Sequence[str] = (*CAMPAIGN_FIELDS, *CONNECTION_FIELDS)
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
        deduplicate: bool = True,
        staged: bool = False,
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
        self.deduplicate = deduplicate
        self.staged = staged
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def post(self, **marks: str) -> tuple[dict[str, Any], Callable[[], dict[str, Any]]]:
        """The payload, and what sends it."""
        from airflow_provider_bm.campaigns import CampaignCreate

        campaign = CampaignCreate.from_mapping({**self.provided(CAMPAIGN_FIELDS), **marks})
        return campaign.to_payload(), lambda: self.hook.create_campaign(campaign)
