"""``list`` and ``stop``."""

from __future__ import annotations

import sys
from argparse import Namespace
from itertools import islice
from typing import Any

from airflow_provider_bm.campaigns.ids import parse_uuid
from airflow_provider_bm.campaigns.labels import campaign_label, name_without_key
from airflow_provider_bm.cli import ERROR, OK
from airflow_provider_bm.cli.connection import connected
from airflow_provider_bm.cli.output import CommandError, Result, as_text
from airflow_provider_bm.exceptions import BMError


def list_campaigns(arguments: Namespace) -> Result:
    """List the campaigns of a service, newest first."""
    if arguments.limit < 1:
        raise CommandError("--limit must be at least 1")
    with connected(arguments.conn_id, arguments.service_uuid) as client:
        found = client.list_campaigns(status=arguments.status, sort="-created_dt")
        campaigns = list(islice(found, arguments.limit))
        more = next(found, None) is not None
    rows = campaigns if arguments.output == "json" else [_row(each) for each in campaigns]
    if more:
        print(f"There are more than {arguments.limit}; see --limit.", file=sys.stderr)
    return OK, as_text(rows, arguments.output, empty="No campaigns.")


def _row(campaign: dict[str, Any]) -> dict[str, Any]:
    return {
        "uuid": campaign["uuid"],
        "name": name_without_key(str(campaign.get("name") or "")),
        "status": campaign["status"],
        "channel": campaign.get("sending_type"),
        "created": campaign.get("created_dt"),
        "last": campaign.get("last_dt"),
        "next": campaign.get("next_dt"),
    }


def stop(arguments: Namespace) -> Result:
    """Stop the named campaigns, or all active ones. Continues after a failure."""
    if arguments.all == bool(arguments.uuids):
        raise CommandError("pass the UUIDs of campaigns, or --all")
    uuids = [parse_uuid(uuid) for uuid in arguments.uuids]
    with connected(arguments.conn_id, arguments.service_uuid) as client:
        names: dict[str, dict[str, Any]] = {}
        if arguments.all:
            names = {each["uuid"]: each for each in client.list_campaigns(status="active")}
            uuids = list(names)
            if uuids and not arguments.yes:
                for uuid in uuids:
                    print(campaign_label(uuid, names[uuid]), file=sys.stderr)
                if not _confirmed(f"Stop these {len(uuids)} campaigns?"):
                    print("Nothing was stopped.", file=sys.stderr)
                    return ERROR, ""
        rows, failed = [], False
        for uuid in dict.fromkeys(uuids):
            try:
                campaign = client.set_campaign_status(uuid, "stopped")
                result = campaign["status"]
            except BMError as error:
                campaign, result, failed = names.get(uuid, {}), f"NOT STOPPED: {error}", True
            name = name_without_key(str(campaign.get("name") or ""))
            rows.append({"uuid": uuid, "name": name, "status": result})
    return ERROR if failed else OK, as_text(rows, arguments.output, empty="No campaign is active.")


def _confirmed(question: str) -> bool:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
