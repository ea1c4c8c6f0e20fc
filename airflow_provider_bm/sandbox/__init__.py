"""A local BM for development, tests and demonstrations: it does not send anything.

``python -m airflow_provider_bm.sandbox`` serves one, :class:`Sandbox` does so from Python, and
:class:`SandboxClient` controls one in another process.
"""

from __future__ import annotations

from airflow_provider_bm.sandbox.remote import SandboxClient
from airflow_provider_bm.sandbox.sandbox import Sandbox

__all__ = ["Sandbox", "SandboxClient"]
