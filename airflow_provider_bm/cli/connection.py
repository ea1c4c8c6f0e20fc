"""The client of a command, for an Airflow connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient


@contextmanager
def connected(conn_id: str, service_uuid: str | None = None) -> Iterator[BMClient]:
    """Return a client for an Airflow connection, and close it at the end of the block.

    :param service_uuid: BM account; None: the connection's
    :raises AirflowNotFoundException: there is no such connection
    :raises BMConfigError: the connection is invalid
    """
    from airflow_provider_bm._compat import connection_from_secrets
    from airflow_provider_bm.hooks.bm import client_of

    client = client_of(connection_from_secrets(conn_id), service_uuid)
    try:
        yield client
    finally:
        client.close()
