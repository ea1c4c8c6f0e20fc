"""Waiting for a campaign: poll it and evaluate the response. No Airflow in it."""
