"""The OpenAPI document is true: requests made from it, right and wrong, get an answer that it names, never a 5xx."""

from __future__ import annotations

import json
import urllib.request

import pytest

from tests.service.conftest import listening, local_client

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")


def test_every_answer_is_one_of_the_document(make_app):
    seen = {}
    with listening(make_app()) as port:
        address = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{address}/openapi.json") as answer:  # noqa: S310
            document = schemathesis.openapi.from_dict(json.load(answer))
        for result in document.get_all_operations():
            operation = result.ok()
            seen[operation.label] = _statuses(operation, address)
    assert len(seen) == 7
    assert all(200 in statuses and max(statuses) < 500 for statuses in seen.values()), seen
    assert seen["POST /search"] >= {200, 400}


def _statuses(operation, address: str) -> set[int]:
    from schemathesis import GenerationMode

    statuses = set()
    kinds = [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if operation.body else [])]
    cases = hypothesis.strategies.one_of([operation.as_strategy(generation_mode=kind) for kind in kinds])

    @hypothesis.given(case=cases)
    @hypothesis.settings(
        max_examples=15 if operation.body else 2,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.seed(1)
    def check(case):
        answer = case.call(base_url=address)
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=[_conforms])
        statuses.add(answer.status_code)

    check()
    return statuses


def _conforms(context, answer, case) -> None:
    """The status is documented, and the body has the shape that the document gives it."""
    from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

    status_code_conformance(context, answer, case)
    response_schema_conformance(context, answer, case)


def test_the_document_lists_what_is_served(make_app):
    with local_client(make_app()) as client:
        for path, methods in client.get("/openapi.json").json()["paths"].items():
            for method in methods:
                assert client.request(method, path, json={}).status_code in (200, 400)
            assert client.request("DELETE", path).status_code == 405
