"""A WhatsApp message that was written in the BM console, and is kept as a file beside the DAG.

BM has not published what the JSON of a WhatsApp message looks like, so do not write it by hand: write the
message as a draft in the console, read the draft's `template` (BMGetCampaignOperator, or
`BMHook().get_campaign(uuid)`), and save it as `whatsapp_from_draft.json`. The file here only stands for
yours. From then on the message is reviewed and versioned like code. It is sent as it is; variables in its
texts are checked.

Jinja renders the file, too. WhatsApp numbers its own variables: write `{% raw %}{{1}}{% endraw %}`, so that
Jinja leaves them alone.

Set up: the connection `bm_default`, and the Airflow variables `whatsapp_sender` (the phone number ID, as
text) and `whatsapp_list` (the UUID of a recipient list).
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.operators import BMCreateCampaignOperator

with DAG(
    "whatsapp_from_draft",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"retries": 2},
    tags=["bm", "example"],
    doc_md=__doc__,
):
    BMCreateCampaignOperator(
        task_id="send",
        name="Parcels",
        sending_type="whatsapp",
        template="whatsapp_from_draft.json",
        sender="{{ var.value.whatsapp_sender }}",
        recipient_lists="{{ var.value.whatsapp_list }}",
        wait_for_completion=True,
        deferrable=True,
    )
