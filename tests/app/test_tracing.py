"""Traces of items, as an OpenTelemetry collector on the loopback interface receives them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.vendor import Vendor

from waremill.app import RunStatus, open_workspace

_TEMPLATE = """\
name: copy
instruction: Write a title for the product in {{ language }}.
input: [name]
output: {title: {type: string, max_chars: 120}}
"""
COUNT = 40


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, list[Any]]]:
    """Serve a collector; give its address and the spans it received."""
    spans: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest.FromString(await request.read())
        for resource in told.resource_spans:
            for scope in resource.scope_spans:
                spans.extend(scope.spans)
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}", spans
    finally:
        await runner.cleanup()


async def run(folder: Path, vendor: Vendor, telemetry: str) -> RunStatus:
    """Run all products of a workspace; give how it ended."""
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "templates" / "copy.yaml").write_text(_TEMPLATE)
    (folder / "waremill.toml").write_text(
        f'[models.default]\nuse = "openai:m"\nbase_url = "{vendor.url}"\n'
        f"price = {{input = 1, output = 2}}\n{telemetry}"
    )
    rows = "".join(f"P{n:03},Secret scent number {n}\n" for n in range(COUNT))
    (folder / "products.csv").write_text(f"sku,name\n{rows}")
    async with open_workspace(folder) as workspace:
        await workspace.import_catalog([folder / "products.csv"], key="sku")
        return await workspace.run("copy", targets=("en-US",))


def told(span: Any) -> dict[str, Any]:
    """A span's attributes."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


async def test_an_item_its_steps_and_its_calls_are_one_trace(tmp_path: Path) -> None:
    async with Vendor() as vendor, collector() as (address, spans):
        ended = await run(tmp_path, vendor, f'[telemetry]\ntraces = "{address}"\nsample = 1.0\n')
    assert (ended.state, ended.done) == ("done", COUNT)
    items = {span.span_id: span for span in spans if span.name == "item copy"}
    steps = {span.span_id: span for span in spans if span.name.startswith("step ")}
    calls = [span for span in spans if span.name == "chat default"]
    assert (len(items), len(steps), len(calls)) == (COUNT, COUNT, COUNT)
    assert {span.parent_span_id for span in steps.values()} == set(items)
    assert {span.parent_span_id for span in calls} == set(steps)
    for span in calls:
        assert span.trace_id == items[steps[span.parent_span_id].parent_span_id].trace_id
        attributes = told(span)
        assert attributes["gen_ai.operation.name"] == "chat"
        assert attributes["gen_ai.usage.input_tokens"] > 0
        assert attributes["waremill.cost_usd"] > 0
        assert attributes["waremill.replayed"] is False
    whole = b"".join(span.SerializeToString() for span in spans)
    assert b"Secret scent" not in whole


@pytest.mark.parametrize("share", [0.25, 0.0])
async def test_a_share_of_the_items_is_traced(tmp_path: Path, share: float) -> None:
    async with Vendor() as vendor, collector() as (address, spans):
        ended = await run(
            tmp_path, vendor, f'[telemetry]\ntraces = "{address}"\nsample = {share}\n'
        )
    assert (ended.state, ended.done) == ("done", COUNT)
    traced = sum(span.name == "item copy" for span in spans)
    assert abs(traced - share * COUNT) <= 3


async def test_a_collector_that_is_away_holds_nothing_up(tmp_path: Path) -> None:
    async with Vendor() as vendor:
        async with asyncio.timeout(30):
            ended = await run(
                tmp_path, vendor, '[telemetry]\ntraces = "http://127.0.0.1:9"\nsample = 1.0\n'
            )
    assert (ended.state, ended.done) == ("done", COUNT)
