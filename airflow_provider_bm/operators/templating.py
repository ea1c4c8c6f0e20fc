"""Rendering of template fields: text stays text, objects stay objects, and invalid values are refused.

Only public methods of Airflow are used. If a future Airflow renders differently and skips the
checks here, :meth:`BMTemplating.check_rendered` refuses the task.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_bm.operators.arguments import check_arguments, suggestions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import jinja2
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.exceptions import Problem
    from airflow_provider_bm.operators.arguments import Check

#: JSON fields; the value may be the name of a ``.json`` file.
FILE_FIELDS = ("query", "template")
#: A closed comment counts, since Airflow would remove it; an open one may be CSS.
_EXPRESSION = re.compile(r"\{\{|\{%|\{#.*?#\}", re.DOTALL)
#: The start of a JSON object; a text may start with a variable, ``{first_name}``.
_JSON = re.compile(r'\s*\{\s*"')
#: What a value within a JSON string would have to escape.
_NOT_IN_JSON = re.compile(r'["\\\x00-\x1f]')
#: An expression that is only a name, as a variable of BM would be.
_NAME = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
#: One expression and nothing else: it may evaluate to an object.
_WHOLE = re.compile(r"\s*\{\{(?:(?!\{\{|\}\}|\{%).)*\}\}\s*", re.DOTALL)


class BMTemplating:
    """Mixed into operators and the sensor, before Airflow's base class.

    With ``render_template_as_native_obj`` Airflow evaluates rendered text as Python: ``+41587000000``
    becomes a number without its plus, ``1.50`` becomes 1.5. Here an expression that yields an object
    (``{{ ti.xcom_pull(...) }}``) still yields that object, and text is not changed.

    Classes that use it set their attributes before they call ``super().__init__()``.
    """

    template_ext: Sequence[str] = (".json",)
    template_fields: Sequence[str]
    float_format: str | None = None
    #: Checks that differ from those of :mod:`airflow_provider_bm.operators.arguments`.
    argument_checks: ClassVar[Mapping[str, Check]] = {}

    #: Arguments that were passed as None.
    _passed_none: frozenset[str] = frozenset()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Record arguments passed as None: ``__init__`` cannot distinguish them from omitted arguments."""
        self = super().__new__(cls)
        passed_none = frozenset(name for name, value in kwargs.items() if value is None)
        object.__setattr__(self, "_passed_none", passed_none)
        return self

    def __init__(self, **kwargs: Any) -> None:
        check_arguments(self, kwargs.get("task_id"))
        try:
            super().__init__(**kwargs)
        except (TypeError, AirflowException) as error:
            if hint := suggestions(type(self), kwargs):
                raise TypeError(f"{error}{hint}") from None
            raise
        #: The arguments as they were passed, by template field.
        self._unrendered = {name: getattr(self, name, None) for name in self.template_fields}
        #: Texts with expressions that were rendered by :meth:`render_template`.
        self._rendered: frozenset[str] = frozenset()

    def argument_problems(self) -> Iterable[Problem]:
        """Return problems that concern several arguments, before anything is rendered."""
        return ()

    def resolve_template_files(self) -> None:
        """Load ``.json`` files for the JSON fields only.

        A ``webpush_target_url`` that ends in ``.json`` is not a file.
        """
        for field in FILE_FIELDS:
            content: Any = getattr(self, field, None)
            if _is_file(field, content):
                env = self.get_template_env()  # type: ignore[attr-defined]
                try:
                    setattr(self, field, _source(env, content))
                except Exception:
                    self.log.exception("Failed to resolve template field %r", field)  # type: ignore[attr-defined]
                else:
                    self._unrendered[field] = getattr(self, field)
        self.prepare_template()  # type: ignore[attr-defined]

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render a text, and check the values of its expressions; leave everything else to Airflow.

        :raises AirflowFailException: an expression has no value, or one that must not become text
        """
        from airflow_provider_bm.campaigns import SegmentationQuery

        if seen_oids is not None and id(content) in seen_oids:
            # Airflow does not render what is mapped from another task.
            for text in _texts(content):
                _refuse_jinja(text, "is a mapped value")
            return content
        if isinstance(content, SegmentationQuery):
            content = content.unchecked()
        if not isinstance(content, str):
            result = super().render_template(content, context, jinja_env, seen_oids)  # type: ignore[misc]
            if hasattr(content, "resolve") and result is not content and not _is_literal(content):
                check_object(result, f"The value of {content}")
            return result
        if not _EXPRESSION.search(content):
            return content
        env = jinja_env or self.get_template_env()  # type: ignore[attr-defined]
        # A number has lost the plus or the zeros that a sender begins with.
        takes_numbers = content != self._unrendered.get("sender")
        template = compile_template(env, content, self.float_format, takes_numbers=takes_numbers)
        result = render_compiled(template, context)
        self._rendered |= {content}
        return result

    def check_rendered(self, context: Context) -> None:
        """Refuse arguments that rendered to nothing, or that were not rendered with the checks above.

        Called first by ``execute``. Without its query, a campaign would message the whole list; without
        its schedule, it would send at once.

        :raises AirflowFailException: naming the field and its value
        """
        from airflow_provider_bm.exceptions import truncated_repr

        map_index = getattr(context.get("ti"), "map_index", -1)
        for field in sorted(self._passed_none.intersection(self._unrendered)):
            if map_index is not None and map_index >= 0:
                raise AirflowFailException(
                    f"{field} is None in the mapped task instance {map_index}: there is no value. If that is "
                    "intended, leave the argument out (expand_kwargs); otherwise check the task that it "
                    "comes from."
                )
        for field, argument in self._unrendered.items():
            value = getattr(self, field)
            if _is_file(field, argument) and value == argument:
                # A mapped task: Airflow does not resolve its files.
                argument = _source(self.get_template_env(), argument)  # type: ignore[attr-defined]
                setattr(self, field, self.render_template(argument, context))
                continue
            if argument is not None and value is None:
                raise AirflowFailException(
                    f"{field}={truncated_repr(argument)} rendered to nothing (None). If that is intended, "
                    "leave the argument out; otherwise check the task or variable that it comes from."
                )
            for text in _texts(argument):
                if _EXPRESSION.search(text) and text not in self._rendered:
                    raise AirflowFailException(
                        f"{field}={truncated_repr(argument)} was not rendered with the checks of this "
                        "provider, and would be sent unrendered. Airflow renders neither keys of a dict nor "
                        "values that are mapped from another task: render them there, or use partial()."
                    )


def _is_file(field: str, content: Any) -> bool:
    return field in FILE_FIELDS and isinstance(content, str) and content.endswith(".json")


def _is_literal(content: Any) -> bool:
    """Return whether this is Airflow's ``literal()``: text that its author does not want rendered."""
    return type(content).__name__ == "LiteralValue"


def _source(env: jinja2.Environment, name: str) -> str:
    if env.loader is None:
        raise AirflowFailException(f"No folder to look for {name!r} in; set template_searchpath on the DAG")
    return env.loader.get_source(env, name)[0]


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a value."""
    from airflow_provider_bm.campaigns import SegmentationQuery

    if isinstance(value, str):
        yield value
    elif isinstance(value, SegmentationQuery):
        yield from _texts(value.unchecked())
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _texts(name)
            yield from _texts(part)
    elif isinstance(value, (list, tuple, AbstractSet)):
        for part in value:
            yield from _texts(part)


def _refuse_jinja(text: str, what: str) -> None:
    from airflow_provider_bm.campaigns.values import leftover_jinja
    from airflow_provider_bm.exceptions import truncated_repr

    leftover = leftover_jinja(text)
    if leftover is not None:
        raise AirflowFailException(
            f"{truncated_repr(text)} {what} and contains {leftover}, a template that Airflow does not "
            "render: it would be sent unrendered. Render it in the task that returns it."
        )


def check_object(value: Any, subject: str, hint: str = "") -> None:
    """Check a value that is used as an object, and not inserted into a text.

    :param subject: what it is, for the error
    :param hint: what to do if there is no value
    """
    from airflow_provider_bm.campaigns.values import is_missing
    from airflow_provider_bm.exceptions import truncated_repr

    if is_missing(value):
        raise AirflowFailException(
            f"{subject} is {truncated_repr(value)}: there is no value. Check the task or variable that it "
            f"comes from.{hint}"
        )
    for text in _texts(value):
        _refuse_jinja(text, "is the value of an expression")


def _finalizer(
    template: str, float_format: str | None, *, native: bool, takes_numbers: bool
) -> Callable[[Any], Any]:
    """Return a function that checks the value of each expression in a template.

    :param native: a template that is only an expression yields an object, not a text
    :param takes_numbers: such a template may evaluate to a number
    """
    from airflow_provider_bm.campaigns.problems import NATIVE_HINT
    from airflow_provider_bm.campaigns.values import format_number, is_number, is_readable
    from airflow_provider_bm.exceptions import truncated_repr

    is_whole = _WHOLE.fullmatch(template) is not None
    is_json = _JSON.match(template) is not None
    subject = f"An expression in {truncated_repr(template)}"
    name = _NAME.search(template)
    braces = (
        f" If BM should fill it for each contact, write {{{name[1]}}} with single braces: Airflow renders "
        "double ones."
        if name
        else ""
    )

    def finalize(value: Any) -> Any:
        check_object(value, subject, braces)
        if is_whole and not takes_numbers and is_number(value):
            raise AirflowFailException(
                f"sender={template!r} is the number {value}: pass it as a string, such as '+41587000000'"
            )
        if is_whole and native:
            return value
        if is_number(value):
            try:
                return format_number(value, float_format)
            except ValueError as error:
                raise AirflowFailException(f"{subject} {error}") from None
        if not is_readable(value):
            hint = NATIVE_HINT if is_whole else "select a part of it, or join it"
            raise AirflowFailException(
                f"{subject} is {truncated_repr(value)}, a {type(value).__name__}, which has no "
                f"readable form: {hint}"
            )
        if not isinstance(value, str):
            check_object(str(value), subject)
        # Markup is the output of tojson.
        if (
            is_json
            and isinstance(value, str)
            and not hasattr(value, "__html__")
            and _NOT_IN_JSON.search(value)
        ):
            raise AirflowFailException(
                f"{subject} is {truncated_repr(value)}, which would change the JSON around it: write "
                "{{ … | tojson }}, without quotation marks around it, or pass the JSON as a dict"
            )
        return value

    return finalize


def compile_template(
    env: jinja2.Environment,
    text: str,
    float_format: str | None,
    *,
    takes_numbers: bool = True,
    native: bool | None = None,
) -> jinja2.Template:
    """Compile a text, so that the value of each of its expressions is checked.

    :param float_format: format of numbers that are not whole
    :param takes_numbers: whether an expression may be a number
    :param native: whether a text that is one expression may evaluate to an object; None: as the DAG's
        ``render_template_as_native_obj`` says
    """
    from jinja2.nativetypes import NativeCodeGenerator, NativeEnvironment

    native = isinstance(env, NativeEnvironment) if native is None else native
    finalize = _finalizer(text, float_format, native=native, takes_numbers=takes_numbers)
    checking = env.overlay(finalize=finalize)
    if native:
        checking.code_generator_class = NativeCodeGenerator
    return checking.from_string(text)


def render_compiled(template: jinja2.Template, context: Mapping[str, Any]) -> Any:
    """Render a compiled text: to a text, or to the object that its only expression evaluates to.

    :raises AirflowFailException: an expression has no value, or one that must not become text
    """
    env = template.environment
    # As Airflow's own helper does: Template.render() would evaluate all of the context.
    values: Any = copy.copy(context)
    values.update({key: value for key, value in template.globals.items() if key not in values})
    try:
        values = env.context_class(env, values, template.name, template.blocks)
        nodes = list(template.root_render_func(values))
        if len(nodes) == 1 and not isinstance(nodes[0], str):
            return nodes[0]
        return "".join(map(str, nodes))
    except AirflowFailException:
        raise
    except Exception as error:  # noqa: BLE001 - as Airflow does
        try:
            env.handle_exception()  # Points the traceback to the template, and raises.
        except AttributeError:
            # Jinja expects the context to be a dict, which Airflow 2's is not.
            raise error from None
