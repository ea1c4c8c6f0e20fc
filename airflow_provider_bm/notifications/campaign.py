"""Message people about an event of a DAG run: a failure, a missed deadline."""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import BaseNotifier

from airflow_provider_bm.operators.base import CONNECTION_FIELDS
from airflow_provider_bm.operators.guards import DEFAULT_MAX_AGE, SendGuards, start_of_run
from airflow_provider_bm.operators.templating import BMTemplating

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.campaigns import SendWindow
    from airflow_provider_bm.client import BMClient, BMSettings

log = logging.getLogger(__name__)

#: Seconds to wait for a response at most, so that several requests fit.
_LONGEST_TIMEOUT: Final = 3.0
_FAILED: Final = ("None", "failed", "up_for_retry")


class BMCampaignNotifier(BMTemplating, BaseNotifier):
    """Clones a prepared draft, and activates the clone: for ``on_failure_callback`` and other callbacks.

    Sends at most once per event: its key (of DAG, run, task, map index, try and kind of event) comes first in
    the clone's name, and is searched for before the clone is created. It reads the draft, searches once and
    posts once, without retries, and waits for BM for at most 10 seconds. It never raises: failures are
    logged. All checks of :class:`~airflow_provider_bm.operators.BMCloneCampaignOperator` apply.

    .. code-block:: python

        BMCampaignNotifier(
            clone_uuid="1592695e-c1b1-11ee-b153-774c9d3a7957",
            template_vars={"task": "{{ ti.task_id }}", "dag": "{{ ti.dag_id }}"},
        )

    :param clone_uuid: the draft to clone (templated)
    :param template_vars: values of the variables ``{name}`` in its content (templated)
    :param name: name of the clone; None: DAG, task and event (templated)
    :param recipient_lists: UUIDs of the lists to message; None: the draft's (templated)
    :param event: kind of event; None: found in the context (``failure``, ``success``, ``deadline``, …). Two
        notifiers for the same draft and event send once, unless they differ here. (templated)
    :param float_format: format of numbers that are not whole, such as ``.2f``
    :param max_age: age up to which a scheduled or backfill run sends: a timedelta or seconds; None: any.
        Default: ``[bm] max_age`` of Airflow's configuration, or a day. (templated)
    :param send_window: when messages may go out: a :class:`~airflow_provider_bm.campaigns.SendWindow`
    :param allowed_variables: names of variables that BM fills, besides contact fields (templated)
    :param on_unknown_variable: what to do about a variable that is not filled: ``fail`` (default: nothing is
        sent) or ``warn``
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    """

    #: Seconds to wait for BM at most. Then the callback returns, and no further request is sent.
    time_limit: float = 9.0
    template_fields: Sequence[str] = (
        "clone_uuid",
        "template_vars",
        "name",
        "recipient_lists",
        "event",
        "max_age",
        "allowed_variables",
        *CONNECTION_FIELDS,
    )

    def __init__(
        self,
        *,
        clone_uuid: str,
        template_vars: dict[str, Any] | None = None,
        name: str | None = None,
        recipient_lists: str | Sequence[str] | None = None,
        event: str | None = None,
        float_format: str | None = None,
        max_age: timedelta | float | str | None = DEFAULT_MAX_AGE,
        send_window: SendWindow | Mapping[str, Any] | str | None = None,
        allowed_variables: str | Sequence[str] = (),
        on_unknown_variable: str = "fail",
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.clone_uuid = clone_uuid
        self.template_vars = template_vars
        self.name = name
        self.recipient_lists = recipient_lists
        self.event = event
        self.float_format = float_format
        self.max_age = max_age
        self.send_window = send_window
        self.allowed_variables = allowed_variables
        self.on_unknown_variable = on_unknown_variable
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render nothing yet: one notifier serves many events, and each of them renders a copy."""

    def notify(self, context: Context) -> None:
        """Send the message, unless it has been sent for this event. Never raises."""
        try:
            from airflow_provider_bm.hooks import BMHook

            notifier = self.rendered_for(context)
            event = Event.of(context, notifier.event)
            settings = BMHook(notifier.bm_conn_id, notifier.service_uuid).client.settings
            deadline = time.monotonic() + self.time_limit
            _in_thread(lambda: notifier.send(event, settings, deadline), deadline)
        except Exception as error:  # noqa: BLE001 - a callback must not fail its task
            _log_failure(error)

    async def async_notify(self, context: Context) -> None:
        """Like :meth:`notify`, without blocking the event loop."""
        try:
            from airflow.providers.common.compat.connection import get_async_connection

            from airflow_provider_bm.hooks.bm import client_of

            notifier = self.rendered_for(context)
            event = Event.of(context, notifier.event)
            connection = await get_async_connection(notifier.bm_conn_id)
            settings = client_of(connection, notifier.service_uuid).settings
            deadline = time.monotonic() + self.time_limit
            await asyncio.wait_for(
                asyncio.to_thread(notifier.send, event, settings, deadline), self.time_limit
            )
        except TimeoutError:
            _log_failure(_too_slow())
        except Exception as error:  # noqa: BLE001
            _log_failure(error)

    def rendered_for(self, context: Context) -> BMCampaignNotifier:
        """Return a copy with its templates rendered."""
        notifier = copy.copy(self)
        # Airflow 2 renders with the DAG's environment, and contexts of some callbacks have no DAG.
        context.setdefault("dag", None)  # type: ignore[typeddict-item]
        BaseNotifier.render_template_fields(notifier, context)
        notifier.check_rendered(context)
        return notifier

    def send(self, event: Event, settings: BMSettings, deadline: float) -> None:
        """Search for the event's campaign, read the draft, check, and post. Does not call Airflow.

        :param settings: of the connection
        :param deadline: monotonic time after which no request is sent
        :raises BMError: a request or a check failed
        """
        from airflow_provider_bm.campaigns import CampaignClone, writable
        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.idempotency.compare import expected_content
        from airflow_provider_bm.idempotency.key import event_key, name_with_key
        from airflow_provider_bm.idempotency.search import campaigns_with_key
        from airflow_provider_bm.idempotency.verify import check_same

        key = event_key(*event.identity, str(self.clone_uuid).lower(), namespace=settings.key_namespace)
        fields = {
            "clone_uuid": self.clone_uuid,
            "name": name_with_key(self.name or str(event), key),
            "template_vars": self.template_vars,
            "recipient_lists": self.recipient_lists,
            "status": "draft" if settings.draft_only else "active",
        }
        payload = CampaignClone.from_mapping(
            {name: value for name, value in fields.items() if value is not None}
        ).to_payload(self.float_format)
        client = _impatient_client(settings, deadline)
        found = campaigns_with_key(client, key, start_of_run(event.context))
        if found:
            label = campaign_label(found[0]["uuid"], found[0])
            log.info("Campaign %s was created for this event already. Nothing is sent again.", label)
            return
        guards = SendGuards(
            settings=settings,
            context=event.context,
            max_age=self.max_age,
            send_window=self.send_window,
            allowed_variables=self.allowed_variables,
            on_unknown_variable=self.on_unknown_variable,
        )
        content = {**writable(client.get_campaign(self.clone_uuid)), **payload}
        guards.check_variables(content, payload.get("template_vars"), sends=not settings.draft_only)
        if not settings.draft_only:
            payload.update(guards.check_post(content, client.server_now()))
        campaign = client.post_campaign(payload)
        check_same(campaign, payload, lambda: expected_content(content, payload.get("template_vars")))
        label = campaign_label(campaign["uuid"], campaign)
        if campaign["status"] == "draft":
            log.warning("NOTHING WAS SENT: campaign %s is a draft", label)
        else:
            log.info("Campaign %s is %s", label, campaign["status"])


@dataclass(frozen=True, kw_only=True)
class Event:
    """The event that a callback is called for.

    :ivar kind: ``failure``, ``success``, ``deadline`` …
    :ivar context: the DAG run, for the checks that need it
    """

    kind: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    context: Any

    @classmethod
    def of(cls, context: Any, kind: str | None = None) -> Event:
        """Read an event from a context: of a task, of a DAG run, or of a deadline.

        :raises ValueError: the context has no DAG run
        """
        run, ti = context.get("dag_run"), context.get("ti") or context.get("task_instance")
        if isinstance(run, Mapping):  # a deadline's
            run = SimpleNamespace(**{name: _time_or_value(value) for name, value in run.items()})
            run.run_id = getattr(run, "run_id", None) or getattr(run, "dag_run_id", None)
        run_id = getattr(run, "run_id", None) or context.get("run_id") or getattr(ti, "run_id", None)
        dag_id = getattr(run, "dag_id", None) or getattr(context.get("dag") or ti, "dag_id", None)
        if not run_id or not dag_id:
            raise ValueError("the context has no DAG run, so it is impossible to send a message only once")
        of_run = ti is None or ("reason" in context and "exception" not in context) or "deadline" in context
        if kind is None:
            kind = _kind_of(context, ti, of_run)
        if of_run and ti is not None:
            # Any task instance of the run: not the one that the event is about.
            ti = None
        return cls(
            kind=kind,
            dag_id=dag_id,
            run_id=run_id,
            task_id=getattr(ti, "task_id", ""),
            map_index=getattr(ti, "map_index", -1),
            # A run that is cleared can fail again.
            try_number=getattr(ti, "try_number", 0) if ti else getattr(run, "clear_number", None) or 0,
            context={"dag_run": run},
        )

    @property
    def identity(self) -> tuple[str, ...]:
        """The values that distinguish it from other events."""
        return (
            *(self.dag_id, self.run_id, self.task_id),
            *(str(self.map_index), str(self.try_number), self.kind),
        )

    def __str__(self) -> str:
        return ".".join(filter(None, (self.dag_id, self.task_id))) + f" {self.kind.partition(' ')[0]}"


def _kind_of(context: Mapping[str, Any], ti: Any, of_run: bool) -> str:
    deadline = context.get("deadline")
    if deadline is not None:
        return f"deadline {deadline.get('id') if isinstance(deadline, Mapping) else deadline}"
    if of_run:
        return str(context.get("reason") or "run")
    state = str(getattr(ti.state, "value", ti.state) if hasattr(ti, "state") else None)
    # A try fails only once, whether it is retried or not; the DAG processor does not know the state.
    return "failure" if state in _FAILED or context.get("exception") is not None else state


def _time_or_value(value: Any) -> Any:
    """Convert the text of a time: a deadline's context is JSON."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and value[4:5] == "-" else value
    except ValueError:
        return value


def _in_thread(send: Callable[[], None], deadline: float) -> None:
    """Send in a thread, to return in time even if looking up the server's address takes longer."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            send()
        except Exception as error:  # noqa: BLE001 - raised by the caller
            errors.append(error)

    thread = threading.Thread(target=run, name="bm-notifier", daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if thread.is_alive():
        raise _too_slow()
    if errors:
        raise errors[0]


def _impatient_client(settings: BMSettings, deadline: float) -> BMClient:
    """Return a client that repeats nothing, and sends nothing after the deadline."""
    from airflow_provider_bm.exceptions import BMConnectError
    from airflow_provider_bm.hooks.bm import client_with

    def check_time() -> None:
        if time.monotonic() > deadline:
            raise BMConnectError("The time limit has passed: no further request is sent.")

    timeout = min(settings.timeout, _LONGEST_TIMEOUT)
    return client_with(replace(settings, timeout=timeout), retry=False, check=check_time)


def _too_slow() -> TimeoutError:
    return TimeoutError(
        "BM did not respond in time. Whether the message was sent is not known; check the BM console"
    )


def _log_failure(error: Exception) -> None:
    log.error(
        "The notification was not sent, or it is unknown whether it was: %s: %s", type(error).__name__, error
    )
