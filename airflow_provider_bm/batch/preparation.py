"""The payload of each row: rendered, validated, and with all its variables filled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_bm.batch.rows import BatchRow
from airflow_provider_bm.campaigns import CampaignClone, CampaignCreate, writable
from airflow_provider_bm.campaigns.constants import CONTACT_FIELDS
from airflow_provider_bm.campaigns.problems import did_you_mean
from airflow_provider_bm.campaigns.values import is_missing, leftover_jinja
from airflow_provider_bm.campaigns.variables import variables_in
from airflow_provider_bm.exceptions import BMNotFoundError, BMPayloadError, Problem
from airflow_provider_bm.idempotency.compare import expected_content
from airflow_provider_bm.idempotency.key import name_with_key

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)


class RowTemplateError(ValueError):
    """A template cannot be rendered for a row."""


class Templates(Protocol):
    """Renders values for a row."""

    def check_columns(self, columns: Sequence[str]) -> None:
        """Check that each column in a template exists."""

    def render(self, value: Any, row: Mapping[str, Any]) -> Any:
        """Return a value with its templates rendered.

        :raises RowTemplateError: an expression has no value, or one that must not become text
        """


@dataclass(kw_only=True)
class RowPreparation:
    """Prepares the payloads of a batch.

    :param client: reads the campaigns to clone, each once
    :param key: key of the task instance
    :param fields: campaign fields, perhaps templates over the row
    :param clone_uuid: the campaign to clone, perhaps a template over the row; None: create new ones
    :param template_vars: columns, or names and values; None: the columns that the source's texts name
    :param default_name: start of the name if ``fields`` has none; the key's values follow
    :param float_format: format of numbers that are not whole
    :param check_variables: called with a campaign's content, its ``template_vars``, and whether it sends
    :param warn_about_variables: log what it raises as warnings instead
    """

    client: BMClient
    key: str
    fields: Mapping[str, Any]
    clone_uuid: str | None
    template_vars: Sequence[str] | Mapping[str, Any] | None
    default_name: str
    templates: Templates
    check_variables: Callable[..., None]
    float_format: str | None = None
    warn_about_variables: bool = False
    _sources: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    _warned: set[str] = field(default_factory=set, init=False)
    _columns_checked: bool = field(default=False, init=False)

    def prepare(self, row: BatchRow) -> None:
        """Set the payload of a row, or mark the row as invalid.

        :raises BMPayloadError: the whole table is invalid: a column does not exist, or a name is ambiguous
        """
        if not self._columns_checked:
            self.templates.check_columns(list(row.values))
            self._columns_checked = True
        try:
            payload = self._payload(row)
            self._check_variables(payload)
            row.payload = payload
        except _InvalidTableError:
            raise
        except BMPayloadError as error:
            row.fail("invalid", "; ".join(map(str, error.problems)), permanent=True)
        except BMNotFoundError as error:
            row.fail("invalid", f"the campaign to clone does not exist ({error})", permanent=True)
        except RowTemplateError as error:
            row.fail("invalid", str(error), permanent=True)

    def content(self, row: BatchRow) -> dict[str, Any]:
        """Return the row's campaign as it will be: the source's fields with the payload's."""
        return self._content(row.payload)

    def expected(self, row: BatchRow) -> dict[str, Any]:
        """Return the content to compare the row's campaign with."""
        payload = row.payload
        return expected_content(self._content(payload), payload.get("template_vars"))

    def _content(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        source = self._sources[payload["clone_uuid"]] if "clone_uuid" in payload else {}
        return {**source, **payload}

    def _payload(self, row: BatchRow) -> dict[str, Any]:
        values = row.values
        fields = {name: self.templates.render(value, values) for name, value in self.fields.items()}
        name = fields.get("name", f"{self.default_name} {', '.join(map(str, row.key.values()))}")
        # The validation would not see that a name with a key is empty otherwise.
        if isinstance(name, (str, int)) and str(name).strip() and not is_missing(name):
            fields["name"] = name_with_key(str(name), f"{self.key}.{row.row_key}")
        if self.clone_uuid is None:
            return CampaignCreate.from_mapping(fields).to_payload()
        clone = {"clone_uuid": self.templates.render(self.clone_uuid, values)}
        source_uuid = CampaignClone.from_mapping(clone).to_payload()["clone_uuid"]
        template_vars = self._template_vars(values, self._source(source_uuid))
        if template_vars:
            clone["template_vars"] = template_vars
        return CampaignClone.from_mapping({**clone, **fields}).to_payload(self.float_format)

    def _source(self, uuid: str) -> dict[str, Any]:
        if uuid not in self._sources:
            self._sources[uuid] = writable(self.client.get_campaign(uuid))
        return self._sources[uuid]

    def _template_vars(self, row: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
        wanted = self.template_vars
        if isinstance(wanted, Mapping):
            rendered: dict[str, Any] = self.templates.render(wanted, row)
            return rendered
        if wanted is None:
            texts = {name: value for name, value in self.fields.items() if name not in ("name", "status")}
            names = [name for name in variables_in({**source, **texts}) if name in row]
            ambiguous = [name for name in names if name in CONTACT_FIELDS]
            if ambiguous:
                raise _InvalidTableError(
                    [
                        Problem(
                            "template_vars",
                            None,
                            f"{{{ambiguous[0]}}} is a column of the table and a field of each contact: list "
                            f"in template_vars the columns to fill in, with or without {ambiguous[0]!r}",
                        )
                    ],
                    "table",
                    nothing_sent=True,
                )
        else:
            names = [part.strip() for part in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
            absent = next((name for name in names if name not in row), None)
            if absent is not None:
                hint = did_you_mean(absent, row) or f"; there are {', '.join(row)}"
                raise BMPayloadError([Problem("template_vars", absent, f"there is no such column{hint}")])
        values = {name: row[name] for name in names}
        for name, value in values.items():
            leftover = leftover_jinja(value) if isinstance(value, str) else None
            if leftover is not None:
                what = f"contains {leftover}, a template that is not rendered: it would be sent as it is"
                raise BMPayloadError([Problem(f"template_vars.{name}", value, what)])
        return values

    def _check_variables(self, payload: Mapping[str, Any]) -> None:
        sends = payload.get("status") == "active"
        try:
            self.check_variables(self._content(payload), payload.get("template_vars"), sends=sends)
        except BMPayloadError as error:
            if not self.warn_about_variables:
                raise
            for problem in error.problems:
                if str(problem) not in self._warned:
                    self._warned.add(str(problem))
                    log.warning("%s", problem)


class _InvalidTableError(BMPayloadError):
    """A problem that concerns every row."""
