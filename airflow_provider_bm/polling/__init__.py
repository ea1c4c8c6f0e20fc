"""One poller for all that wait in one process: few requests, one connection, one thread.

A trigger makes a :class:`.Watcher`, and its connection's :class:`.Poller` looks for it, see
:func:`.service.watching`. Only :mod:`.service` knows Airflow.
"""
