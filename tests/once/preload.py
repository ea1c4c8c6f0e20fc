"""What the fork server loads once, so that a try starts in milliseconds."""

import airflow.providers.common.compat.connection  # noqa: F401

import airflow_provider_bm.hooks
import airflow_provider_bm.killing
import airflow_provider_bm.once
import airflow_provider_bm.operators
import airflow_provider_bm.staged
import airflow_provider_bm.triggers  # noqa: F401
