"""Notifiers: :class:`BMCampaignNotifier`."""

from __future__ import annotations

from airflow_provider_bm.notifications.campaign import BMCampaignNotifier

__all__ = ["BMCampaignNotifier"]
