"""Waiting for a campaign: poll it and evaluate the response. Does not import Airflow."""
