"""Hooks: :class:`BMHook`."""

from __future__ import annotations

from airflow_provider_bm.hooks.bm import BMHook

__all__ = ["BMHook"]
