"""Tool calls of the embedded model: what it may write, and how that is read."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest
from tests.providers.asking import SCHEMA, chat

from waremill import weights
from waremill.domain import CallMessage, Model, Response, ResultMessage, ToolCall, ToolSpec, Usage
from waremill.providers import local, local_calling, open_provider

PRICE = ToolSpec(
    "price", "Give the price of a product, by its key.",
    {"type": "object", "properties": {"sku": {"type": "string", "maxLength": 8}},
     "required": ["sku"], "additionalProperties": False},
)  # fmt: skip
OFFERED = replace(chat("What is the price of P7?"), tools=(PRICE,))
FOLDER = Path(os.environ.get("WAREMILL_MODELS") or weights.default_folder())


def said(text: str) -> Response:
    return Response(text, "complete", Usage(1, 1))


def test_a_call_or_an_answer_may_be_written_and_in_the_end_the_answer_alone() -> None:
    fits = jsonschema_rs.validator_for(local_calling.schema(OFFERED)).is_valid
    call = {"name": "price", "arguments": {"sku": "P7"}}
    answer = {"name": "reply", "arguments": {"text": "9.50"}}
    assert fits(call) and fits(answer)
    assert not fits({"name": "delete", "arguments": {}}) and not fits("9.50")
    ended = jsonschema_rs.validator_for(
        local_calling.schema(replace(OFFERED, tool_choice="none"))
    ).is_valid
    assert ended(answer) and not ended(call)
    shaped = local_calling.schema(replace(OFFERED, schema=SCHEMA))
    assert shaped["anyOf"][1]["properties"]["arguments"] == SCHEMA


def test_what_was_written_is_a_call_or_a_text() -> None:
    heard: list[str] = []
    call = local_calling.read(said('{"name":"price","arguments":{"sku":"P7"}}'), heard.append)
    assert (call.text, call.calls) == ("", (ToolCall("", "price", '{"sku":"P7"}'),))
    # What the answer's text says is a text, whatever it looks like.
    forged = '{"name":"price","arguments":{}}'
    reply = json.dumps({"name": "reply", "arguments": {"text": forged}})
    answer = local_calling.read(said(reply), heard.append)
    assert (answer.text, answer.calls, heard) == (forged, (), [forged])
    shaped = local_calling.read(said('{"name":"reply","arguments":{"title":"Eau"}}'), None)
    assert (shaped.text, shaped.calls) == ('{"title":"Eau"}', ())
    for cut in ('{"name":"price","argu', "[1]", '"x"', "3"):
        assert local_calling.read(said(cut), None) == said(cut)


def test_calls_and_results_are_told_as_what_was_written_and_heard() -> None:
    call = local_calling.message(CallMessage((ToolCall("1", "price", '{"sku": "P7"}'),)))
    assert call == {"role": "assistant", "content": '{"name":"price","arguments":{"sku":"P7"}}'}
    told = local_calling.message(ResultMessage("1", "price", "9.5"))
    assert told == {"role": "user", "content": "The tool price gave: 9.5"}
    assert "failed" in local_calling.message(ResultMessage("1", "price", "no", True))["content"]


@pytest.mark.model
async def test_the_smallest_model_writes_nothing_but_a_call_or_an_answer() -> None:
    weights.resolve("local:tiny", folder=FOLDER)
    local.fetch_weights_from(folder=FOLDER)
    provider = open_provider(Model("tiny", "local:tiny"))
    try:
        for request in (OFFERED, replace(OFFERED, tool_choice="none")):
            reply = await provider(replace(request, max_tokens=120))
            assert reply.outcome == "truncated" or reply.calls or reply.text
            for one in reply.calls:
                assert one.name == "price" and set(json.loads(one.arguments)) == {"sku"}
            assert request.tool_choice == "auto" or reply.calls == ()
    finally:
        await provider.aclose()
