from __future__ import annotations

import pytest

from airflow_provider_bm.campaigns.sms import sms_parts


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts", "left"),
    [
        ("", "GSM 03.38", 0, 0, 160),
        ("Grüezi @ £5 àé", "GSM 03.38", 14, 1, 146),
        ("a" * 160, "GSM 03.38", 160, 1, 0),
        ("a" * 161, "GSM 03.38", 161, 2, 145),
        ("a" * 306, "GSM 03.38", 306, 2, 0),
        ("a" * 307, "GSM 03.38", 307, 3, 152),
        ("€" * 80, "GSM 03.38", 160, 1, 0),
        # Two units do not fit into the last one of a part.
        ("a" * 152 + "€" + "a" * 10, "GSM 03.38", 164, 2, 141),
        ("ê", "UCS-2", 1, 1, 69),
        ("ê" * 70, "UCS-2", 70, 1, 0),
        ("ê" * 71, "UCS-2", 71, 2, 63),
        ("🔥", "UCS-2", 2, 1, 68),
        ("ê" * 66 + "🔥" + "ê" * 10, "UCS-2", 78, 2, 55),
    ],
)
def test_number_of_parts(text: str, encoding: str, units: int, parts: int, left: int) -> None:
    found = sms_parts(text)
    assert (found.encoding, found.units, found.parts, found.units_left) == (encoding, units, parts, left)


def test_characters_that_gsm_does_not_have() -> None:
    assert sms_parts("ça 🔥 ç{}").not_gsm == "ç🔥"
    assert str(sms_parts("ça")) == "1 part, 2 characters in UCS-2, because of 'ç'"
    assert str(sms_parts("a" * 161)) == "2 parts, 161 characters in GSM 03.38"
