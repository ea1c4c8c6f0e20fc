"""Sending once: at most one campaign per task instance, whatever fails. No Airflow in it."""
