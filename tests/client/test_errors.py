"""The error hierarchy. Errors can be pickled and copied, since Airflow passes them between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from airflow_provider_bm import exceptions
from airflow_provider_bm.exceptions import (
    BMAPIError,
    BMAuthError,
    BMBadRequestError,
    BMCampaignStateError,
    BMConfigError,
    BMConflictError,
    BMConnectError,
    BMDraftOnlyError,
    BMError,
    BMForbiddenError,
    BMHeldError,
    BMNotFoundError,
    BMOutcomeUnknownError,
    BMPayloadError,
    BMPolicyError,
    BMRateLimitError,
    BMResponseError,
    BMServerError,
    BMTimeoutError,
    BMTransportError,
    Problem,
)

API = {
    "status": 429, "call": "GET /x", "code": "c", "message": "m", "description": "d",
    "items": [{"name": "n", "message": "why"}], "retry_after": 1.5,
}  # fmt: skip
SAMPLES = [
    BMError("e"), BMConfigError("e"), BMDraftOnlyError("e"), BMPolicyError("e"), BMHeldError("e"),
    BMTransportError("e"), BMTimeoutError("e"),
    BMPayloadError([Problem("name", "", "must not be empty"), Problem("x", [1], "y")], "clone"),
    BMCampaignStateError("e", {"uuid": "u"}), BMCampaignStateError("e"),
    BMOutcomeUnknownError("e", name="Storm", status=504), BMOutcomeUnknownError("e"),
    BMConnectError("e"), BMConnectError("e", permanent=True),
    BMResponseError("e", 302, permanent=True), BMResponseError("e"),
    *(kind(**API) for kind in (BMAPIError, BMBadRequestError, BMAuthError, BMForbiddenError, BMNotFoundError,
                               BMConflictError, BMRateLimitError, BMServerError)),
    BMServerError(status=500, call="GET /x"),
]  # fmt: skip
COPIES = {"pickle": lambda error: pickle.loads(pickle.dumps(error)), "copy": copy.copy}


def descendants(kind):
    return {kind}.union(*(descendants(each) for each in kind.__subclasses__()))


def test_every_error_has_a_sample():
    own = {kind for kind in descendants(BMError) if kind.__module__ == exceptions.__name__}
    assert {type(sample) for sample in SAMPLES} == own


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_copy_has_the_attributes_of_the_error(error, copy):
    copied = COPIES[copy](error)
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert vars(copied) == vars(error)
    assert (copied.permanent, copied.args) == (error.permanent, error.args)


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_copy_keeps_of_token(error):
    marked = copy.copy(error)
    marked.of_token = True
    assert pickle.loads(pickle.dumps(marked)).of_token


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BMBadRequestError), (401, BMAuthError), (402, BMBadRequestError), (403, BMForbiddenError),
        (404, BMNotFoundError), (405, BMBadRequestError), (408, BMServerError), (409, BMConflictError),
        (410, BMBadRequestError), (418, BMBadRequestError), (422, BMBadRequestError), (429, BMRateLimitError),
        (500, BMServerError), (501, BMServerError), (502, BMServerError), (599, BMServerError),
    ],
)  # fmt: skip
def test_error_class_of_an_http_status(status, kind):
    assert BMAPIError.for_status(status) is kind


PASSING = {
    BMTransportError, BMConnectError, BMTimeoutError, BMResponseError, BMConflictError, BMRateLimitError,
    BMServerError,
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(descendants(BMError), key=str))
def test_which_errors_are_permanent(kind):
    assert kind.permanent is (kind not in PASSING)
