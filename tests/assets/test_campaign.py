"""Asset URIs: which forms Airflow normalizes, and which it refuses."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_bm.assets import campaign_asset, campaign_uri
from airflow_provider_bm.exceptions import BMPayloadError
from tools.airflow_env import is_airflow_2

SERVICE = "9c8e2a14-c1af-11ee-8073-bf4d6e8c1618"
CAMPAIGN = "1592695e-c1b1-11ee-b153-774c9d3a7957"
ALL = f"bm://{SERVICE}/campaigns"
ONE = f"{ALL}/{CAMPAIGN}"

from_airflow_3 = pytest.mark.skipif(
    is_airflow_2(), reason="Airflow 2.11 does not call the provider for asset URIs"
)


def test_uri_of_one_campaign_and_of_all_campaigns():
    assert campaign_uri(SERVICE, CAMPAIGN) == ONE
    assert campaign_uri(SERVICE) == ALL
    assert campaign_uri(UUID(SERVICE), CAMPAIGN.upper()) == ONE


def test_error_names_every_invalid_argument():
    with pytest.raises(BMPayloadError) as caught:
        campaign_asset("bm_default", "Storm warning")

    assert [(problem.field, problem.value) for problem in caught.value.problems] == [
        ("service_uuid", "bm_default"),
        ("campaign_uuid", "Storm warning"),
    ]
    assert "must be a UUID" in str(caught.value)


def test_an_empty_campaign_is_not_all_campaigns():
    with pytest.raises(BMPayloadError, match="campaign_uuid=''"):
        campaign_uri(SERVICE, "")


def test_spellings_of_one_uuid_are_the_same_asset():
    asset = campaign_asset(SERVICE, CAMPAIGN, extra={"team": "crm"})

    assert isinstance(asset, Asset)
    assert asset.uri == ONE
    assert asset.extra == {"team": "crm"}
    assert asset == campaign_asset(SERVICE.upper(), CAMPAIGN.upper(), extra={"team": "crm"})


@from_airflow_3
@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (ONE, ONE),
        (ALL, ALL),
        (f"bm://{SERVICE.upper()}/campaigns/{CAMPAIGN.upper()}", ONE),
        (f"{ONE}/", ONE),
        (f"{ALL}//", ALL),
        (f"BM://{SERVICE}/campaigns", ALL),
        (f"{ONE}#now", ONE),
    ],
)
def test_airflow_normalizes_the_uri(written, kept):
    asset = Asset(uri=written, name="whatever")

    assert asset.uri == kept
    assert asset.normalized_uri == kept


@from_airflow_3
@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("bm://example.com/campaigns", "service_uuid='example.com': must be a UUID"),
        (f"bm://{SERVICE}:443/campaigns", f"service_uuid='{SERVICE}:443': must be a UUID"),
        (f"{ALL}/Storm", "campaign_uuid='Storm': must be a UUID"),
        (f"bm://{SERVICE}", "must be bm://SERVICE_UUID/campaigns/CAMPAIGN_UUID"),
        (f"bm://{SERVICE}/Campaigns", "must be bm://SERVICE_UUID/campaigns/CAMPAIGN_UUID"),
        (f"{ONE}/messages", "must be bm://SERVICE_UUID/campaigns/CAMPAIGN_UUID"),
        (f"{ONE}?status=draft", "without user, password and query"),
    ],
)
def test_airflow_refuses_any_other_form(uri, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Asset(uri=uri, name="whatever")


@from_airflow_3
def test_no_asset_has_a_user():
    """Airflow 3.0 removes the user before it calls the provider."""
    try:
        asset = Asset(uri=f"bm://somebody@{SERVICE}/campaigns", name="whatever")
    except ValueError as error:
        assert "without user" in str(error)  # noqa: PT017 - in one version out of two
    else:
        assert asset.uri == ALL


@from_airflow_3
@pytest.mark.filterwarnings("ignore:An Asset URI should not contain")
@pytest.mark.parametrize(
    "user", ["client:{}", "{}", "{}:", "client:{}/more", "client:some#{}", "client:{}?more"]
)
def test_a_connection_taken_for_an_asset_shows_no_secret(user, leak_guard):
    leak_guard.register("asset-secret")
    uri = f"bm://{user}@example.com/{SERVICE}?proxies={{}}".format(*["asset-secret"] * 2)

    # The guard searches the whole traceback.
    with pytest.raises(ValueError, match=rf"uri='bm://(…|example\.com/{SERVICE})'"):
        Asset(uri=uri, name="whatever")


@from_airflow_3
def test_lineage_makes_the_asset_by_its_parts():
    try:
        from airflow.sdk.lineage import HookLineageCollector
    except ImportError:  # before 3.2
        from airflow.lineage.hook import HookLineageCollector
    created = HookLineageCollector().create_asset(
        scheme="bm", asset_kwargs={"service_uuid": SERVICE, "campaign_uuid": CAMPAIGN}
    )

    assert created == campaign_asset(SERVICE, CAMPAIGN)
