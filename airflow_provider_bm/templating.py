"""Rendering of template fields: text stays text, an object stays an object, nothing disappears."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

#: Fields that hold JSON, and may be given as the name of a ``.json`` file.
FILE_FIELDS = ("query", "template")


class BMTemplating:
    """Mixed into operators and the sensor, before Airflow's base class.

    With ``render_template_as_native_obj`` Airflow evaluates rendered text as Python: ``+41587000000``
    becomes a number without its plus, ``1.50`` becomes 1.5. Here an expression that yields an object
    (``{{ ti.xcom_pull(...) }}``) still gives that object, and text stays as it was written.
    """

    template_ext: Sequence[str] = (".json",)

    def __init__(self, **kwargs: Any) -> None:
        # Here so that it is the `__init__` of classes that have none of their own: Airflow wraps that of
        # every class which has another one than its first base, and each wrapping costs.
        super().__init__(**kwargs)

    def resolve_template_files(self) -> None:
        """Load ``.json`` files for the fields that hold JSON, and for no other.

        A ``webpush_target_url`` that ends in ``.json`` is no file.
        """
        for field in FILE_FIELDS:
            content: Any = getattr(self, field, None)
            if self._is_file(field, content):
                env = self.get_template_env()  # type: ignore[attr-defined]
                try:
                    setattr(self, field, _source(env, content))
                except Exception:
                    self.log.exception("Failed to resolve template field %r", field)  # type: ignore[attr-defined]
        self.prepare_template()  # type: ignore[attr-defined]

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render a string by itself, and leave all else to Airflow."""
        if not isinstance(content, str) or (seen_oids is not None and id(content) in seen_oids):
            return super().render_template(content, context, jinja_env, seen_oids)  # type: ignore[misc]
        env = jinja_env or self.get_template_env()  # type: ignore[attr-defined]
        return _render(env, content, context)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        for field in template_fields:
            given = getattr(parent, field)
            if self._is_file(field, given):
                setattr(parent, field, _source(jinja_env, given))
            super()._do_render_template_fields(parent, (field,), context, jinja_env, seen_oids)  # type: ignore[misc]
            # Airflow says -1 where nothing is mapped.
            if given is getattr(parent, field) and context["ti"].map_index != -1:
                _refuse_raw(field, given)
            # Left out, a query would let the whole list be messaged, a schedule would send at once.
            if given is not None and getattr(parent, field) is None:
                from airflow_provider_bm.exceptions import shorten

                raise AirflowFailException(
                    f"{field}={shorten(given)} rendered to nothing (None). Leave the argument out if that is "
                    "what you want; look at the task or variable that it comes from if it is not."
                )

    @staticmethod
    def _is_file(field: str, content: Any) -> bool:
        return field in FILE_FIELDS and isinstance(content, str) and content.endswith(".json")


def _refuse_raw(field: str, value: Any) -> None:
    """Refuse a template that reached us as it was written: Airflow does not render mapped arguments."""
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            parts += part.values()
        elif isinstance(part, (list, tuple)):
            parts += part
        elif isinstance(part, str) and ("{{" in part or "{%" in part):
            from airflow_provider_bm.exceptions import shorten

            raise AirflowFailException(
                f"{field}={shorten(value)} is a template that was not rendered, and would be sent as it is: "
                "Airflow does not render what is mapped from another task. Render it there, or use partial()."
            )


def _source(env: jinja2.Environment, name: str) -> str:
    if env.loader is None:
        raise AirflowFailException(f"No folder to look for {name!r} in; give the DAG a template_searchpath")
    return env.loader.get_source(env, name)[0]


def _render(env: jinja2.Environment, text: str, context: Context) -> Any:
    from jinja2 import Undefined

    template = env.from_string(text)
    # As Airflow's own helper does: Template.render() would evaluate all of the context.
    values: Any = copy.copy(context)
    values.update({key: value for key, value in template.globals.items() if key not in values})
    try:
        values = env.context_class(env, values, template.name, template.blocks)
        nodes = list(template.root_render_func(values))
        if len(nodes) == 1 and not isinstance(nodes[0], (str, Undefined)):
            return nodes[0]
        return "".join(map(str, nodes))
    except Exception:  # noqa: BLE001 - as Airflow does
        env.handle_exception()  # Points the traceback to the template, and raises.
