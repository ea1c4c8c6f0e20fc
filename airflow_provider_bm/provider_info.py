"""What Airflow asks a provider about itself, at every start: cheap, with no Airflow imported."""

from __future__ import annotations

from typing import Any

from airflow_provider_bm import __version__
from airflow_provider_bm.connection_form import (
    CONN_FIELDS,
    CONNECTION_TYPE,
    HOOK_CLASS_NAME,
    HOOK_NAME,
    UI_FIELD_BEHAVIOUR,
)

_INTEGRATION = "Business Messenger"


def _modules(name: str) -> list[dict[str, Any]]:
    return [{"integration-name": _INTEGRATION, "python-modules": [f"airflow_provider_bm.{name}"]}]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata; the entry point ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-provider-bm",
        "name": "Business Messenger",
        "description": "Messaging campaigns of Business Messenger (BM): start, steer and wait for them.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "tags": ["service"],
            }
        ],
        "operators": _modules("operators"),
        "sensors": _modules("sensors"),
        "hooks": _modules("hooks"),
        "triggers": _modules("triggers"),
        "asset-uris": [
            {
                "schemes": ["bm"],
                "handler": "airflow_provider_bm.assets.sanitize_uri",
                "factory": "airflow_provider_bm.assets.campaign_asset",
            }
        ],
        "extra-links": ["airflow_provider_bm.links.BMCampaignLink"],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": HOOK_CLASS_NAME,
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": {
                    name.replace("_", "-"): value for name, value in UI_FIELD_BEHAVIOUR.items()
                },
                "conn-fields": CONN_FIELDS,
            }
        ],
    }
