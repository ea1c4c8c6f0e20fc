"""Modules that the fork server loads once, so that each try starts in milliseconds."""

import airflow.providers.common.compat.connection  # noqa: F401
