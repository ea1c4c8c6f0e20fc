"""What the fork server loads once, so that a try starts in milliseconds."""

import airflow.providers.common.compat.connection  # noqa: F401
