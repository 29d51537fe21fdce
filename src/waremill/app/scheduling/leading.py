"""The scheduler: of all servers over a database one leads, looks at the clock and fires slots.

Nothing here is remembered: schedules, slots and who leads stand in the database, so that a leader
may die at any moment. What it fires is worked by processes of their own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from waremill.app.scheduling.firing import Firing, tell_stopped
from waremill.app.scheduling.schedules import SlotView, slot_view
from waremill.app.working import owner_is_dead, owner_name
from waremill.errors import Conflict, WaremillError
from waremill.runs.schedule import Due, look, parse_cron
from waremill.store import runs as store_runs
from waremill.store import schedules as store
from waremill.store.schedules import Lead, Schedule, Slot

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

LOG = logging.getLogger("waremill.schedules")
LEASE_SECONDS = 10.0
"""How long a silent leader keeps the lead; one of this machine that died loses it at once."""
TICK_SECONDS = 1.0
RENEW_SECONDS = LEASE_SECONDS / 4
WATCH_SECONDS = 0.2


class Scheduler:
    """Leads, or waits to lead, the schedules of a workspace's database."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace.waiting()
        self._database = workspace.database
        self._lead: Lead | None = None
        self._renew_at = 0.0
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def work(self) -> None:
        """Fire what is due until cancelled; a failure of the loop itself is tried again."""
        try:
            while True:
                try:
                    await self.tick()
                except (WaremillError, SQLAlchemyError) as error:
                    LOG.warning("schedules wait: %s", error)
                await asyncio.sleep(TICK_SECONDS)
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop what is under way here, and let somebody else lead at once."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._lead is not None:
            lead, self._lead = self._lead, None
            try:
                await self._database.write(store.leave_lead, lead)
            except (WaremillError, SQLAlchemyError) as error:
                LOG.warning("the lead ends with its lease: %s", error)

    async def tick(self, only: Slot | None = None) -> None:
        """Look at the clock once: fire what is due, and take every live slot a step further.

        With `only` the clock is left to those who stay, and that slot alone goes on.
        """
        if not await self._database.read(store.is_wanted):
            return
        lead = await self._leading()
        if lead is None:
            return
        if only is None and await self._database.read(_anything_due):
            await self._database.write(_fire, lead)
        for slot in await self._database.read(store.live_slots):
            if slot.id not in self._tasks and (only is None or slot.id == only.id):
                self._tasks[slot.id] = asyncio.create_task(self._advance(lead, slot))

    async def fire_now(self, slot: Slot) -> SlotView:
        """Lead, or watch who leads, until a slot has brought its run, or what else came of it.

        Other slots are left alone: this process ends before their runs would have begun.
        """
        try:
            while True:
                await self.tick(slot)
                seen = await slot_view(self._workspace, slot.id)
                begun = seen.run is not None and seen.run.state != "planning"
                if not seen.slot.live or (begun and slot.id not in self._tasks):
                    return seen
                await asyncio.sleep(WATCH_SECONDS)
        finally:
            await self.close()

    async def _leading(self) -> Lead | None:
        """Take the lead or keep it; None while somebody else has it."""
        if self._lead is not None and time.monotonic() < self._renew_at:
            return self._lead
        held, self._lead = self._lead, None
        if held is None:
            other = await self._database.read(store.leader)
            if other is not None and not owner_is_dead(other):
                return None  # a look takes no lock
        self._renew_at = time.monotonic() + RENEW_SECONDS
        self._lead = await self._database.write(
            store.take_lead, owner_name(), LEASE_SECONDS, owner_is_dead
        )
        if self._lead is not None and held is None:
            LOG.info("this process leads the schedules")
        return self._lead

    async def _advance(self, lead: Lead, slot: Slot) -> None:
        """Take a slot further; a lead that was lost meanwhile ends it without a trace."""
        try:
            schedule = await self._database.read(store.get_schedule, slot.schedule_id)
            now = await self._database.read(store.find_slot, slot.id)
            if now.live:
                await Firing(self._workspace, lead, schedule, now).advance()
        except Conflict as error:
            LOG.info("a slot is left to others: %s", error)
        except (WaremillError, SQLAlchemyError) as error:
            LOG.warning("a slot waits: %s", error)
        finally:
            del self._tasks[slot.id]


def _anything_due(conn: Connection) -> bool:
    now = store_runs.clock(conn)
    return any(_due(one, now).next_at != one.next_at for one in store.active_schedules(conn))


def _due(schedule: Schedule, now: float) -> Due:
    assert schedule.next_at is not None, "it is active"
    cron = parse_cron(schedule.cron, schedule.timezone)
    return look(cron, schedule.next_at, now, "once" if schedule.catch_up == "once" else "none")


def _fire(conn: Connection, lead: Lead) -> None:
    """Write down what the clock brought, each slot once; in the leader's transaction."""
    store.hold(conn, lead)
    now = store_runs.clock(conn)
    for schedule in store.active_schedules(conn):
        due = _due(schedule, now)
        if due.next_at == schedule.next_at:
            continue
        store.set_schedule(conn, schedule.id, next_at=due.next_at)
        add: Callable[..., Slot | None] = partial(store.insert_slot, conn, schedule)
        if due.missed and not due.late and due.last_missed is not None:
            add(due.last_missed, store.MISSED, missed=due.missed, reason=_missed(due.missed))
        if due.slot is not None:
            state, reason = _overlap(conn, schedule)
            cause = "late" if due.late else "cron"
            missed = due.missed if due.late else 0
            slot = add(due.slot, state, reason=reason, cause=cause, missed=missed)
            if slot is not None and state == store.SKIPPED and reason is not None:
                tell_stopped(conn, schedule, slot, state, reason)


def _overlap(conn: Connection, schedule: Schedule) -> tuple[str, str | None]:
    """Say in which state a slot begins: at once, behind an earlier one, or not at all."""
    before = store.live_slots(conn, schedule.id)
    if not before:
        return store.DUE, None
    if schedule.overlap == "skip":
        return store.SKIPPED, "the schedule's earlier run is not over yet"
    if any(one.state == store.QUEUED for one in before):
        return store.SKIPPED, "another slot waits for the earlier run already"
    return store.QUEUED, "it waits for the schedule's earlier run"


def _missed(count: int) -> str:
    if count == 1:
        return "no server ran the schedules at that moment"
    return f"no server ran the schedules at {count} moments, the last of them this one"


__all__ = ["LEASE_SECONDS", "TICK_SECONDS", "Scheduler"]
