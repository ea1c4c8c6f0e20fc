"""Assets: a campaign, or all campaigns of a service, for DAGs to be scheduled by.

::

    bm://SERVICE_UUID/campaigns/CAMPAIGN_UUID    a campaign
    bm://SERVICE_UUID/campaigns                  all campaigns of the service

Airflow 3 normalizes and validates these URIs with :func:`sanitize_uri`. Airflow 2.11 does not: it could only
warn, and the warning would show the password of a connection's URI that was used by mistake.

Airflow imports this module whenever an asset of any kind is created, so it does not import Airflow.
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
_EXPECTED = f"must be {_FORM}, or without /CAMPAIGN_UUID for all; without user, password and query"


def campaign_uri(service_uuid: str | UUID, campaign_uuid: str | UUID | None = None) -> str:
    """Return the URI of an asset.

    :param service_uuid: BM account; required, since an asset has no connection
    :param campaign_uuid: the campaign; None: all campaigns of the service
    :return: the URI in its normalized form
    :raises BMPayloadError: an argument is not a UUID
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
    """Return the asset of a campaign, or of all campaigns of a service.

    The same campaign always gives the same asset, whatever the case of its UUID. ``Asset("bm://…")``, in
    contrast, is named after the URI as it is written, so different spellings are different assets.

    .. code-block:: python

        DAG(
            "after_the_campaign",
            schedule=campaign_asset(
                "9c8e2a14-c1af-11ee-8073-bf4d6e8c1618", "1592695e-c1b1-11ee-b153-774c9d3a7957"
            ),
        )

    :param service_uuid: BM account
    :param campaign_uuid: the campaign; None: all campaigns of the service
    :param asset_arguments: further arguments of ``Asset``, such as ``name`` (default: the URI), ``group``,
        ``extra`` and ``watchers``. Airflow 2.11's ``Dataset`` accepts only ``extra``.
    :raises BMPayloadError: an argument is not a UUID
    """
    from airflow.providers.common.compat.sdk import Asset

    return Asset(uri=campaign_uri(service_uuid, campaign_uuid), **asset_arguments)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Normalize the URI of an asset; Airflow calls this for each URI that begins with ``bm://``.

    :param uri: the URI, split
    :raises BMPayloadError: it is not the URI of a campaign, or of a service's campaigns; a ValueError, as
        Airflow expects
    """
    parts = uri.path.rstrip("/").split("/")
    bare = "@" not in uri.netloc and not uri.query
    if bare and parts[:2] == ["", _CAMPAIGNS] and len(parts) <= 3:
        return urlsplit(campaign_uri(uri.netloc, *parts[2:]))
    from airflow_provider_bm.exceptions import BMPayloadError, Problem

    # It may be the URI of a connection, which contains secrets.
    secret = any(sign in part for sign in ":@" for part in (uri.netloc, uri.path, uri.query, uri.fragment))
    shown = f"{uri.scheme}://…" if secret else f"{uri.scheme}://{uri.netloc}{uri.path}"
    raise BMPayloadError([Problem("uri", shown, _EXPECTED)], "asset URI")
