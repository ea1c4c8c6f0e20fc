"""The kinds of triggers that are compared. Airflow is only imported when a trigger is created."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Site:
    """The target of a trigger.

    :param service: the service, which operators and the sensor pass to their triggers
    :param campaigns: path of the campaigns of the service
    :param token: for those that cannot get one by themselves
    """

    service: str
    campaigns: str
    token: str


@dataclass(frozen=True)
class Way:
    """One kind of trigger.

    :param make: makes the trigger for a campaign, with a poke interval in seconds
    :param done: whether the payload of its event reports that the campaign has finished
    :param ignore_filters: the server ignores filters in lists
    :param hidden: the server answers 404 until the campaign has finished
    """

    label: str
    make: Callable[[Site, str, float], Any]
    done: Callable[[Any], bool]
    ignore_filters: bool = False
    hidden: bool = False

    @property
    def ours(self) -> bool:
        """Return whether it is a trigger of this provider."""
        return self.make is _bm


def _bm(site: Site, uuid: str, interval: float) -> Any:
    from airflow_provider_bm.triggers import BMCampaignTrigger

    return BMCampaignTrigger(campaign_uuid=uuid, service_uuid=site.service, poke_interval=interval)


def _http(site: Site, uuid: str, interval: float) -> Any:
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    return HttpSensorTrigger(
        endpoint=f"{site.campaigns}/{uuid}",
        headers={"Authorization": f"Bearer {site.token}"},
        poke_interval=interval,
    )


def _http_body(site: Site, uuid: str, interval: float) -> Any:
    from airflow.providers.http.triggers.http import HttpEventTrigger

    return HttpEventTrigger(
        response_check_path="benchmarks.finished.finished",
        endpoint=f"{site.campaigns}/{uuid}",
        headers={"Authorization": f"Bearer {site.token}"},
        poll_interval=interval,
    )


def _job(site: Site, uuid: str, interval: float) -> Any:
    from benchmarks.job_trigger import JobTrigger

    return JobTrigger(conn_id="jobs_default", path=f"{site.campaigns}/{uuid}", poll_interval=interval)


OURS = "bm"
WAYS = {
    OURS: Way("BMCampaignTrigger", _bm, lambda event: event["state"] == "done"),
    "bm-single": Way(
        "BMCampaignTrigger, filters ignored", _bm, lambda event: event["state"] == "done", ignore_filters=True
    ),
    "http": Way("HTTP provider, HttpSensorTrigger", _http, lambda event: event is True, hidden=True),
    "http-body": Way(
        "HTTP provider, HttpEventTrigger", _http_body, lambda event: event["status"] == "success"
    ),
    "job": Way("like dbt Cloud, aiohttp", _job, lambda event: event["status"] == "success"),
}
