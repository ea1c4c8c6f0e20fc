"""A poller that all waits of a process share: few requests, one connection, one thread.

A :class:`~airflow_provider_bm.polling.watcher.Watcher` defines what to poll and receives the results; a
:class:`~airflow_provider_bm.polling.poller.Poller` polls for all watchers of one connection and service. A
watcher subscribes with :func:`airflow_provider_bm.polling.registry.subscribe`. Does not import Airflow.
"""
