"""One campaign for each row of a table. No Airflow in it."""
