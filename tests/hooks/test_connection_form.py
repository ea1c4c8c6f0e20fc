"""The connection form of Airflow before 3.2, which asks the hook; later versions read the provider info."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import pytest

from airflow_provider_bm import provider_info as connection_form
from airflow_provider_bm.client.connection import EXTRAS
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.provider_info import get_provider_info
from tools.airflow_env import airflow_version, is_airflow_2

VERSION = tuple(map(int, airflow_version().split(".")[:2]))


def test_the_hook_is_what_the_provider_info_says():
    (kind,) = get_provider_info()["connection-types"]
    assert kind["connection-type"] == BMHook.conn_type == "bm"
    assert kind["hook-class-name"] == "airflow_provider_bm.hooks.BMHook"
    assert kind["hook-name"] == BMHook.hook_name
    assert BMHook.default_conn_name == "bm_default"
    assert BMHook.conn_name_attr in inspect.signature(BMHook).parameters


def test_every_extra_has_a_field():
    assert sorted(connection_form.CONN_FIELDS) == sorted(EXTRAS)


def test_behaviour_is_the_provider_infos():
    (kind,) = get_provider_info()["connection-types"]
    behaviour = BMHook.get_ui_field_behaviour()
    assert behaviour == {name.replace("-", "_"): value for name, value in kind["ui-field-behaviour"].items()}
    assert behaviour["relabeling"] == {
        "host": "Platform domain",
        "login": "Client ID",
        "password": "Client secret",
        "schema": "Service UUID",
    }


@pytest.mark.skipif(not is_airflow_2(), reason="FAB comes with Airflow 2 only; 3.2+ asks the provider info")
def test_form_has_a_widget_for_each_field():
    from wtforms import BooleanField, Form, StringField

    widgets = BMHook.get_connection_form_widgets()
    assert set(widgets) == set(EXTRAS)
    form = type("ConnectionForm", (Form,), widgets)()
    for name, wanted in connection_form.CONN_FIELDS.items():
        assert type(form[name]) is (BooleanField if name == "draft_only" else StringField)
        assert str(form[name].label.text) == wanted["label"]
        assert form[name].description == wanted["description"]
        assert form[name]() or name


@pytest.mark.skipif(not is_airflow_2(), reason="the form that Airflow 2 makes")
def test_airflow_2_makes_a_form_of_it():
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    names = {name for name in manager.connection_form_widgets if name.startswith("extra__bm__")}
    assert names == {f"extra__bm__{name}" for name in EXTRAS}
    assert manager.field_behaviours["bm"]["hidden_fields"] == ["port"]


_ASK_AIRFLOW = """
import json, sys
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
names = [name for name in manager._connection_form_widgets_from_metadata if name.startswith("extra__bm__")]
(bm,) = [form for form in manager.iter_connection_type_hook_ui_metadata() if form.connection_type == "bm"]
hidden = bm.field_behaviour["hidden_fields"]
print("ANSWER", json.dumps([sorted(names), hidden, "airflow_provider_bm.hooks" in sys.modules]))
"""


@pytest.mark.skipif(VERSION < (3, 3), reason="older versions import the hook for their form")
def test_airflow_3_3_makes_a_form_without_the_hook():
    command = [sys.executable, "-c", _ASK_AIRFLOW]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    (answer,) = re.findall(r"^ANSWER (.*)$", done.stdout, re.MULTILINE)
    assert json.loads(answer) == [[f"extra__bm__{name}" for name in sorted(EXTRAS)], ["port"], False]


@pytest.mark.skipif(is_airflow_2(), reason="Airflow 2 has FAB")
def test_the_widgets_need_fab():
    with pytest.raises(ImportError):
        BMHook.get_connection_form_widgets()
