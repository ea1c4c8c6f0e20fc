"""``preview``: render the tasks of a DAG, and show what they would send. Nothing is sent."""

from __future__ import annotations

import inspect
import itertools
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow_provider_bm.campaigns.payload_preview import Preview, preview
from airflow_provider_bm.campaigns.times import parse_time
from airflow_provider_bm.cli import ERROR, OK, WOULD_SEND
from airflow_provider_bm.cli.output import CommandError, Result, as_text
from airflow_provider_bm.exceptions import BMError, BMPayloadError

if TYPE_CHECKING:
    from airflow_provider_bm.hooks import BMHook
    from airflow_provider_bm.operators.send import ActivatingOperator, SendOperator

#: Outcomes of a task.
SENDS, DRAFT, NOTHING, FAILS = "would be sent", "stays a draft", "nothing to send", "ERROR"
_EXIT_CODES: Final = {SENDS: WOULD_SEND, DRAFT: OK, NOTHING: OK, FAILS: ERROR}


@dataclass
class Planned:
    """What one task would do.

    :ivar task: task id, with an index if it is mapped
    :ivar result: :data:`SENDS`, :data:`DRAFT`, :data:`NOTHING` or :data:`FAILS`
    :ivar reason: why, or what it depends on
    :ivar campaign: what would be sent; None if it is unknown
    """

    task: str
    result: str
    reason: str = ""
    campaign: Preview | None = None


def run(arguments: Namespace) -> Result:
    """Return what a DAG would send.

    The exit code is 0 if nothing would be sent, 2 if something would, and 1 after an error.
    """
    dag = _dag(arguments.dag_id, arguments.subdir)
    now = datetime.now(UTC)
    logical_date = now if arguments.logical_date is None else _time(arguments.logical_date)
    plans = [
        plan for task in dag.tasks for plan in _Planner(dag, task, logical_date, arguments.conn_id).plans()
    ]
    codes = {_EXIT_CODES[plan.result] for plan in plans}
    code = ERROR if ERROR in codes else max(codes, default=OK)
    if arguments.output == "json":
        return code, as_text([asdict(plan) for plan in plans], "json")
    return code, _text(plans, dag.dag_id)


def _text(plans: list[Planned], dag_id: str) -> str:
    blocks = []
    for plan in plans:
        heading = f"{plan.task}: {plan.result}" + (f" ({plan.reason})" if plan.reason else "")
        details = [] if plan.campaign is None else str(plan.campaign).splitlines()
        blocks.append("\n".join([heading, *(f"  {line}" for line in details)]))
    counts = {result: sum(plan.result == result for plan in plans) for result in (SENDS, DRAFT, FAILS)}
    total = (
        f"DAG {dag_id}: {counts[SENDS]} to send, {counts[DRAFT]} drafts, {counts[FAILS]} errors. "
        "Nothing was sent now."
    )
    return "\n\n".join([*blocks, total])


def _dag(dag_id: str, path: str | None) -> Any:
    from airflow_provider_bm._compat import parse_dags

    dags, errors = parse_dags(path)
    if dag_id not in dags:
        details = "".join(f"\n  {file}: {error.strip().splitlines()[-1]}" for file, error in errors.items())
        raise CommandError(f"there is no DAG {dag_id!r} in {path or 'the DAGs folder'}{details}")
    return dags[dag_id]


def _time(text: str) -> datetime:
    try:
        return parse_time(text, "logical_date").astimezone(UTC)
    except BMPayloadError as error:
        raise CommandError(f"--logical-date: {error.problems[0].expected}") from None


class _Planner:
    """Renders one task as a run would, without its upstream tasks."""

    def __init__(self, dag: Any, task: Any, logical_date: datetime, conn_id: str | None) -> None:
        self._dag, self._task, self._conn_id = dag, task, conn_id
        self._logical_date = logical_date
        self._ti = _TaskInstance(dag.dag_id, task.task_id)
        self._context: Any = _context(dag, self._ti, logical_date)

    def plans(self) -> Iterator[Planned]:
        """Yield what each instance of the task would do; nothing for tasks that send nothing."""
        from airflow_provider_bm.operators.send import ActivatingOperator

        cls = getattr(self._task, "operator_class", type(self._task))
        if not (isinstance(cls, type) and issubclass(cls, ActivatingOperator)):
            return
        task_id = self._task.task_id
        if cls is type(self._task):
            yield self._plan(self._task, task_id)
            return
        for index, kwargs in enumerate(self._mapped()):
            known = {name for name in inspect.signature(cls.__init__).parameters if name != "kwargs"}
            partial = {name: each for name, each in self._task.partial_kwargs.items() if name in known}
            name = f"{task_id}[{index}]"
            try:
                task = cls(task_id=task_id, **{**partial, **kwargs})
            except Exception as error:  # noqa: BLE001 - whatever a constructor raises is why the task fails
                yield Planned(name, FAILS, str(error))
                continue
            yield self._plan(task, name)

    def _mapped(self) -> Iterator[dict[str, Any]]:
        """Yield the mapped arguments of each instance; one with placeholders where tasks compute them."""
        value = self._task.expand_input.value
        if isinstance(value, Mapping):
            columns = [
                each if isinstance(each, (list, tuple)) else [self._ti.unknown(f"one of {name}")]
                for name, each in value.items()
            ]
            for cells in itertools.product(*columns):
                yield dict(zip(value, cells, strict=True))
        elif isinstance(value, (list, tuple)):
            for each in value:
                yield dict(each) if isinstance(each, Mapping) else {}
        else:
            self._ti.unknown("the mapped arguments")
            yield {}

    def _plan(self, task: ActivatingOperator, name: str) -> Planned:
        from airflow.providers.common.compat.sdk import AirflowException

        from airflow_provider_bm.operators.send import SendOperator

        try:
            task.render_template_fields(self._context, self._dag.get_template_env())
            task.check_rendered(self._context)
            self._connect(task)
            if isinstance(task, SendOperator):
                return self._plan_send(task, name)
            return self._plan_change(task, name)
        except (BMError, AirflowException) as error:
            return Planned(name, FAILS, str(error))
        except Exception as error:  # noqa: BLE001 - templates raise anything
            return Planned(name, FAILS, f"{type(error).__name__}: {error}{self._unknown_hint()}")

    def _connect(self, task: ActivatingOperator) -> None:
        """Set the task's client to one that cannot send."""
        from airflow_provider_bm._compat import connection_from_secrets
        from airflow_provider_bm.hooks import BMHook
        from airflow_provider_bm.hooks.bm import client_of, client_with

        conn_id = self._conn_id or task.bm_conn_id
        client = client_of(connection_from_secrets(conn_id), task.service_uuid)
        self._draft_only = client.settings.draft_only
        hook: BMHook = BMHook(conn_id, task.service_uuid)
        hook.client = client_with(replace(client.settings, draft_only=True))
        task.hook = hook

    def _plan_send(self, task: SendOperator, name: str) -> Planned:
        now = self._logical_date
        content: dict[str, Any]
        try:
            payload = task.payload(**({"status": "draft"} if self._draft_only else {}))
        except BMPayloadError as error:
            if not self._ti.unknown_values:
                return Planned(name, FAILS, str(error))
            # A placeholder need not be valid where the value will be.
            provided = {field: getattr(task, field, None) for field in ("clone_uuid", "template_vars")}
            payload = {key: value for key, value in provided.items() if value is not None}
            payload |= task.provided(_campaign_fields())
        content = payload
        known_source = not (self._ti.unknown_values and _is_unknown(payload.get("clone_uuid")))
        if known_source:
            content = {**task.source(), **payload}
        sends = payload.get("status") == "active" and not self._draft_only
        guards = task.guards(self._context)
        guards.local_now = now
        if sends and known_source and not self._ti.unknown_values:
            guards.check_variables(content, payload.get("template_vars"), sends=True)
            content = {**content, **guards.check(content, now)}
        seen = preview(
            content, tz=_zone(self._dag), now=now, allowed_variables=_names(task.allowed_variables)
        )
        reason = self._unknown_hint().strip(" ;")
        if not sends and self._draft_only:
            reason = "the connection is draft_only"
        return Planned(name, SENDS if sends else DRAFT, reason, seen)

    def _plan_change(self, task: Any, name: str) -> Planned:
        """Plan a task that changes a campaign that exists."""
        uuid = getattr(task, "campaign_uuid", None)
        status = getattr(task, "status", None)
        if status is None and not _is_unknown(uuid) and uuid is not None:
            # An active campaign may fire again when it is written.
            status = task.hook.get_campaign(uuid)["status"]
        if status != "active":
            return Planned(name, NOTHING, f"campaign {uuid} becomes {status}" if status else "")
        if self._draft_only:
            return Planned(name, DRAFT, "the connection is draft_only")
        if uuid is None or _is_unknown(uuid):
            return Planned(name, SENDS, f"activates a campaign{self._unknown_hint()}")
        campaign = task.hook.get_campaign(uuid)
        changes = task.provided(_campaign_fields()) if hasattr(task, "provided") else {}
        seen = preview({**campaign, **changes}, tz=_zone(self._dag), now=self._logical_date)
        return Planned(name, SENDS, f"activates campaign {uuid}", seen)

    def _unknown_hint(self) -> str:
        unknown = ", ".join(dict.fromkeys(self._ti.unknown_values))
        return f"; not known before other tasks have run: {unknown}" if unknown else ""


def _campaign_fields() -> tuple[str, ...]:
    from airflow_provider_bm.campaigns.constants import CAMPAIGN_FIELDS

    return CAMPAIGN_FIELDS


def _names(value: Any) -> list[str]:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else list(value or ())


def _zone(dag: Any) -> str:
    return str(getattr(dag.timezone, "name", "UTC"))


class Unknown(str):
    """A value that another task will have returned: a placeholder that can be indexed like the value."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> str:
        return super().__getitem__(key) if isinstance(key, slice) else Unknown(f"{self[:-1]}[{key!r}]>")

    def __getattr__(self, name: str) -> Unknown:
        if name.startswith("_"):
            raise AttributeError(name)
        return Unknown(f"{self[:-1]}.{name}>")


def _is_unknown(value: Any) -> bool:
    return isinstance(value, Unknown)


class _TaskInstance(SimpleNamespace):
    """Stands for the task instance of a run that has not taken place: XComs are placeholders."""

    def __init__(self, dag_id: str, task_id: str) -> None:
        super().__init__(
            dag_id=dag_id, task_id=task_id, run_id="preview", map_index=-1, try_number=1, unknown_values=[]
        )

    def unknown(self, what: str) -> Unknown:
        """Return a placeholder, and remember that the result depends on it."""
        self.unknown_values.append(what)
        return Unknown(f"<{what}>")

    def xcom_pull(self, task_ids: Any = None, key: str = "return_value", **_: Any) -> Unknown:
        """Return a placeholder for what a task will have pushed."""
        what = task_ids if isinstance(task_ids, str) else ", ".join(task_ids or ["an upstream task"])
        return self.unknown(what if key == "return_value" else f"{what} {key}")

    def xcom_push(self, *_: Any, **__: Any) -> None:
        """Push nothing."""

    def get_relevant_upstream_map_indexes(self, *_: Any, **__: Any) -> None:
        """Airflow asks for it where a task's output is an argument."""


class _Accessor:
    """``var.value``, ``var.json`` and ``conn`` of a template's context."""

    def __init__(self, get: Any) -> None:
        self._get = get

    def __getattr__(self, name: str) -> Any:
        return self._get(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or a default if there is none."""
        try:
            return self._get(name)
        except Exception:  # noqa: BLE001 - secrets backends raise anything
            return default


def _variable(name: str, *, as_json: bool) -> Any:
    from airflow.models.variable import Variable

    return Variable.get(name, deserialize_json=as_json)


def _connection(name: str) -> NoReturn:
    raise CommandError(f"templates with conn.{name} cannot be previewed")


def _context(dag: Any, ti: _TaskInstance, logical_date: datetime) -> dict[str, Any]:
    """Return the context of a run at a logical date, as far as it is known before the run."""
    import pendulum

    date = pendulum.instance(logical_date)
    start, end = date, date
    infer = getattr(dag.timetable, "infer_manual_data_interval", None)
    if infer is not None:
        start, end = infer(run_after=date)
    run = SimpleNamespace(
        dag_id=dag.dag_id,
        run_id=ti.run_id,
        run_type="manual",
        conf={},
        logical_date=date,
        run_after=date,
        start_date=date,
        data_interval_start=start,
        data_interval_end=end,
    )
    return {
        "dag": dag,
        "dag_run": run,
        "run_id": ti.run_id,
        "ti": ti,
        "task_instance": ti,
        "task": dag.get_task(ti.task_id),
        "params": dag.params.dump(),
        "logical_date": date,
        "data_interval_start": start,
        "data_interval_end": end,
        "ds": date.strftime("%Y-%m-%d"),
        "ds_nodash": date.strftime("%Y%m%d"),
        "ts": date.isoformat(),
        "ts_nodash": date.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": date.isoformat().replace("-", "").replace(":", ""),
        "macros": _macros(),
        "var": SimpleNamespace(
            value=_Accessor(lambda name: _variable(name, as_json=False)),
            json=_Accessor(lambda name: _variable(name, as_json=True)),
        ),
        "conn": _Accessor(_connection),
        "map_index_template": None,
        "expanded_ti_count": None,
    }


def _macros() -> Any:
    from importlib import import_module

    for module in ("airflow.sdk.execution_time.macros", "airflow.macros"):
        try:
            return import_module(module)
        except ImportError:
            continue
    return SimpleNamespace()
