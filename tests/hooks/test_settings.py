"""Section ``[bm]`` of Airflow's configuration, which restricts every connection."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.exceptions import BMConfigError, BMPolicyError
from airflow_provider_bm.hooks import BMHook
from tests.hooks.http_stub import GIVEN, OTHER, UUID, connection


@pytest.fixture
def settings(monkeypatch):
    """Settings of a connection with extras, under options of ``[bm]``."""

    def read(extra: dict[str, object] | None = None, **options: str) -> BMSettings:
        monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection(**(extra or {})))
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__BM__{name.upper()}", value)
        return BMHook().client.settings

    return read


def test_default_settings(settings):
    result = settings()
    assert (result.draft_only, result.allowed_recipient_lists, result.key_namespace) == (False, None, "")
    assert result.max_age == timedelta(days=1)


@pytest.mark.parametrize(
    ("extra", "option", "draft_only"),
    [({}, "True", True), ({"draft_only": False}, "yes", True), ({"draft_only": True}, "False", True),
     ({}, "False", False), ({}, "", False)],
)  # fmt: skip
def test_draft_only_of_connection_or_configuration(settings, extra, option, draft_only):
    assert settings(extra, draft_only=option).draft_only is draft_only


@pytest.mark.parametrize(
    ("extra", "option", "allowed"),
    [
        (None, "", None),
        (None, UUID, (UUID,)),
        (None, "[]", ()),
        (UUID, "", (UUID,)),
        ([UUID.upper(), OTHER], f"{OTHER}, {OTHER}", (OTHER,)),
        (f'["{UUID}"]', OTHER, ()),
        ([], UUID, ()),
    ],
)
def test_recipient_lists_that_both_allow(settings, extra, option, allowed):
    result = settings({"allowed_recipient_lists": extra}, allowed_recipient_lists=option)
    assert result.allowed_recipient_lists == allowed


def test_an_empty_intersection_refuses_everything(settings, http_stub):
    settings({"allowed_recipient_lists": UUID}, allowed_recipient_lists=OTHER)
    with pytest.raises(BMPolicyError, match="It allows none"):
        BMHook().create_campaign(GIVEN)
    assert http_stub.requests == []


@pytest.mark.parametrize(
    ("option", "max_age"), [("", None), ("3600", timedelta(hours=1)), ("0.5", timedelta(seconds=0.5))]
)
def test_max_age_option(settings, option, max_age):
    assert settings(max_age=option).max_age == max_age


def test_key_namespace_option(settings):
    assert settings(key_namespace="production").key_namespace == "production"


@pytest.mark.parametrize(
    ("name", "value"),
    [("draft_only", "maybe"), ("allowed_recipient_lists", "staff"), ("max_age", "a day"), ("max_age", "0"),
     ("max_age", "nan")],
)  # fmt: skip
def test_a_wrong_option_is_named(settings, name, value):
    with pytest.raises(BMConfigError, match=rf"\[bm\] {name} of Airflow's configuration: must"):
        settings(**{name: value})
