"""Weather alert: on a stormy or frosty morning, text everybody on a list; on all others, do nothing.

The message is written and approved by people, as a draft campaign in the BM console, with the variables
{temp} and {wind} where the numbers go:

    Good morning {first_name}. Seattle today: as cold as {temp}, wind {wind}. Stay in if you can.

Every day at six the DAG looks at the day's weather. If it is bad, it clones the draft with the day's numbers,
which sends it, and waits in the triggerer until all messages are out. Otherwise the run is skipped.

Set up: the connection `bm_default`, and the draft's UUID in the Airflow variable `weather_alert_draft`.

The weather is NOAA's, Seattle 2012 to 2015 (see data/README.md), and the DAG replays ten days of it: unpause
it, and Airflow catches up. That is what `max_age=None` allows: without it, tasks of runs that are more
than a day old refuse to send. With a forecast of your own in `look_out`, drop `max_age` and `end_date`, and
set `catchup=False`: nobody wants to be warned of last week's storms.
"""

from __future__ import annotations

import csv
import logging
from datetime import UTC, datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, AirflowSkipException, task
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_bm.operators import BMCloneCampaignOperator

log = logging.getLogger("airflow.task")

WEATHER = Path(__file__).parent / "data" / "seattle-weather.csv"
STORM = 8.0  # m/s, mean of the day
FROST = -3.0  # °C, lowest of the day


@task
def look_out(ds: str | None = None) -> dict[str, str]:
    """The day's values for the draft's variables; skips if no warning is needed."""
    with WEATHER.open(newline="") as file:
        today = next((row for row in csv.DictReader(file) if row["date"].replace("/", "-") == ds), None)
    if today is None:
        # Not a quiet day: the weather is unknown, which must not go unnoticed.
        raise AirflowFailException(f"{WEATHER.name} has no weather for {ds}")
    temp, wind = float(today["temp_min"]), float(today["wind"])
    if temp > FROST and wind < STORM:
        raise AirflowSkipException(f"A quiet day: {temp} °C, {wind} m/s")
    return {"temp": f"{temp}C", "wind": f"{wind * 3.6:.0f}km/h"}


@task
def report(campaign_uuid: str) -> int:
    """Return the number of messages sent."""
    from airflow_provider_bm.hooks import BMHook

    campaign = BMHook().get_campaign(campaign_uuid, fields="messages")
    # Only their number goes into XCom: texts and phone numbers are nobody's business there.
    sent = len(campaign["messages"])
    log.info("%s: %d messages", campaign["name"], sent)
    return sent


with DAG(
    "weather_alert",
    # Six in the morning of the day itself, on Airflow 2 as on 3. ("@daily" means the day before on 2.)
    schedule=CronTriggerTimetable("0 6 * * *", timezone="UTC"),
    start_date=datetime(2013, 11, 28, tzinfo=UTC),
    end_date=datetime(2013, 12, 8, tzinfo=UTC),
    catchup=True,
    max_active_runs=1,
    # Retries are safe: a later try finds the campaign of an earlier one, and does not send again.
    default_args={"retries": 2},
    tags=["bm", "example"],
    doc_md=__doc__,
):
    send = BMCloneCampaignOperator(
        task_id="send",
        clone_uuid="{{ var.value.weather_alert_draft }}",
        name="Weather alert {{ ds }}",
        template_vars=look_out(),
        wait_for_completion=True,
        deferrable=True,
        poke_interval=15,
        max_age=None,  # only for this replay: it sends for days long past
    )
    report(send.output)
