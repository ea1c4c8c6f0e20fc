"""OpenLineage: what a task reports of its campaign, and assets as datasets."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

import attr
import pytest

from airflow_provider_bm import lineage
from airflow_provider_bm.assets import campaign_asset
from airflow_provider_bm.operators import BMCreateCampaignOperator
from airflow_provider_bm.provider_info import get_provider_info
from airflow_provider_bm.sandbox.contacts import DEFAULT_SERVICE

LIST = "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"
UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"


@pytest.fixture
def openlineage(monkeypatch):
    """The OpenLineage provider, or stand-ins for its classes where it is not installed."""
    if importlib.util.find_spec("openlineage") is not None:
        return
    classes = {
        "airflow.providers.openlineage": (),
        "airflow.providers.openlineage.extractors": ("OperatorLineage",),
        "openlineage": (),
        "openlineage.client": (),
        "openlineage.client.facet_v2": ("JobFacet", "RunFacet"),
        "openlineage.client.event_v2": ("Dataset",),
    }
    fields = {
        "OperatorLineage": ["inputs", "outputs", "run_facets", "job_facets"],
        "Dataset": ["namespace", "name"],
    }
    for module, names in classes.items():
        stand_in = ModuleType(module)
        for name in names:
            setattr(stand_in, name, attr.make_class(name, fields.get(name, [])))
        monkeypatch.setitem(sys.modules, module, stand_in)


@pytest.mark.usefixtures("openlineage")
def test_lists_are_inputs_and_the_campaign_is_the_output(sandbox, execute):
    staff = sandbox.recipient_lists["staff"]
    task = execute(
        BMCreateCampaignOperator,
        name="Storm",
        sending_type="sms",
        template="Stay at home.",
        sender="+41587000000",
        recipient_lists=staff,
    )
    found = task.task.get_openlineage_facets_on_complete(None)
    assert [(each.namespace, each.name) for each in found.inputs] == [
        (f"bm://{DEFAULT_SERVICE}", f"lists/{staff}")
    ]
    assert [(each.namespace, each.name) for each in found.outputs] == [
        (f"bm://{DEFAULT_SERVICE}", f"campaigns/{task.result}")
    ]
    assert found.run_facets[lineage.FACET].campaignUuid == task.result
    assert found.job_facets[lineage.FACET].sendingType == "sms"
    shown = repr(found)
    assert not [private for private in ("Storm", "Stay at home", "+41587000000") if private in shown]


@pytest.mark.usefixtures("openlineage")
def test_an_asset_is_the_dataset_that_a_task_reports():
    asset = campaign_asset(DEFAULT_SERVICE, UUID)
    dataset = lineage.asset_to_dataset(asset, None)
    reported = lineage.campaign_lineage({"uuid": UUID, "status": "active"}, DEFAULT_SERVICE)
    assert reported.outputs == [dataset]
    everything = lineage.asset_to_dataset(campaign_asset(DEFAULT_SERVICE), None)
    assert (everything.namespace, everything.name) == (f"bm://{DEFAULT_SERVICE}", "campaigns")


def test_the_converter_is_in_the_providers_metadata():
    (uris,) = get_provider_info()["asset-uris"]
    module, _, name = uris["to_openlineage_converter"].rpartition(".")
    assert getattr(importlib.import_module(module), name) is lineage.asset_to_dataset


def test_without_openlineage_there_is_no_lineage(monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)
    assert lineage.campaign_lineage({"uuid": UUID, "status": "active", "recipient_lists": LIST}, None) is None
