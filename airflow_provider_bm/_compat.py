"""The only place in production code that uses what Airflow does not document as public.

Each function raises :class:`AirflowChangedError` when the Airflow that is installed no longer has what it
needs, so that callers refuse instead of guessing.
"""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from airflow import __version__ as airflow_version

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

IS_AIRFLOW_2 = airflow_version.startswith("2.")
#: Whether a task can start in the triggerer with rendered arguments, and end there with XComs.
HAS_TRIGGERER_TASKS = tuple(int(part) for part in airflow_version.split(".")[:2]) >= (3, 3)


class AirflowChangedError(RuntimeError):
    """Airflow no longer offers something that this provider needs."""


class TaskInstance(Protocol):
    """What identifies a task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


def task_instance_state(ti: TaskInstance) -> str | None:
    """Return the current state of a task instance, such as ``failed``. Blocks: not for an event loop.

    :return: None if the task instance has no state, or no longer exists
    :raises AirflowChangedError: this Airflow lacks what is needed for that
    """
    return _state_from_database(ti) if IS_AIRFLOW_2 else _state_from_supervisor(ti)


def connection_from_secrets(conn_id: str) -> Connection:
    """Return a connection outside of tasks, also from the database, which ``BaseHook`` does not read.

    :raises AirflowNotFoundException: there is no such connection
    :raises AirflowChangedError: this Airflow lacks what is needed for that
    """
    try:
        from airflow.models.connection import Connection as Model

        get = Model.get_connection_from_secrets
    except (ImportError, AttributeError) as error:
        raise _changed(
            "Connection.get_connection_from_secrets", error, "connections cannot be read"
        ) from error
    connection: Connection = get(conn_id)
    return connection


def parse_dags(path: str | None = None) -> tuple[dict[str, Any], dict[str, str]]:
    """Parse DAG files in this process.

    :param path: a file or folder; None: the DAGs folder
    :return: the DAGs by id, and the errors by file
    :raises AirflowChangedError: this Airflow lacks what is needed for that
    """
    try:
        from airflow.configuration import conf

        # Before 3.2, DagBag is in airflow.models.
        module = "airflow.dag_processing.dagbag"
        found = find_spec(module) is not None
        DagBag: Any = import_module(module if found else "airflow.models.dagbag").DagBag  # noqa: N806
        folder = path or conf.get("core", "dags_folder")
        options: dict[str, Any] = {"include_examples": False} if IS_AIRFLOW_2 else {}
        bag = DagBag(folder, **options)
        return dict(bag.dags), dict(bag.import_errors)
    except (ImportError, AttributeError, TypeError) as error:
        raise _changed("DagBag", error, "DAGs cannot be parsed") from error


def trigger_timeout(trigger: Any) -> datetime | None:
    """Return when Airflow ends a trigger: an absolute time, the same after a restart of the triggerer.

    :return: None if the trigger has no timeout, or Airflow does not pass it on
    """
    moment = getattr(trigger, "timeout_after", None)
    return moment if isinstance(moment, datetime) else None


def has_execute_hook(task: Any, name: str) -> bool:
    """Return whether a task was given a function as ``pre_execute`` or ``post_execute``.

    :param name: the argument
    :return: also True if Airflow no longer tells: the task then needs a worker, which calls the function
    """
    return getattr(task, f"_{name}_hook", True) is not None


def _state_from_supervisor(ti: TaskInstance) -> str | None:
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        get_task_states = RuntimeTaskInstance.get_task_states
    except (ImportError, AttributeError) as error:
        raise _changed("RuntimeTaskInstance.get_task_states", error) from error
    states = get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
    )
    # By run, then by task: "task_id", or "task_id_map_index" if it is mapped.
    found = list(states.get(ti.run_id, {}).values())
    return str(getattr(found[0], "value", found[0])) if len(found) == 1 and found[0] else None


def _state_from_database(ti: TaskInstance) -> str | None:
    """Airflow 2 lets tasks and triggers read the metadata database."""
    try:
        from airflow.models.taskinstance import TaskInstance as Model
        from airflow.utils.session import create_session
    except ImportError as error:
        raise _changed("TaskInstance and create_session", error) from error
    with create_session() as session:
        row = (
            session.query(Model.state)
            .filter_by(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index)
            .one_or_none()
        )
    return None if row is None or row.state is None else str(row.state)


def _changed(
    what: str, error: Exception, so: str = "the state of a task instance cannot be read"
) -> AirflowChangedError:
    return AirflowChangedError(
        f"Airflow {airflow_version} has no {what} ({error}), so {so}. Update airflow-provider-bm."
    )
