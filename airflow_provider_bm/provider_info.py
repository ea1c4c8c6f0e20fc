"""Provider metadata. Airflow reads it at every start, so it is cheap, and does not import Airflow."""

from __future__ import annotations

from typing import Any

from airflow_provider_bm import __version__

CONNECTION_TYPE = "bm"
HOOK_CLASS_NAME = "airflow_provider_bm.hooks.BMHook"
HOOK_NAME = "Business Messenger"

#: The custom fields, stored in the connection's Extra. Each type includes "null": a field that is not
#: filled in is saved as null, and without "null" it would be required.
CONN_FIELDS: dict[str, dict[str, Any]] = {
    "draft_only": {
        "label": "Never send",
        "description": (
            "Nothing that goes through this connection can reach anyone: campaigns are created as drafts, "
            "and activating one is refused. Enable it wherever no message may go out, such as in staging."
        ),
        "schema": {"type": ["boolean", "null"], "default": False},
    },
    "separator": {
        "label": "Host separator",
        "description": (
            "How your platform's host names are written: . (dot) as in api.example.com, or - (hyphen) as in "
            "api-example.com. Your BM account manager knows; most use the dot."
        ),
        "schema": {
            "type": ["string", "null"],
            "default": ".",
            "enum": [".", "-"],
            "values_display": {".": "dot: api.example.com", "-": "hyphen: api-example.com"},
        },
    },
    "allowed_recipient_lists": {
        "label": "Allowed recipient lists",
        "description": (
            "UUIDs of the only contact lists that may be messaged, separated by commas. Empty: any; []: none."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "allowed_variables": {
        "label": "Allowed variables",
        "description": (
            "Variables that BM fills by itself, separated by commas. A clone whose content has other "
            "variables without a value is refused."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "max_campaigns_per_hour": {
        "label": "Campaigns per hour",
        "description": (
            "Nothing more is sent once so many campaigns were created on the service within an hour. "
            "Empty: no limit."
        ),
        "schema": {"type": ["integer", "null"], "minimum": 0},
    },
    "send_window": {
        "label": "Send window",
        "description": (
            "When messages may go out; empty: at any time. A JSON object such as "
            '{"start": "09:00", "end": "20:00", "days": "mon-fri", "tz": "Europe/Zurich"}'
        ),
        "schema": {"type": ["string", "null"]},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "How long to wait for each reply. Default: 30.",
        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 3600},
    },
    "verify": {
        "label": "CA bundle",
        "description": (
            "Path, on the workers and triggerers, of a file with the certificate authorities to trust. "
            "Empty: the usual ones. Checking certificates cannot be turned off."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "proxies": {
        "label": "Proxies",
        "description": (
            'A JSON object such as {"https": "http://proxy.example.com:3128"}. '
            "Empty: those of the environment."
        ),
        "schema": {"type": ["string", "null"], "format": "multiline"},
    },
    "api_url": {
        "label": "API URL",
        "description": (
            "Full base URL of the Campaign API, instead of the one made from the platform domain: for the "
            "sandbox, a gateway, or a private deployment. Example: http://127.0.0.1:8765/news/v1"
        ),
        "schema": {"type": ["string", "null"], "format": "url"},
    },
    "token_url": {
        "label": "Token URL",
        "description": (
            "Full URL of the OAuth2 token endpoint, instead of the one made from the platform domain. "
            "Example: http://127.0.0.1:8765/oauth2/access-token"
        ),
        "schema": {"type": ["string", "null"], "format": "url"},
    },
    "console_url": {
        "label": "Console URL",
        "description": (
            "Where a person sees a campaign, with {campaign_uuid} in it: the link of a task in Airflow's UI. "
            "Example: https://console.example.com/campaigns/{campaign_uuid}"
        ),
        "schema": {"type": ["string", "null"]},
    },
}

#: Hidden fields, labels of the standard fields, and placeholders, which must be short enough to be seen as a
#: whole. Only Airflow before 3.1 shows those of custom fields. As the hook's method returns it.
UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden_fields": ["port"],
    "relabeling": {
        "host": "Platform domain",
        "login": "Client ID",
        "password": "Client secret",
        "schema": "Service UUID",
    },
    "placeholders": {
        "host": "required, unless both URLs are set: example.com",
        "login": "required: OAuth2 client id",
        "password": "required: OAuth2 client secret",
        "schema": "UUID of the BM account; if empty, in each task",
        "api_url": "sandbox: http://127.0.0.1:8765/news/v1",
        "token_url": "sandbox: http://127.0.0.1:8765/oauth2/access-token",
    },
}

#: Section ``[bm]`` of Airflow's configuration. Always read with ``fallback=``: see ``hooks/settings.py``.
CONFIG: dict[str, Any] = {
    "bm": {
        "description": "Restrictions and defaults for everything that this Airflow sends through BM.",
        "options": {
            "draft_only": {
                "description": "Nothing that this Airflow does may send, whatever a connection says.",
                "version_added": "0.1.0",
                "type": "boolean",
                "example": "True",
                "default": "False",
            },
            "allowed_recipient_lists": {
                "description": (
                    "UUIDs of the only contact lists that may be messaged, separated by commas. Empty: any; "
                    "``[]``: none. If a connection restricts them, too, both restrictions apply."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618",
                "default": "",
            },
            "key_namespace": {
                "description": (
                    "Part of the key that marks the campaign of a task instance. Different values let two "
                    "Airflows with equal DAGs share a BM account."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "production",
                "default": "",
            },
            "max_age": {
                "description": (
                    "Seconds after which a scheduled run is too old to send. Default of the operators' "
                    "``max_age``. Empty: no limit."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "3600",
                "default": "86400",
            },
            "start_from_trigger": {
                "description": "Default of the sensor's ``start_from_trigger`` (Airflow 3.3+).",
                "version_added": "0.1.0",
                "type": "boolean",
                "example": "True",
                "default": "False",
            },
            "end_from_trigger": {
                "description": (
                    "Default of ``end_from_trigger`` of the sensor and of operators that wait (Airflow 3.3+)."
                ),
                "version_added": "0.1.0",
                "type": "boolean",
                "example": "True",
                "default": "False",
            },
        },
    }
}

_INTEGRATION = "Business Messenger"


def _modules(name: str) -> list[dict[str, Any]]:
    return [{"integration-name": _INTEGRATION, "python-modules": [f"airflow_provider_bm.{name}"]}]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata; the entry point ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-provider-bm",
        "name": "Business Messenger",
        "description": "Messaging campaigns of Business Messenger (BM): start, control and wait for them.",
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
                "to_openlineage_converter": "airflow_provider_bm.lineage.asset_to_dataset",
            }
        ],
        "config": CONFIG,
        # From Airflow 3.2 on: airflow bm.
        "cli": ["airflow_provider_bm.cli.get_commands"],
        "notifications": ["airflow_provider_bm.notifications.BMCampaignNotifier"],
        "task-decorators": [
            {"name": "bm_campaign", "class-name": "airflow_provider_bm.decorators.bm_campaign_task"}
        ],
        "extra-links": ["airflow_provider_bm.links.bm.BMCampaignLink"],
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
