"""Store what the API reports about a campaign: its tasks and messages."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bm.links.bm import BMCampaignLink
from airflow_provider_bm.operators.base import CONNECTION_FIELDS, BMOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

#: Parts of a campaign to report, in the order of the file.
REPORT_FIELDS: Final = ("tasks", "messages")
#: A text that is a phone number: 7 to 15 digits (E.164), perhaps with a plus and separators. Not a date.
_PHONE_NUMBER: Final = re.compile(r"(?!\d{4}-\d\d-\d\d)\+?(?:[ ()./-]*\d){7,15}")
#: An international phone number within a longer text.
_IN_TEXT: Final = re.compile(r"\+\d{7,15}(?!\d)")


class BMCampaignReportOperator(BMOperator):
    """Writes a campaign's tasks and messages to a file, as JSON lines (API 3.3, 4.4).

    Each line is an object with ``field`` (``tasks`` or ``messages``) and ``row``, one row as the API returned
    it: the documentation does not publish its form. Phone numbers are replaced by a hash, unless
    ``hash_phone_numbers=False``; other personal data, such as names in a message's text, is not. An existing
    file is replaced.

    Returns a manifest: ``campaign_uuid``, ``status``, ``executed_at`` (the campaign's ``last_dt``), ``count``
    (lines), ``messages`` and ``tasks`` (lines of each), ``path`` and ``sha256`` of the file. XCom
    ``messages`` is the number of messages. A campaign that has not finished is reported as it is now, with a
    warning.

    .. code-block:: python

        BMCampaignReportOperator(
            task_id="report",
            campaign_uuid="{{ ti.xcom_pull('send') }}",
            path="s3://aws_default@reports/campaigns/{{ ds }}.jsonl",
        )

    :param campaign_uuid: the campaign (templated)
    :param path: file to write: a URL of an ``ObjectStoragePath``, such as
        ``s3://aws_default@bucket/report.jsonl`` or ``file:///data/report.jsonl`` (templated)
    :param hash_phone_numbers: replace phone numbers by a hash, keyed with the connection's client secret: the
        same number has the same hash until the secret changes. Default: True
    :param on_empty: what to do if the campaign sent no messages: ``warn`` (default), ``fail`` or ``skip``.
        The file is written in each case.
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: there is no such campaign, or it sent no messages and ``on_empty="fail"``
    :raises AirflowSkipException: it sent no messages and ``on_empty="skip"``
    """

    template_fields: Sequence[str] = ("campaign_uuid", "path", *CONNECTION_FIELDS)
    operator_extra_links = (BMCampaignLink(),)

    def __init__(
        self,
        *,
        campaign_uuid: str,
        path: str,
        hash_phone_numbers: bool = True,
        on_empty: str = "warn",
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.campaign_uuid = campaign_uuid
        self.path = path
        self.hash_phone_numbers = hash_phone_numbers
        self.on_empty = on_empty
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def call_api(self, context: Context) -> dict[str, Any]:
        """Read the campaign, write the file, and return the manifest."""
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.campaigns.wait_condition import last_execution
        from airflow_provider_bm.triggers.deferral import apply_result
        from airflow_provider_bm.waiting.result import wait_result

        client = self.hook.client
        campaign = client.get_campaign(self.campaign_uuid, fields=REPORT_FIELDS)
        uuid = campaign["uuid"]
        label = campaign_label(uuid, campaign)
        self.push_link(context, uuid)
        if campaign["status"] != "finished":
            log.warning("Campaign %s is %s: the report may be incomplete", label, campaign["status"])
        redact: Callable[[Any], Any] = (
            phone_number_hasher(client.settings.client_secret) if self.hash_phone_numbers else lambda row: row
        )
        counts, digest = dict.fromkeys(REPORT_FIELDS, 0), hashlib.sha256()
        target = ObjectStoragePath(self.path)
        if target.protocol in ("file", "local", ""):
            target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for name, row in _rows(campaign):
                line = json.dumps({"field": name, "row": redact(row)}, ensure_ascii=False).encode() + b"\n"
                file.write(line)
                digest.update(line)
                counts[name] += 1
        executed = last_execution(campaign)
        log.info("Campaign %s: %d messages, written to %s", label, counts["messages"], self.path)
        manifest = {
            "campaign_uuid": uuid,
            "status": campaign["status"],
            "executed_at": None if executed is None else executed.isoformat(),
            "count": sum(counts.values()),
            **counts,
            "path": self.path,
            "sha256": digest.hexdigest(),
        }
        result = wait_result(campaign, fields=REPORT_FIELDS, on_empty=self.on_empty)
        apply_result(result, context, push=self.do_xcom_push)
        return manifest


def _rows(campaign: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the rows of all reported fields; of an object, its entries."""
    for name in REPORT_FIELDS:
        value = campaign.get(name)
        if isinstance(value, Mapping):
            value = [{key: row} for key, row in value.items()]
        for row in value or ():
            yield name, row


def phone_number_hasher(secret: str) -> Callable[[Any], Any]:
    """Return a function that replaces the phone numbers in a value by hashes.

    Phone numbers are few: a hash without a key could be reversed by trying all of them.
    """
    key = hashlib.sha256(f"airflow-provider-bm report\0{secret}".encode()).digest()

    def hashed(number: str) -> str:
        digits = re.sub(r"\D", "", number)
        return f"phone:{hmac.new(key, digits.encode(), hashlib.sha256).hexdigest()[:32]}"

    def redact(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {redact(name): redact(member) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [redact(member) for member in value]
        if isinstance(value, str):
            if _PHONE_NUMBER.fullmatch(value.strip()):
                return hashed(value)
            return _IN_TEXT.sub(lambda match: hashed(match[0]), value)
        if isinstance(value, int) and 10**9 <= value < 10**15:
            return hashed(str(value))
        return value

    return redact
