"""Whom a campaign goes to within its lists: ``query_type`` and ``query`` (Campaign API 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_bm.campaigns.constants import QUERY_TYPES
from airflow_provider_bm.campaigns.json_text import dump_json, parse_json
from airflow_provider_bm.campaigns.problems import Problems, check_choice, json_problem
from airflow_provider_bm.campaigns.segmentation import SegmentationQuery
from airflow_provider_bm.campaigns.segmentation_rules import check_segmentation

_WANTED = "must be a SegmentationQuery, or a dict or JSON object of that form"


def check_query(field: str, value: Any, problems: Problems) -> str | None:
    """Check a query in any of the forms that users may write.

    :param field: the field
    :param value: a :class:`SegmentationQuery`, a dict of the API's form, or JSON, which is sent as given
    :param problems: where problems are noted
    :return: the JSON to send, or None if there is a problem
    """
    before = len(problems)
    if isinstance(value, SegmentationQuery):
        value = value.unchecked()
    if isinstance(value, str):
        try:
            parsed = parse_json(value)
        except ValueError as error:
            json_problem(field, value, error, _WANTED, problems)
            return None
        check_segmentation(parsed, field, False, problems)
        return value if len(problems) == before else None
    if not isinstance(value, Mapping):
        problems.add(field, value, _WANTED)
        return None
    checked = check_segmentation(value, field, True, problems)
    return dump_json(checked) if len(problems) == before else None


def check_audience(
    query_type: Any, query: Any, *, whole: bool, may_clear: bool, leftovers: bool, problems: Problems
) -> dict[str, str]:
    """Check the two fields against each other. A query without a ``query_type`` makes it ``segmentation``.

    Otherwise the server could ignore the query and message the whole list.

    :param query_type: as given; None to infer it
    :param query: as given, or None
    :param whole: nothing else will complete these fields: ``segmentation`` needs its query
    :param may_clear: whether the empty text is a wish to clear ``query``
    :param leftovers: whether these may be a server's: ``all`` may stand beside a query that is not in use,
        and ``query_type`` may be empty
    :param problems: where problems are noted
    :return: the fields that are to be sent
    """
    result: dict[str, str] = {}
    unset = query_type is None or (leftovers and query_type == "")
    kind = None if unset else check_choice("query_type", query_type, QUERY_TYPES, problems)
    # A query that came out empty by accident must not widen the audience: it takes "all" beside it.
    cleared = query == "" and may_clear and (leftovers or kind == "all")
    if kind == "segmentation" and (cleared or (whole and query is None)):
        problems.add("query", query, f"query_type {kind!r} needs a query: without one it is the whole list")
        return result
    if query is not None and not cleared:
        if kind == "all" and not leftovers:
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
    elif query_type == "" and leftovers:
        result["query_type"] = ""
    return result
