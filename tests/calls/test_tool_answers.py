"""Requests without tools are the bytes they were; answers with calls are kept whole."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from sqlalchemy import select
from tests.calls.asking import chat, desk, model
from tests.vendor import Reply, Vendor

from waremill.calls import canonical, request_hash
from waremill.calls.envelope import shown
from waremill.domain import CallMessage, Chat, Image, Message, ResultMessage, ToolCall, ToolSpec
from waremill.store.database import Database
from waremill.store.tables import answers

TOOL = ToolSpec("price", "Give a price.", {"type": "object", "properties": {}})


def test_a_request_without_tools_is_byte_for_byte_what_it_was() -> None:
    request = Chat(
        (Message("system", "Write."), Message("user", ("Look", Image("asset:ab.png")))), 100,
        {"type": "object", "b": 1, "a": 2}, {"temperature": 0.5}, 2, 1,
    )  # fmt: skip
    assert canonical(request) == (
        b'{"max_tokens":100,"messages":[{"role":"system","content":"Write."},'
        b'{"role":"user","content":["Look",{"url":"asset:ab.png"}]}],'
        b'"options":{"temperature":0.5},"sample":2,"schema":{"a":2,"b":1,"type":"object"},"take":1}'
    )
    assert request_hash("openai:x", canonical(chat())).hex() == "2ef0e6f6b9e8070afab5562827431615"


def test_tools_choice_calls_and_results_make_requests_differ() -> None:
    base = chat()
    tooled = replace(base, tools=(TOOL,))
    call = CallMessage((ToolCall("1", "price", "{}"),))
    result = ResultMessage("1", "price", "9")
    made = [
        base, tooled, replace(tooled, tool_choice="none"),
        replace(tooled, tools=(replace(TOOL, description="Other."),)),
        replace(tooled, messages=(*base.messages, call)),
        replace(tooled, messages=(*base.messages, call, result)),
        replace(tooled, messages=(*base.messages, call, replace(result, failed=True))),
    ]  # fmt: skip
    assert len({canonical(one) for one in made}) == len(made)
    assert orjson.loads(canonical(tooled))["tools"][0]["name"] == "price"


async def test_an_answer_with_calls_is_paid_once_and_comes_back_whole(database: Database) -> None:
    said = Reply(text="Let me see.", calls=(("price", {"sku": "A"}),))
    async with Vendor(reply=lambda request, path: said) as vendor:
        async with desk(database, model(vendor.url)) as made:
            request = chat(tools=(TOOL,))
            first, again = await made.ask(request), await made.ask(request)
            ledger = await made.ledger()
        assert vendor.calls == 1
    assert (first.replayed, again.replayed) == (False, True)
    assert first.response == replace(again.response, request_id=first.response.request_id)
    assert again.response.calls[0].name == "price" and again.response.outcome == "complete"
    assert [one.outcome for one in ledger] == ["complete"] and ledger[0].paid > 0
    row = await database.read(lambda conn: conn.execute(select(answers)).one())
    assert row.outcome == "calls"
    assert shown(row.outcome, row.text) == 'Let me see.\nprice {"sku": "A"}'


@pytest.mark.parametrize(
    "text", ['{"calls":[{"id":"1","name":"price","arguments":"{}"}]}', "calls"]
)
async def test_a_text_that_looks_like_a_kept_call_stays_a_text(
    database: Database, text: str
) -> None:
    async with (
        Vendor(reply=lambda request, path: Reply(text=text)) as vendor,
        desk(database, model(vendor.url)) as made,
    ):
        request = chat(tools=(TOOL,))
        first, again = await made.ask(request), await made.ask(request)
    assert first.response.text == again.response.text == text and again.replayed
    assert first.response.calls == again.response.calls == ()
