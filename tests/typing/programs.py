"""Programs as users write them, which mypy and pyright check in strict mode. They are not run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_bm.assets import campaign_asset, campaign_uri
from airflow_provider_bm.campaigns import CampaignCreate, SegmentationQuery, SegmentationRule
from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.exceptions import BMError, BMOutcomeUnknownError
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.operators import (
    BMCampaignStatusOperator,
    BMCloneCampaignOperator,
    BMCreateCampaignOperator,
    BMDeleteCampaignOperator,
    BMGetCampaignOperator,
    BMListCampaignsOperator,
    BMUpdateCampaignOperator,
)
from airflow_provider_bm.sandbox import Sandbox, SandboxClient
from airflow_provider_bm.sensors import BMCampaignSensor
from airflow_provider_bm.triggers import BMCampaignEventTrigger, BMCampaignTrigger

LIST = "5d0c7a52-6a3e-4d4b-9d0e-3b7f8a1c2e90"
UUID = "6eb36e51-19f9-4f55-91e0-c6e91ee35b6b"


@task
def greeting() -> dict[str, str]:
    return {"greeting": "Hello"}


def operators() -> None:
    with DAG("typed", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        create = BMCreateCampaignOperator(
            task_id="create",
            name="Storm",
            sending_type="sms",
            template="Storm ahead, {first_name}.",
            sender="+41587000000",
            recipient_lists=[LIST],
            query=SegmentationQuery.where(city="Basel", birthday__lt="2000-01-01"),
            wait_for_completion=True,
            execution_timeout=timedelta(hours=1),
        )
        clone = BMCloneCampaignOperator(task_id="clone", clone_uuid=UUID, template_vars={"city": "Basel"})
        BMCloneCampaignOperator(task_id="of_output", clone_uuid=create.output, template_vars=greeting())
        wait = BMCampaignSensor(task_id="wait", campaign_uuid=clone.output, deferrable=True)
        BMUpdateCampaignOperator(task_id="update", campaign_uuid=create.output, name="Gale")
        BMCampaignStatusOperator(task_id="stop", campaign_uuid=create.output, status="stopped")
        BMGetCampaignOperator(task_id="get", campaign_uuid=UUID)
        BMListCampaignsOperator(task_id="list", status="active")
        delete = BMDeleteCampaignOperator(task_id="delete", campaign_uuid=create.output)
        create >> clone >> wait >> delete
        BMCloneCampaignOperator.partial(task_id="mapped", clone_uuid=UUID).expand(  # pyright: ignore[reportUnknownMemberType]
            template_vars=[{"city": "Basel"}, {"city": "Bern"}]
        )


def hook() -> str:
    bm = BMHook("bm_default")
    try:
        campaign = bm.create_campaign(
            CampaignCreate(
                name="Storm",
                sending_type="sms",
                template="Storm.",
                sender="+41587000000",
                recipient_lists=LIST,
            )
        )
    except BMOutcomeUnknownError:
        raise
    except BMError as error:
        return str(error)
    bm.set_campaign_status(str(campaign["uuid"]), "active")
    return ", ".join(str(each["name"]) for each in bm.list_campaigns(status="active"))


def client() -> BMClient:
    return BMClient(
        BMSettings(
            api_url="https://api.example.com/news/v1",
            token_url="https://accounts.example.com/oauth2/access-token",
            client_id="id",
            client_secret="secret",
        )
    )


def triggers() -> tuple[BMCampaignTrigger, BMCampaignEventTrigger]:
    return BMCampaignTrigger(campaign_uuid=UUID, poke_interval=30), BMCampaignEventTrigger()


def assets() -> str:
    campaign_asset(LIST, UUID)
    return campaign_uri(LIST, UUID)


def segmentation() -> str:
    return str(SegmentationQuery.where(SegmentationRule("city", "eq", "Basel")).or_where(city="Bern"))


def sandbox() -> int:
    with Sandbox(execution_seconds=0) as bm:
        bm.create(name="Storm", status="active")
        return len(SandboxClient(bm.url).messages(text="Storm"))
