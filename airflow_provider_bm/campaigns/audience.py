"""Validation of a campaign's audience: ``query_type`` and ``query`` (Campaign API 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_bm.campaigns.constants import QUERY_TYPES
from airflow_provider_bm.campaigns.json_text import dump_json, parse_json
from airflow_provider_bm.campaigns.problems import Problems, check_choice, json_problem
from airflow_provider_bm.campaigns.segmentation import SegmentationQuery
from airflow_provider_bm.campaigns.segmentation_rules import check_segmentation

_EXPECTED = "must be a SegmentationQuery, or a dict or JSON object of that form"


def check_query(field: str, value: Any, problems: Problems) -> str | None:
    """Check a query in any of the forms that users may write.

    :param field: the field
    :param value: a :class:`SegmentationQuery`, a dict in the API's form, or JSON, which is sent unchanged
    :param problems: the list to which problems are added
    :return: the JSON to send, or None if there is a problem
    """
    before = len(problems)
    if isinstance(value, SegmentationQuery):
        value = value.unchecked()
    if isinstance(value, str):
        try:
            parsed = parse_json(value)
        except ValueError as error:
            json_problem(field, value, error, _EXPECTED, problems)
            return None
        check_segmentation(parsed, field, False, problems)
        return value if len(problems) == before else None
    if not isinstance(value, Mapping):
        problems.add(field, value, _EXPECTED)
        return None
    checked = check_segmentation(value, field, True, problems)
    return dump_json(checked) if len(problems) == before else None


def check_audience(
    query_type: Any, query: Any, *, complete: bool, allow_clear: bool, from_server: bool, problems: Problems
) -> dict[str, str]:
    """Check the two fields against each other. With a query, ``query_type`` defaults to ``segmentation``.

    Otherwise the server could ignore the query and message the whole list.

    :param query_type: its value; None to infer it
    :param query: its value, or None
    :param complete: whether the payload is complete by itself: ``segmentation`` then requires a query
    :param allow_clear: whether an empty string clears ``query``
    :param from_server: whether the server stores these fields: ``all`` may then come with an unused query,
        and ``query_type`` may be empty
    :param problems: the list to which problems are added
    :return: the fields to send
    """
    result: dict[str, str] = {}
    unset = query_type is None or (from_server and _is_empty(query_type))
    kind = None if unset else check_choice("query_type", query_type, QUERY_TYPES, problems)
    # A query that a template rendered to nothing must not widen the audience: clearing it requires "all".
    cleared = _is_empty(query) and allow_clear and (from_server or kind == "all")
    if kind == "segmentation" and (cleared or (complete and query is None)):
        problems.add(
            "query", query, f"query_type {kind!r} needs a query: without it, the whole list gets the message"
        )
        return result
    if query is not None and not cleared:
        if kind == "all" and not from_server:
            problems.add("query_type", kind, "contradicts query, which would be ignored; leave one out")
        text = check_query("query", query, problems)
        if text is not None:
            result["query"] = text
            if unset:
                kind = "segmentation"
    elif cleared:
        result["query"] = ""
    if kind is not None:
        result["query_type"] = kind
    elif _is_empty(query_type) and from_server:
        result["query_type"] = ""
    return result


def _is_empty(value: Any) -> bool:
    return isinstance(value, str) and not value
