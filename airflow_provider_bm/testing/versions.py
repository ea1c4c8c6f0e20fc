"""What differs from one Airflow to another."""

from __future__ import annotations


def is_airflow_2() -> bool:
    """Tell whether it is Airflow 2.11, where much has another name and place."""
    from airflow import __version__

    return __version__.startswith("2.")
