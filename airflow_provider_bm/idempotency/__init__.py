"""Sending once: at most one campaign per task instance, whatever fails. Does not import Airflow."""
