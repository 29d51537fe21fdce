"""Money set aside before a call and settled after it; never more drawn than there is."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from tests.calls.asking import PRICE, chat, desk, model
from tests.vendor import Reply, Vendor

from waremill.calls.budget import Budget
from waremill.errors import LimitReached
from waremill.store.database import Database


class Purse:
    """A run's budget as its row keeps it."""

    def __init__(self, total: int) -> None:
        self.total, self.drawn = total, 0

    async def draw(self, amount: int) -> bool:
        await asyncio.sleep(0)
        if self.drawn + amount > self.total:
            return False
        self.drawn += amount
        return True


async def test_a_call_that_cannot_be_afforded_is_a_limit() -> None:
    purse = Purse(100)
    budget = Budget(100, purse.draw)
    await budget.reserve(60)
    budget.settle(60, 60)
    with pytest.raises(LimitReached):
        await budget.reserve(41)
    await budget.reserve(40)
    budget.settle(40, 10)
    assert budget.unspent() == 30
    assert purse.drawn - budget.unspent() == 70


async def test_who_cannot_reserve_yet_waits_for_a_call_to_settle() -> None:
    purse = Purse(100)
    budget = Budget(100, purse.draw)
    await budget.reserve(80)
    second = asyncio.create_task(budget.reserve(50))
    third = asyncio.create_task(budget.reserve(50))
    await asyncio.sleep(0.01)
    assert not second.done()
    budget.settle(80, 5)
    done, waiting = await asyncio.wait({second, third}, timeout=0.1)
    assert len(done) == 1
    assert len(waiting) == 1
    budget.settle(50, 50)
    with pytest.raises(LimitReached):
        await waiting.pop()


async def test_a_call_settled_during_a_draw_is_enough() -> None:
    purse = Purse(50)
    budget = Budget(50, purse.draw)
    await budget.reserve(50)
    waiting = asyncio.create_task(budget.reserve(50))
    await asyncio.sleep(0)  # it asks for more money just now
    budget.settle(50, 0)
    await asyncio.wait_for(waiting, 1.0)
    assert budget.available == 0


async def test_being_cancelled_while_waiting_changes_nothing() -> None:
    purse = Purse(100)
    budget = Budget(100, purse.draw)
    await budget.reserve(100)
    waiting = [asyncio.create_task(budget.reserve(30)) for _ in range(3)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    budget.settle(100, 40)
    await asyncio.wait_for(asyncio.gather(*waiting[1:]), 1.0)
    assert budget.available == 0


class Spending(RuleBasedStateMachine):
    """Reserve and settle in any order, in two processes that share one purse."""

    reserved = Bundle("reserved")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.purse = Purse(10_000)
        self.budgets = [Budget(10_000, self.purse.draw) for _ in range(2)]
        self.spent = 0
        self.flying = 0

    @rule(target=reserved, which=st.integers(0, 1), amount=st.integers(1, 2500))
    def reserve(self, which: int, amount: int) -> tuple[int, int]:
        async def within() -> bool:
            task = asyncio.create_task(self.budgets[which].reserve(amount))
            for _ in range(12):
                await asyncio.sleep(0)
            task.cancel()
            [ended] = await asyncio.gather(task, return_exceptions=True)
            return ended is None

        if not self.loop.run_until_complete(within()):
            return which, 0
        self.flying += amount
        return which, amount

    @rule(one=consumes(reserved), share=st.floats(0, 1))
    def settle(self, one: tuple[int, int], share: float) -> None:
        which, amount = one
        cost = int(amount * share)
        if amount:
            self.budgets[which].settle(amount, cost)
            self.flying -= amount
            self.spent += cost

    def teardown(self) -> None:
        self.loop.close()

    @invariant()
    def every_nano_is_somewhere(self) -> None:
        unspent = sum(budget.unspent() for budget in self.budgets)
        assert min(budget.available for budget in self.budgets) >= 0
        assert self.purse.drawn == self.spent + self.flying + unspent
        assert self.purse.drawn <= self.purse.total


TestSpending = Spending.TestCase
TestSpending.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, derandomize=True, database=None
)


async def test_a_runs_calls_stay_within_its_budget_and_return_the_rest(
    database: Database,
) -> None:
    total = 1_500_000
    async with Vendor() as vendor:
        async with desk(database, model(vendor.url), budget=total) as one:
            tasks = [one.ask(chat(f"name: perfume number {n}")) for n in range(60)]
            found = await asyncio.gather(*tasks, return_exceptions=True)
            ledger = await one.ledger()
        row = await one.row()
    paid = sum(call.paid for call in ledger)
    assert 0 < len(ledger) < 60
    assert all(isinstance(answer, LimitReached) for answer in found if not hasattr(answer, "hash"))
    assert paid <= total
    assert row.drawn == paid, "what was drawn and not spent goes back"
    assert paid > total * 0.6, "the budget is used, not merely kept"


async def test_an_attempt_that_may_have_been_charged_counts_as_spent(database: Database) -> None:
    replies = [Reply(text="x" * 50, cut=-1), Reply(text="fine")]
    async with Vendor(reply=lambda *_: replies.pop(0)) as vendor:
        async with desk(database, model(vendor.url), budget=10**9) as one:
            await one.ask()
            ledger = await one.ledger()
        row = await one.row()
    known = sum(call.paid or 0 for call in ledger)
    assert row.drawn >= known + 100 * PRICE.output // 1_000_000
