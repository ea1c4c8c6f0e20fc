"""Clone a campaign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.constants import CAMPAIGN_FIELDS
from airflow_provider_bm.operators.base import CONNECTION_FIELDS
from airflow_provider_bm.operators.send import DEFAULT_DEFERRABLE, SEVEN_DAYS, SubmitOperator

if TYPE_CHECKING:
    from airflow_provider_bm.campaigns import SegmentationQuery


class BMCloneCampaignOperator(SubmitOperator):
    """Clones a campaign and activates the clone, unless it is to be a draft (API 1.4, 3.1, 4.2).

    The usual way to send from a DAG: people write and approve a draft in the BM console, the DAG clones it
    with today's values. All fields but ``clone_uuid`` can be left out; the source's are used then.
    Returns the clone's UUID; the whole response is under the XCom key ``campaign``. Everything is checked
    before the first request; the request is carried out once, and later tries look for its campaign first.

    .. code-block:: python

        BMCloneCampaignOperator(
            task_id="send",
            clone_uuid="1592695e-c1b1-11ee-b153-774c9d3a7957",
            template_vars={"temp": "{{ ti.xcom_pull('read')['temp'] }}", "wind": "100km/h"},
            wait_for_completion=True,
            deferrable=True,
        )

    :param clone_uuid: the campaign to clone (templated)
    :param template_vars: values of the variables ``{name}`` in its content, by raw name, without braces
        (templated)
    :param name: name of the clone (templated)
    :param sending_type: channel: ``sms``, ``webpush``, ``email``, ``telegram``, ``rbm``, ``viber``,
        ``whatsapp`` (templated)
    :param template: the message: plain text for sms and webpush, otherwise JSON, as a dict, a string, or
        the name of a ``.json`` file (templated)
    :param sender: who it comes from: sender ID, e-mail address, or phone number ID, by channel (templated)
    :param recipient_lists: UUIDs of the lists to message: a list, or a comma separated string (templated)
    :param status: ``active`` (send) or ``draft`` (templated)
    :param schedule_type: ``now``, ``once`` or ``scheduled``; None: as ``schedule_rrule`` says, else the
        source's (templated)
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

    template_fields: Sequence[str] = ("clone_uuid", "template_vars", *CAMPAIGN_FIELDS, *CONNECTION_FIELDS)
    template_fields_renderers = {"template": "json", "query": "json", "template_vars": "json"}

    def __init__(
        self,
        *,
        clone_uuid: str,
        template_vars: dict[str, Any] | None = None,
        name: str | None = None,
        sending_type: str | None = None,
        template: str | dict[str, Any] | None = None,
        sender: str | None = None,
        recipient_lists: str | Sequence[str] | None = None,
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
        self.clone_uuid = clone_uuid
        self.template_vars = template_vars
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
        from airflow_provider_bm.campaigns import CampaignClone

        source = {"clone_uuid": self.clone_uuid, "template_vars": self.template_vars}
        campaign = CampaignClone.from_mapping({**source, **self.provided(CAMPAIGN_FIELDS), **marks})
        return campaign.to_payload(), lambda: self.hook.clone_campaign(campaign)
