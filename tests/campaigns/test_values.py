from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import pytest

from airflow_provider_bm.campaigns import CampaignClone
from airflow_provider_bm.campaigns.values import is_missing, leftover_jinja
from airflow_provider_bm.exceptions import BMPayloadError
from tests.campaigns.samples import LIST_A

NAMES = {"np": np, "pd": pd, "Decimal": Decimal, "Fraction": Fraction, "date": date}
PAGE = Path(__file__).parents[2] / "docs/values.md"
ROWS = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
TABLE = [row for row in ROWS if not row[0].islower() or not row[0].replace("_", "").isalpha()]


def sent(**fields: Any) -> str:
    """Return the text that is sent, as the page shows it."""
    try:
        payload = CampaignClone(clone_uuid=LIST_A, **fields).to_payload()
    except BMPayloadError:
        return "rejected"
    value = payload["template_vars"]["x"] if "template_vars" in fields else payload["webpush_title"]
    return f"`{value}`" if value else "empty text"


@pytest.mark.parametrize(("code", "variable", "text"), TABLE)
def test_the_table_of_values(code: str, variable: str, text: str) -> None:
    value = eval(code, NAMES)
    assert sent(template_vars={"x": value}) == variable
    if value is not None and code != '""':
        assert sent(webpush_title=value) == text


def test_the_table_is_complete() -> None:
    assert len(TABLE) > 25


def test_undefined_is_missing() -> None:
    for value in (jinja2.Undefined(), jinja2.StrictUndefined(name="x"), np.datetime64("NaT")):
        assert is_missing(value)
    for value in ("None of us", 0, "", [], np.array([1, 2]), pd.DataFrame({"a": [None]})):
        assert not is_missing(value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sale until {{ ds }}", "{{ ds }}"),
        ("{% if x %}y{% endif %}", "{% if x %}"),
        ("{{ds}}", "{{ds}}"),
        ("{{1}} {{ 2 }}", None),
        ("{first_name} {{", None),
    ],
)
def test_leftover_jinja(text: str, found: str | None) -> None:
    assert leftover_jinja(text) == found
