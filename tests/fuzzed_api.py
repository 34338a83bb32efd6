"""Requests made up from the API's own description, and what must hold of every answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from starlette.testclient import TestClient

BASE_URL = "http://127.0.0.1:8080"
_REQUEST = ("method", "url", "params", "headers", "cookies", "json", "files")


def operations(client: TestClient) -> Iterator[Any]:
    """Give every operation of the description."""
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    for found in schema.get_all_operations():
        yield found.ok()


def fuzz(client: TestClient, operation: Any, number: int, known: Mapping[str, str]) -> Counter[int]:
    """Send requests for one operation and check each answer; count them by status.

    ``known`` are path parameters of what there is, which take the place of made-up ones half of the time.
    """
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE), real=st.booleans())
    def request(case: Any, real: bool) -> None:
        if real:
            case.path_parameters.update(
                {name: known[name] for name in case.path_parameters or {} if name in known}
            )
        if case.query:
            case.query.pop("wait", None)  # of the feed of changes: nothing would come
        options = case.as_transport_kwargs(base_url=BASE_URL)
        answer = client.request(
            content=options.get("data"), **{key: options[key] for key in _REQUEST if key in options}
        )
        statuses[answer.status_code] += 1
        check(operation, answer)

    request()
    return statuses


def check(operation: Any, answer: Any) -> None:
    """Compare an answer with what the description says of it."""
    raw = operation.definition.raw
    offered = "Not offered" not in raw["tags"]
    place = f"{operation.method} {operation.path}: {answer.status_code}"
    assert answer.status_code < 500 or (answer.status_code == 501 and not offered), place
    documented = raw["responses"].get(str(answer.status_code))
    assert documented is not None, f"{place} is not in the description"
    if answer.content and answer.headers["content-type"] != "application/problem+json":
        media_type = answer.headers["content-type"].partition(";")[0]
        described = {name.partition(";")[0] for name in documented["content"]}
        assert media_type in described, f"{place} as {media_type} is not in the description"
    if answer.status_code >= 400:
        assert answer.headers["content-type"] in ("application/problem+json", "application/dicom+json"), place
