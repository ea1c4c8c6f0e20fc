"""Sensors: :class:`BMCampaignSensor`."""

from __future__ import annotations

from airflow_provider_bm.sensors.bm import BMCampaignSensor

__all__ = ["BMCampaignSensor"]
