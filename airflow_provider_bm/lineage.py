"""OpenLineage: recipient lists as inputs of a task that sends, its campaign as the output.

Used only where ``apache-airflow-providers-openlineage`` is installed. Nothing personal is in it: no text, no
sender, no contact; lists and campaigns are UUIDs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset

#: Name of the facets of job and run.
FACET: Final = "bm_campaign"


def asset_to_dataset(asset: Any, lineage_context: Any) -> Dataset | None:
    """Return the dataset of a ``bm://`` asset; named in the provider's metadata.

    :param asset: an asset of :func:`~airflow_provider_bm.assets.campaign_asset`
    :param lineage_context: not used
    """
    parts = urlsplit(asset.uri)
    return _dataset(parts.netloc, parts.path.strip("/")) if parts.netloc and parts.path else None


def campaign_lineage(campaign: Mapping[str, Any], service_uuid: str | None) -> OperatorLineage | None:
    """Return the lineage of a task and its campaign.

    :param campaign: as it was last read
    :param service_uuid: its BM account
    :return: None if the OpenLineage provider is not installed
    """
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.facet_v2 import JobFacet, RunFacet
    except ImportError:
        return None
    import attr

    @attr.define
    class BMCampaignJobFacet(JobFacet):  # type: ignore[misc]
        serviceUuid: str | None  # noqa: N815 - names as in OpenLineage's own facets
        sendingType: str | None  # noqa: N815
        scheduleType: str | None  # noqa: N815

    @attr.define
    class BMCampaignRunFacet(RunFacet):  # type: ignore[misc]
        campaignUuid: str  # noqa: N815
        status: str
        lastExecution: str | None  # noqa: N815

    service, uuid = service_uuid or "unknown", campaign["uuid"]
    lists = campaign.get("recipient_lists") or []
    names = lists.split(",") if isinstance(lists, str) else lists
    return OperatorLineage(
        inputs=[_dataset(service, f"lists/{str(name).strip().lower()}") for name in names],
        outputs=[_dataset(service, f"campaigns/{uuid}")],
        job_facets={
            FACET: BMCampaignJobFacet(
                serviceUuid=service_uuid,
                sendingType=campaign.get("sending_type"),
                scheduleType=campaign.get("schedule_type"),
            )
        },
        run_facets={
            FACET: BMCampaignRunFacet(
                campaignUuid=uuid, status=campaign["status"], lastExecution=campaign.get("last_dt") or None
            )
        },
    )


def _dataset(service_uuid: str, name: str) -> Dataset:
    from openlineage.client.event_v2 import Dataset

    return Dataset(namespace=f"bm://{service_uuid}", name=name)
