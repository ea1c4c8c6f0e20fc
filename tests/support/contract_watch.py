"""Check every request of the client and every response of the sandbox in the suite against the contract.

* Requests: those of a :class:`BMSession` to a BM API, mocked or not.
* Answers: those of every sandbox in this process, at its core. What a scripted fault makes of an answer comes
  later and is not checked: it is invalid on purpose.
* A request that the contract does not allow must not succeed, whoever sent it.

A test that breaks the contract on purpose is marked ``off_contract("why")``; it fails if it does not.
What happens in other processes (``airflow`` on the command line, killed tasks) is not seen here.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from airflow_provider_bm.client.session import BMSession
from airflow_provider_bm.sandbox import api
from airflow_provider_bm.sandbox.http_messages import Reply, Request
from tests.support import contract

TOKEN_PATH = "/oauth2/access-token"

_requests: list[str] = []
_answers: list[str] = []
_handle = api.Api.handle


class _Watched(requests.Session):
    """A class between :class:`BMSession` and its base, which sees each request that is really sent."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if isinstance(self, BMSession):
            _check_request(self, request)
        return super().send(request, **kwargs)


@cache
def _as_sent(url: str) -> str:
    return str(requests.Request("GET", url).prepare().url)


def _check_request(session: BMSession, request: requests.PreparedRequest) -> None:
    settings = session._settings
    url, query = str(request.url).partition("?")[::2]
    base = _as_sent(settings.api_url).rstrip("/")
    if url == _as_sent(settings.token_url):
        path = TOKEN_PATH
    elif url.startswith(base + "/"):
        path = url.removeprefix(base)
    else:
        return  # not the API
    body = request.body.encode() if isinstance(request.body, str) else request.body
    pairs = parse_qsl(query, keep_blank_values=True)
    headers = {name: str(value) for name, value in request.headers.items()}
    problems = contract.request_problems(request.method or "", path, pairs, headers, body)
    _requests.extend(f"{request.method} {path}: {problem}" for problem in problems)


def _watched_handle(self: api.Api, request: Request) -> Reply:
    try:
        reply = _handle(self, request)
    except Exception as error:
        _answers.append(f"{request.method} {request.path}: the sandbox failed: {error!r}")
        raise
    path = request.path if request.path == api.TOKEN_PATH else request.path.removeprefix(api.API_PATH)
    call = f"{request.method} {urlsplit(request.target).path}"
    problems = contract.response_problems(request.method, path, reply.status, reply.headers, reply.body)
    _answers.extend(f"{call}: {problem}" for problem in problems)
    if reply.status < 300 and not self.store.settings.ignore_filters:
        headers = dict(request.headers.items())
        wrong = contract.request_problems(request.method, path, request.pairs, headers, request.body)
        _answers.extend(f"{call} was answered {reply.status}, but {problem}" for problem in wrong)
    return reply


def install() -> None:
    """Watch this process until it ends."""
    BMSession.__bases__ = (_Watched,)
    api.Api.handle = _watched_handle  # type: ignore[method-assign]


def take() -> tuple[list[str], list[str]]:
    """Return the problems of requests, and of responses, since the last call."""
    found = _requests[:], _answers[:]
    _requests.clear()
    _answers.clear()
    return found
