"""docs/cli.md says what the commands are."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_bm.cli import COMMANDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()


def test_every_command_is_described():
    headings = " ".join(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))
    assert {command.name for command in COMMANDS} <= set(headings.replace(" and ", " ").split())


def test_every_option_that_is_named_exists():
    options = {flag for command in COMMANDS for each in command.arguments for flag in each.flags}
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= options
