"""A process that creates campaigns with requests, the hook or the operator."""

from __future__ import annotations

import json
import logging
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from airflow_provider_bm.client.auth import forget_tokens
from airflow_provider_bm.sandbox.contacts import RECIPIENT_LISTS
from benchmarks.child import answer_all

CAMPAIGN = {
    "name": "Storm warning",
    "status": "active",
    "sending_type": "sms",
    "schedule_type": "now",
    "template": "Stay at home, {first_name}.",
    "sender": "+41587000000",
    "recipient_lists": RECIPIENT_LISTS["customers"],
}


class Store(dict[str, Any]):
    """Airflow's ``task_state_store``, in memory."""

    set = dict.__setitem__


class TaskInstance:
    """The part of a task instance that the operator uses, in its first try."""

    dag_id, task_id, map_index, try_number = "warn", "send", -1, 1

    def __init__(self) -> None:
        self.run_id = str(time.monotonic_ns())

    def xcom_push(self, key: str, value: Any) -> None:
        pass


def bare() -> None:
    """The smallest valid campaign."""
    import requests

    connection = json.loads(os.environ["AIRFLOW_CONN_BM_DEFAULT"])
    extra = connection["extra"]
    with requests.Session() as session:
        form = {
            "grant_type": "client_credentials",
            "client_id": connection["login"],
            "client_secret": connection["password"],
        }
        reply = session.post(extra["token_url"], data=form, timeout=60)
        reply.raise_for_status()
        session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
        url = f"{extra['api_url']}/services/{connection['schema']}/campaigns"
        reply = session.post(url, json=CAMPAIGN, timeout=60)
        reply.raise_for_status()
        reply.json()


def hook() -> None:
    from airflow_provider_bm.hooks import BMHook

    BMHook().create_campaign(CAMPAIGN)


def operator() -> None:
    from airflow_provider_bm.operators import BMCreateCampaignOperator

    context: Any = {"ti": TaskInstance(), "task_state_store": Store(), "run_after": datetime.now(UTC)}
    BMCreateCampaignOperator(task_id="send", **CAMPAIGN).execute(context)


WAYS: dict[str, Callable[[], None]] = {
    "requests": bare,
    "BMHook": hook,
    "BMCreateCampaignOperator": operator,
}


def create(name: str) -> float:
    """Create one campaign, and return the seconds that it took."""
    forget_tokens()
    began = time.perf_counter()
    WAYS[name]()
    return time.perf_counter() - began


def medians(runs: int) -> dict[str, float]:
    """Create many campaigns, with each method in turn."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(runs):
        for name, found in times.items():
            found.append(create(name))
    return {name: statistics.median(found) for name, found in times.items()}


if __name__ == "__main__":
    logging.disable(logging.DEBUG)
    answer_all({"create": create, "medians": medians})
