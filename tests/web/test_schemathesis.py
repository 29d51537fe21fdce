"""schemathesis against the API's own document finds nothing: bounded, and the same each time.

The server has accounts. Who asks is an admin who manages users, and what is asked about was made
for it, so that nobody is signed out who asks on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tests.web.asked_site import Site, served_site
from tests.web.shops import stocked, vendor_url

__all__ = ["stocked", "vendor_url"]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
ANYTHING, THERE, WRONG = "anything", "what is there", "what must not be"
EXAMPLES = {ANYTHING: 2, THERE: 3, WRONG: 2}
DONE = {
    "POST /v1/runs/{run}/start", "POST /v1/runs/{run}/resume", "POST /v1/runs/{run}/retry",
    "POST /v1/runs", "POST /v1/trials", "POST /v1/estimates", "POST /v1/generate",
    "POST /v1/plays", "POST /v1/comparisons", "POST /v1/sources/{source}/import",
    "PATCH /v1/users/{name}", "PATCH /v1/teams/{team}",
    "PUT /v1/teams/{team}/members/{name}", "POST /v1/tokens", "DELETE /v1/tokens/{token}",
    "PUT /v1/trials/{run}/marks/{item}/{field}", "GET /v1/webhooks/{webhook}",
}  # fmt: skip
"""What is carried out at least once where it is asked about what is there."""


@pytest.fixture(scope="module")
def site(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a copy of the stocked workspace, and accounts."""
    with served_site(stocked, tmp_path_factory.mktemp("schemathesis") / "shop") as made:
        yield made


@pytest.fixture(scope="module")
def operations(site: Site) -> list[Any]:
    """All there is to ask; what is worked out of the document is worked out once."""
    schema = schemathesis.openapi.from_url(f"{site.url}/openapi.json", headers=site.headers)
    return [found.ok() for found in schema.get_all_operations()]


def try_operation(operation: Any, site: Site, way: str) -> set[int]:
    """Send an operation what it takes, or what it must refuse; check and give the answers."""
    mode = GenerationMode.NEGATIVE if way == WRONG else GenerationMode.POSITIVE
    checks = [*CHECKS, negative_data_rejection] if way == WRONG else CHECKS
    seen: set[int] = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES[way], deadline=None, derandomize=True, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )  # fmt: skip
    def try_it(case: schemathesis.Case) -> None:
        if way == THERE:
            aim(case, site)
        spare(case, site)
        reply = case.call(timeout=30, headers=site.headers)
        if reply.status_code == 400 and reply.content == b"Invalid HTTP request received.":
            return  # it was no HTTP, so it never came to us
        seen.add(reply.status_code)
        case.validate_response(reply, checks=checks)

    try_it()
    return seen


def aim(case: schemathesis.Case, site: Site) -> None:
    """Point a request at what there is, and leave out what would keep it from being done."""
    case.path_parameters.update(site.there(case.path, set(case.path_parameters)))
    case.headers.pop("Idempotency-Key", None)  # the same one each time
    if case.method in ("PUT", "PATCH"):
        case.headers["If-Match"] = "*"
    if isinstance(case.body, dict):
        case.body = site.aimed(case.path, case.body)


def spare(case: schemathesis.Case, site: Site) -> None:
    """Keep a request from taking away what the next ones are made with."""
    if str(case.path_parameters.get("token")) == str(site.own):
        case.path_parameters["token"] = site.own + 1000
    if case.path_parameters.get("name") == "root":
        case.path_parameters["name"] = "nobody"
    if case.path in ("/v1/runs", "/v1/trials") and isinstance(case.body, dict):
        case.body["start"] = False  # planning is enough; others start what is planned


@pytest.mark.parametrize("way", [ANYTHING, THERE, WRONG])
def test_the_api_keeps_its_document(site: Site, operations: list[Any], way: str) -> None:
    if way == THERE:
        site.look()
        # What takes away comes last.
        operations = sorted(operations, key=lambda one: one.method.lower() == "delete")
    failures: list[str] = []
    answers: dict[str, set[int]] = {}
    for operation in operations:
        names = {one.name for one in operation.path_parameters}
        if way == THERE and not (site.there(operation.path, names) or operation.body):
            continue
        if way == WRONG and operation.path == "/v1/uploads":
            continue  # a form cannot say null: it becomes a file that holds the word
        try:
            answers[operation.label] = try_operation(operation, site, way)
        except Unsatisfiable:
            continue  # nothing of it can be wrong
        except Exception as error:  # every operation is tried, then all is told
            failures.append(f"{operation.label}: {error}")
        except BaseExceptionGroup as group:
            failures.append(f"{operation.label}: {group.exceptions}")
    assert not failures, "\n\n".join(failures)
    assert len(answers) > 90
    if way == THERE:
        refused = {one for one in DONE if not any(code < 300 for code in answers.get(one, ()))}
        assert not refused, {one: answers.get(one) for one in refused}


def test_who_asked_may_still_ask(site: Site) -> None:
    me = httpx.get(f"{site.url}/v1/session", headers=site.headers, timeout=30)
    assert (me.status_code, me.json()["name"], me.json()["manages"]) == (200, "root", True)
