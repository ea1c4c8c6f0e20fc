"""Subscriptions to the poller of an Airflow connection."""

from __future__ import annotations

from contextlib import AbstractContextManager

from airflow.providers.common.compat.connection import get_async_connection

from airflow_provider_bm.campaigns.ids import parse_uuid
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.hooks.bm import client_with
from airflow_provider_bm.hooks.settings import configured_settings
from airflow_provider_bm.polling.poller import Subscription
from airflow_provider_bm.polling.registry import subscribe as subscribe_to_poller
from airflow_provider_bm.polling.watcher import Watcher


def subscribe(
    watcher: Watcher, bm_conn_id: str, service_uuid: str | None
) -> AbstractContextManager[Subscription]:
    """Poll for a watcher within a ``with`` block.

    :param bm_conn_id: Airflow connection of type ``bm``
    :param service_uuid: BM account; None: the connection's
    :raises BMPayloadError: ``service_uuid`` is not a UUID
    """
    service = None if service_uuid is None else parse_uuid(service_uuid, "service_uuid")

    async def settings() -> BMSettings:
        return configured_settings(await get_async_connection(bm_conn_id), service)

    return subscribe_to_poller(watcher, key=(bm_conn_id, service), settings=settings, connect=client_with)
