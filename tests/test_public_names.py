"""The public import paths, which users' DAGs and stored triggers rely on."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tools.airflow_env import airflow_version

#: Import paths that must keep working.
PUBLIC = {
    "airflow_provider_bm": ["__version__"],
    "airflow_provider_bm.assets": ["campaign_asset", "campaign_uri", "sanitize_uri"],
    "airflow_provider_bm.campaigns": [
        "CampaignClone",
        "CampaignCreate",
        "CampaignStatus",
        "CampaignUpdate",
        "SegmentationGroup",
        "SegmentationQuery",
        "SegmentationRule",
        "Verdict",
        "Wait",
        "campaign_id",
        "check_complete",
        "check_wait",
        "decide",
        "describe",
        "parse_time",
        "writable",
    ],
    "airflow_provider_bm.client": ["BMClient", "BMSettings"],
    "airflow_provider_bm.exceptions": [
        "BMAPIError",
        "BMAuthError",
        "BMBadRequestError",
        "BMCampaignStateError",
        "BMConfigError",
        "BMConflictError",
        "BMConnectError",
        "BMDraftOnlyError",
        "BMError",
        "BMForbiddenError",
        "BMHeldError",
        "BMNotFoundError",
        "BMOutcomeUnknownError",
        "BMPayloadError",
        "BMRateLimitError",
        "BMResponseError",
        "BMServerError",
        "BMTimeoutError",
        "BMTransportError",
        "Problem",
    ],
    "airflow_provider_bm.hooks": ["BMHook"],
    "airflow_provider_bm.links": ["XCOM_KEY", "BMCampaignLink"],
    "airflow_provider_bm.operators": [
        "BMApproveCampaignOperator",
        "BMCampaignReportOperator",
        "BMCampaignStatusOperator",
        "BMCloneCampaignOperator",
        "BMCreateCampaignOperator",
        "BMDeleteCampaignOperator",
        "BMGetCampaignOperator",
        "BMListCampaignsOperator",
        "BMUpdateCampaignOperator",
    ],
    "airflow_provider_bm.provider_info": ["get_provider_info"],
    "airflow_provider_bm.sandbox": ["Sandbox", "SandboxClient"],
    "airflow_provider_bm.sensors": ["BMCampaignSensor"],
    "airflow_provider_bm.testing": ["bm_connection", "bm_run_dag", "bm_sandbox"],
    "airflow_provider_bm.triggers": ["BMCampaignTrigger"],
}
HAS_EVENT_TRIGGERS = not airflow_version().startswith("2.")
if HAS_EVENT_TRIGGERS:
    PUBLIC["airflow_provider_bm.triggers"].append("BMCampaignEventTrigger")

UUID = "6eb36e51-19f9-4f55-91e0-c6e91ee35b6b"


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in PUBLIC for name in PUBLIC[module]])
def test_import_path(module, name):
    assert getattr(importlib.import_module(module), name) is not None


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_exported_names_exist(module):
    exported = getattr(importlib.import_module(module), "__all__", [])
    assert set(exported) <= set(dir(importlib.import_module(module)))


def test_path_of_the_campaign_trigger():
    from airflow_provider_bm.triggers import BMCampaignTrigger

    path, arguments = BMCampaignTrigger(campaign_uuid=UUID).serialize()
    assert path == "airflow_provider_bm.triggers.BMCampaignTrigger"
    assert _class_at(path)(**arguments).serialize() == (path, arguments)


@pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="Airflow 2 has no event triggers")
def test_path_of_the_event_trigger():
    from airflow_provider_bm.triggers import BMCampaignEventTrigger

    path, arguments = BMCampaignEventTrigger().serialize()
    assert path == "airflow_provider_bm.triggers.BMCampaignEventTrigger"
    assert _class_at(path)(**arguments).serialize() == (path, arguments)


def test_the_sandbox_is_a_command():
    command = [sys.executable, "-m", "airflow_provider_bm.sandbox", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "--port" in done.stdout


def _class_at(path: str) -> type:
    module, _, name = path.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    assert isinstance(cls, type)
    return cls
