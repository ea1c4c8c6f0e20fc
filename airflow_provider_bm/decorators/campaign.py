"""``@task.bm_campaign``: a function returns the values of a campaign's variables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    DecoratedOperator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from airflow_provider_bm.operators.clone import BMCloneCampaignOperator
from airflow_provider_bm.operators.templating import BMTemplating, check_object

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, TaskDecorator

#: Arguments of the function. They are rendered as in other decorators: None may be passed.
_FUNCTION_FIELDS = ("op_args", "op_kwargs")


class _BMCampaignDecoratedOperator(DecoratedOperator, BMCloneCampaignOperator):
    """Calls a function, and clones a campaign with the variables that it returns.

    :param python_callable: the function
    :param op_args: its positional arguments (templated)
    :param op_kwargs: its keyword arguments (templated)
    """

    template_fields: Sequence[str] = (
        *_FUNCTION_FIELDS,
        *(name for name in BMCloneCampaignOperator.template_fields if name != "template_vars"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **{
            name: renderer
            for name, renderer in BMCloneCampaignOperator.template_fields_renderers.items()
            if name != "template_vars"
        },
    }
    custom_operator_name: str = "@task.bm_campaign"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if "template_vars" in kwargs:
            raise TypeError("@task.bm_campaign takes no template_vars: the function returns them")
        self._renders_function_field = False
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)
        for name in _FUNCTION_FIELDS:
            self._unrendered.pop(name, None)

    def render_template(
        self, content: Any, context: Context, jinja_env: Any = None, seen_oids: set[int] | None = None
    ) -> Any:
        """Render the function's arguments as Airflow does, and all others with the checks of clone."""
        if self._renders_function_field:
            return super(BMTemplating, self).render_template(content, context, jinja_env, seen_oids)
        self._renders_function_field = content is self.op_args or content is self.op_kwargs
        try:
            return super().render_template(content, context, jinja_env, seen_oids)
        finally:
            self._renders_function_field = False

    def execute(self, context: Context) -> Any:
        """Call the function, and clone the campaign with what it returned."""
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        values = self.python_callable(*self.op_args, **kwargs)
        if values is None:
            raise AirflowSkipException("The function returned None: no campaign is sent.")
        if not isinstance(values, Mapping):
            raise AirflowFailException(
                f"The function returned {type(values).__name__}. It must return a dict of template "
                "variables, or None to send nothing."
            )
        check_object(values, "The value that the function returned")
        self.template_vars = dict(values)
        return BMCloneCampaignOperator.execute(self, context)


def bm_campaign_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """Send a campaign with the values that a function returns: ``@task.bm_campaign``.

    The function returns a dict, the values of the variables ``{name}`` in the campaign's content, or None to
    skip the task and send nothing. Everything else is as in
    :class:`~airflow_provider_bm.operators.BMCloneCampaignOperator`.

    .. code-block:: python

        @task.bm_campaign(clone_uuid="1592695e-c1b1-11ee-b153-774c9d3a7957", deferrable=True)
        def alert(wind: int) -> dict[str, str] | None:
            return {"wind": f"{wind} km/h"} if wind > 60 else None

    :param python_callable: the function to decorate
    :param kwargs: arguments of :class:`~airflow_provider_bm.operators.BMCloneCampaignOperator`, except for
        ``template_vars``
    """
    return task_decorator_factory(
        python_callable=python_callable,
        # Whatever the annotation of the function: the task returns a UUID.
        multiple_outputs=False,
        decorated_operator_class=_BMCampaignDecoratedOperator,
        **kwargs,
    )
