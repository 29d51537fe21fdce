"""schemathesis against the API's own document finds nothing: bounded, and the same each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from tests.web.served import serving
from tests.web.shops import stocked, vendor_url

__all__ = ["stocked", "vendor_url"]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
STEERED = (
    r"^/v1/(session|users|teams|tokens|runs/\{run\}/start|runs/\{run\}/resume|runs/\{run\}/retry)"
)
"""Left out: what would sign everybody out by making the first account, or start processes."""


@pytest.fixture(scope="module")
def address(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a copy of the stocked workspace."""
    import shutil

    folder = tmp_path_factory.mktemp("schemathesis") / "shop"
    shutil.copytree(stocked, folder)
    with serving(folder) as server:
        yield server.url


def known_places(address: str) -> dict[str, object]:
    """What there is on the server, by the name of a path's parameter."""
    with httpx.Client(base_url=address, timeout=30) as client:
        run = client.get("/v1/runs", params={"kind": "run"}).json()["rows"][0]["run"]
        item = client.get(f"/v1/runs/{run}/items").json()["rows"][0]
        changes = client.get(f"/v1/catalogs/perfumes/changes/{item['key']}").json()
    return {
        "catalog": "perfumes", "run": run, "item": item["id"], "key": item["key"],
        "path": "templates/copy.yaml", "result": changes[0]["result_id"], "field": "title",
    }  # fmt: skip


def try_operation(operation: Any, places: Mapping[str, object], *, wrong: bool) -> None:
    """Send an operation what it takes, or what it must refuse, and check each answer."""
    mode = GenerationMode.NEGATIVE if wrong else GenerationMode.POSITIVE
    checks = [*CHECKS, negative_data_rejection] if wrong else CHECKS

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=2 if wrong else 3, deadline=None, derandomize=True, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )  # fmt: skip
    def try_it(case: schemathesis.Case) -> None:
        if isinstance(case.body, dict) and case.path in ("/v1/runs", "/v1/trials"):
            case.body["start"] = False  # planning is enough
        for name in case.path_parameters.keys() & places.keys():
            case.path_parameters[name] = places[name]
        reply = case.call(timeout=30)
        if reply.status_code == 400 and reply.content == b"Invalid HTTP request received.":
            return  # it was no HTTP, so it never came to us
        case.validate_response(reply, checks=checks)

    try_it()


@pytest.mark.parametrize("way", ["anything", "what is there", "what must not be"])
def test_the_api_keeps_its_document(address: str, way: str) -> None:
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json").exclude(path_regex=STEERED)
    places = known_places(address) if way == "what is there" else {}
    failures: list[str] = []
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        names = {one.name for one in operation.path_parameters} & places.keys()
        if way == "what is there" and not names:
            continue
        if way == "what must not be" and operation.path == "/v1/uploads":
            continue  # a form cannot say null: it becomes a file that holds the word
        tried += 1
        try:
            try_operation(operation, places, wrong=way == "what must not be")
        except Unsatisfiable:
            continue  # nothing of it can be wrong
        except Exception as error:  # every operation is tried, then all is told
            failures.append(f"{operation.label}: {error}")
        except BaseExceptionGroup as group:
            failures.append(f"{operation.label}: {group.exceptions}")
    assert tried > (30 if places else 70)
    assert not failures, "\n\n".join(failures)
