"""Sending once: at most one campaign per task instance, even after failures. Does not import Airflow."""
