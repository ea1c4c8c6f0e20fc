"""Assets: a campaign, or all campaigns of a service, as something that DAGs can be scheduled by.

::

    bm://SERVICE_UUID/campaigns/CAMPAIGN_UUID    a campaign
    bm://SERVICE_UUID/campaigns                  all campaigns of the service

Airflow 3 knows these URIs from the provider's metadata: an ``Asset`` has them with UUIDs in lower case, and
one of another form is refused. For Airflow 2.11 they are texts like any other: it could only warn, and would
show the password of a connection's URI that was taken for an asset's.

Airflow imports this wherever an asset is made, of whatever kind, so nothing of Airflow is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from uuid import UUID

    from airflow.providers.common.compat.sdk import Asset

SCHEME = "bm"
_CAMPAIGNS = "campaigns"
_FORM = f"{SCHEME}://SERVICE_UUID/{_CAMPAIGNS}/CAMPAIGN_UUID"
_WANTED = f"must be {_FORM}, or without /CAMPAIGN_UUID for all; no user, no password, no query"


def campaign_uri(service_uuid: str | UUID, campaign_uuid: str | UUID | None = None) -> str:
    """Make the URI of an asset.

    :param service_uuid: BM account; the asset has no connection that it could be taken from
    :param campaign_uuid: the campaign; default: None, for all campaigns of the service
    :return: the URI, as Airflow keeps it
    :raises BMPayloadError: if one of them is no UUID
    """
    from airflow_provider_bm.campaigns.ids import check_uuid
    from airflow_provider_bm.campaigns.problems import Problems
    from airflow_provider_bm.exceptions import BMPayloadError

    problems = Problems()
    service = check_uuid("service_uuid", service_uuid, problems)
    campaign = None if campaign_uuid is None else check_uuid("campaign_uuid", campaign_uuid, problems)
    if problems:
        raise BMPayloadError(problems, "asset URI")
    return f"{SCHEME}://{service}/{_CAMPAIGNS}" + (f"/{campaign}" if campaign else "")


def campaign_asset(
    service_uuid: str | UUID, campaign_uuid: str | UUID | None = None, **asset_arguments: Any
) -> Asset:
    """Make the asset of a campaign, or of all campaigns of a service.

    Two that name the same campaign are the same asset, however its UUIDs are written. ``Asset("bm://…")``
    takes the URI as it was written for its name, and Airflow has two assets then.

    .. code-block:: python

        DAG(
            "after_the_campaign",
            schedule=campaign_asset(
                "9c8e2a14-c1af-11ee-8073-bf4d6e8c1618", "1592695e-c1b1-11ee-b153-774c9d3a7957"
            ),
        )

    :param service_uuid: BM account
    :param campaign_uuid: the campaign; default: None, for all campaigns of the service
    :param asset_arguments: for ``Asset``, such as ``name``, ``group``, ``extra``, ``watchers``. The name is
        the URI by default. Airflow 2.11's ``Dataset`` takes ``extra`` only.
    :raises BMPayloadError: if one of them is no UUID
    """
    from airflow.providers.common.compat.sdk import Asset

    return Asset(uri=campaign_uri(service_uuid, campaign_uuid), **asset_arguments)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Bring an asset's URI into its one form; Airflow calls this for all that begin with ``bm://``.

    :param uri: the URI, split
    :raises BMPayloadError: if it is no URI of a campaign or of a service's campaigns: a ValueError, as
        Airflow expects
    """
    parts = uri.path.rstrip("/").split("/")
    bare = "@" not in uri.netloc and not uri.query
    if bare and parts[:2] == ["", _CAMPAIGNS] and len(parts) <= 3:
        return urlsplit(campaign_uri(uri.netloc, *parts[2:]))
    from airflow_provider_bm.exceptions import BMPayloadError, Problem

    # Somebody may have taken a connection's URI, which holds secrets.
    secret = any(sign in part for sign in ":@" for part in (uri.netloc, uri.path, uri.query, uri.fragment))
    shown = f"{uri.scheme}://…" if secret else f"{uri.scheme}://{uri.netloc}{uri.path}"
    raise BMPayloadError([Problem("uri", shown, _WANTED)], "asset URI")
