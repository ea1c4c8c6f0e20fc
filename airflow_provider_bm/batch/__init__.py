"""One campaign for each row of a table. Does not import Airflow."""
