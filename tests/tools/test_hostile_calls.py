"""What a hostile model writes, or a careless tool does, ends in a result and in nothing worse."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest
from tests.tools.loops import Model, chat

from waremill.domain import CallMessage, ResultMessage, ToolCall
from waremill.providers.calling import arguments_of, openai_message
from waremill.tools.loop import CallEnded, Handed, LoopLimits, converse
from waremill.tools.tool import tool_of


async def told(function: Any, arguments: Any = None, **limits: Any) -> tuple[str, list[CallEnded]]:
    """Have a model call a function; give what it is told, and what a door hears of it."""
    heard: list[Any] = []
    model = Model([(function.__name__, arguments or {})], "done")
    handed = Handed(model, hear=heard.append)
    done = await converse(chat(), (tool_of(function),), handed, LoopLimits(**limits))
    (result,) = (one for one in done.messages if isinstance(one, ResultMessage))
    return result.content, [one for one in heard if isinstance(one, CallEnded)]


async def test_arguments_that_nest_deeper_than_can_be_written_are_one_more_call() -> None:
    def take(x: list[Any]) -> str:
        """Take anything."""
        return "taken"

    deep = f'{{"x": {"[" * 300}{"]" * 300}}}'
    assert (await told(take, deep))[0] == "taken"
    call = ToolCall("call_1", "take", deep)
    assert arguments_of(call) == {}
    assert openai_message(CallMessage((call,)))["tool_calls"][0]["function"]["arguments"] == "{}"


async def test_a_result_is_cut_for_whoever_hears_of_it_too() -> None:
    def everything() -> str:
        """Give everything."""
        return "x" * 5_000_000

    content, heard = await told(everything, characters=1_000)
    assert len(content) < 1_100
    assert [len(one.content) for one in heard] == [len(content)]


async def test_what_no_database_keeps_is_replaced_in_a_result() -> None:
    def name() -> str:
        """Give a file's name, as Python reads one that is no UTF-8."""
        return "caf\udce9\0.txt"

    assert (await told(name))[0] == "caf\ufffd\ufffd.txt"


async def test_a_tool_that_wants_to_leave_ends_no_server() -> None:
    def leave() -> str:
        """Leave."""
        sys.exit(3)

    async def leave_too() -> str:
        """Leave."""
        sys.exit(3)

    assert (await told(leave))[0] == "leave failed (SystemExit)"
    assert (await told(leave_too))[0] == "leave_too failed (SystemExit)"


async def test_a_tool_that_gives_up_by_itself_does_not_stop_the_reply() -> None:
    async def cancelled() -> str:
        """Give up, as libraries do whose own time is over."""
        raise asyncio.CancelledError

    assert (await told(cancelled))[0] == "cancelled gave up"


async def test_tools_that_hang_take_no_thread_from_others() -> None:
    def hang(n: int) -> str:
        """Hang."""
        time.sleep(3)
        return "late"

    calls = [("hang", {"n": n}) for n in range(16)]
    limits = LoopLimits(tool_seconds=0.05, parallel=16)
    begun = time.monotonic()
    await converse(chat(), (tool_of(hang),), Handed(Model(calls, "x")), limits)
    await asyncio.gather(*(asyncio.to_thread(int, n) for n in range(40)))
    assert time.monotonic() - begun < 2


def test_a_tool_that_hangs_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, time
from tests.tools.loops import Model, chat
from waremill.tools.loop import Handed, LoopLimits, converse
from waremill.tools.tool import tool_of

def hang() -> str:
    "Hang."
    time.sleep(60)
    return ""

handed = Handed(Model([("hang", {})], "done"))
print(asyncio.run(converse(chat(), (tool_of(hang),), handed, LoopLimits(tool_seconds=0.1))).text)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "done"


@pytest.mark.parametrize("id", ["call_1_1", "x" * 10_000])
async def test_no_two_calls_have_one_id_and_none_is_long(id: str) -> None:
    def look(n: int) -> int:
        """Look."""
        return n

    class Hostile(Model):
        def _response(self, said: Any, turn: int) -> Any:
            response = super()._response(said, turn)
            ids = (id, "", id)
            calls = tuple(replace(one, id=ids[n]) for n, one in enumerate(response.calls))
            return replace(response, calls=calls)

    model = Hostile([("look", {"n": n}) for n in range(3)], "x")
    done = await converse(chat(), (tool_of(look),), Handed(model))
    results = [one for one in done.messages if isinstance(one, ResultMessage)]
    assert len({one.call for one in results}) == 3
    assert all(len(one.call) <= 64 for one in results)
    assert [one.content for one in results] == ["0", "1", "2"]
