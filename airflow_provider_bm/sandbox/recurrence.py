"""Recurrence rules: the client's own, so that both agree on what a rule means."""

from airflow_provider_bm.campaigns.recurrence import MAX_PAST, occurrences

__all__ = ["MAX_PAST", "occurrences"]
