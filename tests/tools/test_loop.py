"""The bounded loop: calls are run and told, limits are plain outcomes, results are data."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from tests.tools.loops import Model, chat

from waremill.domain import CallMessage, Message, ResultMessage, ToolCall
from waremill.errors import LimitReached
from waremill.tools.loop import (
    DATA,
    NOT_PERMITTED,
    CallEnded,
    CallStarted,
    Event,
    Handed,
    LoopLimits,
    PermissionAsked,
    TextPiece,
    converse,
    offering,
)
from waremill.tools.tool import Tool, tool, tool_of


class Shop:
    """Tools that remember how they were called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.at_once = 0
        self.peak = 0

    def tools(self) -> tuple[Tool, ...]:
        async def price(sku: str) -> float:
            """Give a product's price."""
            self.at_once += 1
            self.peak = max(self.peak, self.at_once)
            await asyncio.sleep(0.005)
            self.at_once -= 1
            self.calls.append(("price", sku))
            if sku == "gone":
                raise ValueError("there is no such product")
            return 9.5

        @tool(changes=True)
        async def delete(sku: str) -> str:
            """Delete a product."""
            self.calls.append(("delete", sku))
            return "deleted"

        async def manual(sku: str) -> str:
            """Give the manual."""
            self.calls.append(("manual", sku))
            return "x" * 50_000

        async def slow(seconds: float) -> str:
            """Wait."""
            await asyncio.sleep(seconds)
            return "done"

        return tuple(map(tool_of, (price, delete, manual, slow)))


def results(model: Model, turn: int = -1) -> list[ResultMessage]:
    """The results the model was told in a turn."""
    return [one for one in model.asked[turn].messages if isinstance(one, ResultMessage)]


async def test_calls_are_run_and_their_results_told() -> None:
    shop, model = Shop(), Model([("price", {"sku": "A"})], "It is 9.50.")
    done = await converse(chat(), shop.tools(), Handed(model))
    assert (done.text, done.outcome, done.note) == ("It is 9.50.", "answered", "")
    assert [one.name for one in model.asked[0].tools] == ["price", "delete", "manual", "slow"]
    assert results(model) == [ResultMessage("call_1_0", "price", "9.5")]
    call = CallMessage((ToolCall("call_1_0", "price", '{"sku":"A"}'),))
    assert done.messages == (call, *results(model))
    assert sum(one.list_cost or 0 for one in done.answers) == 2_000


async def test_without_tools_and_without_calls_it_is_one_plain_ask() -> None:
    model = Model("Hello.")
    done = await converse(chat(), (), Handed(model))
    assert (done.text, len(model.asked), model.asked[0]) == ("Hello.", 1, chat())
    assert (await converse(chat(), Shop().tools(), Handed(model))).outcome == "answered"


async def test_the_instruction_says_that_results_are_data_and_stays_in_front() -> None:
    asked = offering(chat(), Shop().tools())
    assert asked.messages[0] == Message("system", f"Be brief.\n\n{DATA}")
    bare = offering(chat().__class__((Message("user", "Hi"),), 10), Shop().tools())
    assert bare.messages[0] == Message("system", DATA)


async def test_calls_of_one_turn_run_at_once_within_a_bound() -> None:
    shop = Shop()
    model = Model([("price", {"sku": str(n)}) for n in range(8)], "Done.")
    await converse(chat(), shop.tools(), Handed(model), LoopLimits(parallel=3))
    assert shop.peak == 3 and len(shop.calls) == 8
    assert [one.call for one in results(model)] == [f"call_1_{n}" for n in range(8)]


async def test_more_calls_than_allowed_in_a_turn_are_told_so() -> None:
    shop = Shop()
    model = Model([("price", {"sku": str(n)}) for n in range(5)], "Done.")
    await converse(chat(), shop.tools(), Handed(model), LoopLimits(calls=2))
    assert len(shop.calls) == 2
    assert [one.failed for one in results(model)] == [False, False, True, True, True]


async def test_errors_wrong_arguments_and_unknown_tools_come_back_to_the_model() -> None:
    shop = Shop()
    model = Model(
        [("price", {"sku": "gone"}), ("price", "{no json"), ("price", {"id": 1}), ("email", {})],
        "Sorry.",
    )
    done = await converse(chat(), shop.tools(), Handed(model))
    told = [one.content for one in results(model)]
    assert done.outcome == "answered" and all(one.failed for one in results(model))
    assert told[0] == "price: there is no such product"
    assert "not a JSON object" in told[1] and "do not fit" in told[2]
    assert told[3] == "there is no such tool; use price, delete, manual, slow"
    assert shop.calls == [("price", "gone")]


async def test_results_are_cut() -> None:
    model = Model([("manual", {"sku": "A"})], "Long.")
    await converse(chat(), Shop().tools(), Handed(model), LoopLimits(characters=100))
    assert results(model)[0].content == "x" * 100 + "\n… (cut: 100 of 50000 characters)"


async def test_the_last_turn_offers_no_choice_and_its_calls_are_not_made() -> None:
    shop = Shop()
    numbers = iter(range(99))
    model = Model(lambda _: [("price", {"sku": str(next(numbers))})])
    done = await converse(chat(), shop.tools(), Handed(model), LoopLimits(turns=3))
    assert [one.tool_choice for one in model.asked] == ["auto", "auto", "none"]
    assert len(shop.calls) == 2 and done.outcome == "turns" and "turns" in done.note


async def test_tokens_end_the_calls_and_the_model_answers_with_what_it_has() -> None:
    numbers = iter(range(99))

    def say(request: Any) -> Any:
        if request.tool_choice == "none":
            return "9.50 so far."
        return [("price", {"sku": str(next(numbers))})]

    model = Model(say, tokens=500)
    done = await converse(chat(), Shop().tools(), Handed(model), LoopLimits(tokens=2_500))
    assert (done.text, done.outcome, len(model.asked)) == ("9.50 so far.", "tokens", 4)


async def test_time_ends_the_calls_and_stops_the_one_that_runs() -> None:
    def say(request: Any) -> Any:
        return "late" if request.tool_choice == "none" else [("slow", {"seconds": 30})]

    started = time.monotonic()
    model = Model(say)
    done = await converse(chat(), Shop().tools(), Handed(model), LoopLimits(seconds=0.2))
    assert (done.text, done.outcome) == ("late", "seconds")
    assert time.monotonic() - started < 5
    assert "was stopped" in results(model)[0].content


async def test_one_call_may_take_so_long_and_the_loop_goes_on() -> None:
    model = Model([("slow", {"seconds": 30}), ("price", {"sku": "A"})], "ok")
    done = await converse(chat(), Shop().tools(), Handed(model), LoopLimits(tool_seconds=0.1))
    assert done.outcome == "answered"
    assert [one.failed for one in results(model)] == [True, False]


async def test_the_same_call_is_made_once_and_its_repetition_ends_the_loop() -> None:
    shop = Shop()

    def say(request: Any) -> Any:
        if request.tool_choice == "none":
            return "9.50"
        # Written differently, and meaning the same.
        return [("price", '{"sku":"A"}' if len(request.messages) % 4 else '{ "sku": "A" }')]

    model = Model(say)
    done = await converse(chat(), shop.tools(), Handed(model), LoopLimits(repeats=2))
    assert shop.calls == [("price", "A")]
    assert (done.outcome, len(model.asked)) == ("repeats", 5)
    assert results(model)[1].content.startswith("(the same call as before")


async def test_what_failed_may_be_tried_again_but_not_for_ever() -> None:
    shop = Shop()
    model = Model(lambda r: "no" if r.tool_choice == "none" else [("price", {"sku": "gone"})])
    done = await converse(chat(), shop.tools(), Handed(model), LoopLimits(repeats=2))
    assert (done.outcome, len(shop.calls)) == ("repeats", 4)


async def test_what_changes_something_needs_permission_for_each_call() -> None:
    shop, asked = Shop(), []
    model = Model([("delete", {"sku": "A"}), ("delete", {"sku": "B"})], "Done.")

    async def permit(call: ToolCall) -> bool:
        asked.append(call.arguments)
        return '"A"' in call.arguments

    await converse(chat(), shop.tools(), Handed(model, permit))
    assert asked == ['{"sku":"A"}', '{"sku":"B"}'] and shop.calls == [("delete", "A")]
    assert [one.content for one in results(model)] == ["deleted", NOT_PERMITTED]


async def test_nothing_is_permitted_where_nobody_can_be_asked_nor_asked_twice() -> None:
    shop, asked = Shop(), []
    say = lambda r: "no" if r.tool_choice == "none" else [("delete", {"sku": "A"})]  # noqa: E731
    await converse(chat(), shop.tools(), Handed(Model(say)))

    async def refuse(call: ToolCall) -> bool:
        asked.append(call)
        return False

    await converse(chat(), shop.tools(), Handed(Model(say), refuse))
    assert shop.calls == [] and len(asked) == 1


async def test_nobody_is_asked_about_a_call_that_cannot_be_made() -> None:
    asked = []

    async def permit(call: ToolCall) -> bool:
        asked.append(call)
        return True

    await converse(chat(), Shop().tools(), Handed(Model([("delete", {"id": 1})], "x"), permit))
    assert asked == []


async def test_a_door_hears_pieces_calls_and_questions_as_they_happen() -> None:
    heard: list[Event] = []
    model = Model([("price", {"sku": "A"})], [("delete", {"sku": "A"})], "All done.")

    async def permit(_call: ToolCall) -> bool:
        return True

    await converse(chat(), Shop().tools(), Handed(model, permit, hear=heard.append))
    kinds = [type(one) for one in heard]
    assert kinds == [
        CallStarted, CallEnded, PermissionAsked, CallStarted, CallEnded, TextPiece, TextPiece
    ]  # fmt: skip
    ended = heard[1]
    assert isinstance(ended, CallEnded) and ended.content == "9.5" and not ended.failed


async def test_a_person_who_takes_time_does_not_use_up_the_models() -> None:
    shop, model = Shop(), Model([("delete", {"sku": "A"})], [("price", {"sku": "A"})], "ok")

    async def permit(_call: ToolCall) -> bool:
        await asyncio.sleep(0.4)
        return True

    done = await converse(chat(), shop.tools(), Handed(model, permit), LoopLimits(seconds=0.3))
    assert done.outcome == "answered" and len(shop.calls) == 2


async def test_a_refusal_ends_the_loop() -> None:
    model = Model([("price", {"sku": "A"})], ("I cannot.", "refused"))
    assert (await converse(chat(), Shop().tools(), Handed(model))).outcome == "refused"


async def test_ids_that_are_missing_or_used_twice_are_replaced() -> None:
    class Careless(Model):
        def _response(self, said: Any, turn: int) -> Any:
            from dataclasses import replace

            response = super()._response(said, turn)
            calls = tuple(replace(one, id="") for one in response.calls)
            return replace(response, calls=calls)

    model = Careless([("price", {"sku": "A"}), ("price", {"sku": "B"})], "x")
    await converse(chat(), Shop().tools(), Handed(model))
    assert [one.call for one in results(model)] == ["call_1_0", "call_1_1"]


async def test_an_error_that_no_arguments_would_mend_is_raised_as_it_is() -> None:
    async def broke(sku: str) -> str:
        """Search."""
        raise LimitReached("the budget is used up", limit="budget")

    with pytest.raises(LimitReached):
        await converse(chat(), (tool_of(broke),), Handed(Model([("broke", {"sku": "A"})], "x")))


async def test_a_replay_sees_the_same_results_and_asks_the_same_requests() -> None:
    kept: dict[str, Any] = {}
    prices = iter([9.5, 12.0, 13.0])

    async def price(sku: str) -> float:
        """Give a price that changes."""
        return next(prices)

    @tool(pure=True)
    def double(value: float) -> float:
        """Double it."""
        return value * 2

    async def recall(name: str, make: Any) -> Any:
        if name not in kept:
            kept[name] = await make()
        return kept[name]

    def model() -> Model:
        return Model([("price", {"sku": "A"}), ("double", {"value": 2})], "It is that.")

    tools = (tool_of(price), tool_of(double))
    first, second = model(), model()
    await converse(chat(), tools, Handed(first, recall=recall))
    await converse(chat(), tools, Handed(second, recall=recall))
    assert first.asked == second.asked
    assert kept == {"call 1.0": ["9.5", False], "late 1": False}


async def test_cancelling_ends_what_runs() -> None:
    model = Model([("slow", {"seconds": 30})], "x")
    task = asyncio.create_task(converse(chat(), Shop().tools(), Handed(model)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
