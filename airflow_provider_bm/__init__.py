"""Apache Airflow provider for the Business Messenger (BM) Campaign API.

Importing this package imports no Airflow: the payload models (:mod:`.campaigns`), the API client
(:mod:`.client`) and the sandbox (:mod:`.sandbox`) work without it.
"""

from __future__ import annotations

__version__ = "0.1.0"
