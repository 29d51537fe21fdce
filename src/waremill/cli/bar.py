"""The progress bar of a run: items, items/s, tokens, cost, ETA. On stderr."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from waremill.app import AtWork
from waremill.domain import OPEN_STATES

EVERY = 0.25
LINE_EVERY = 10.0
"""Seconds between two lines where stderr is no terminal."""


class Bar:
    """Shows a worker's progress until it is closed; silent with `quiet`."""

    def __init__(self, currency: str, per_usd: float, *, quiet: bool = False) -> None:
        self._currency = currency
        self._per_usd = per_usd
        self._quiet = quiet
        self._task: asyncio.Task[None] | None = None
        self._bar: Any = None
        self._worker: AtWork | None = None

    def start(self, worker: AtWork) -> None:
        """Follow a worker; replaces the one followed before."""
        self.close()
        self._worker = worker
        if self._quiet:
            return
        show = self._show_bar if sys.stderr.isatty() else self._show_lines
        self._task = asyncio.create_task(show(worker))

    async def _show_bar(self, worker: AtWork) -> None:
        from tqdm import tqdm

        run = worker.run
        await asyncio.sleep(0)
        self._bar = tqdm(total=run.total, unit="item", desc=run.name, dynamic_ncols=True)
        while True:
            self._update()
            await asyncio.sleep(EVERY)

    def _update(self) -> None:
        if self._worker is None or self._bar is None:
            return
        state = self._worker.progress()
        pending = sum(state["states"].get(one, 0) for one in OPEN_STATES)
        self._bar.n = self._worker.run.total - pending if state["states"] else 0
        self._bar.set_postfix_str(self._figures(state), refresh=False)
        self._bar.refresh()

    def _figures(self, state: Any) -> str:
        cost = state["paid"] / 1e9 * self._per_usd
        tokens = state["input_tokens"] + state["output_tokens"]
        money = f"{cost:.4g} {self._currency}"
        if state["made"]:
            money += f", {state['made']:,} made"
        if state["unpriced_calls"]:
            money += " + unpriced"
        if state.get("batches"):
            done, count = (
                sum(one[name] for one in state["batches"]) for name in ("done", "requests")
            )
            money += f", {len(state['batches'])} batches: {done:,} of {count:,} requests done"
        failed = state["states"].get("failed", 0)
        return f"{tokens:,} tokens, {money}" + (f", {failed} failed" if failed else "")

    async def _show_lines(self, worker: AtWork) -> None:
        while True:
            await asyncio.sleep(LINE_EVERY)
            state = worker.progress()
            total = worker.run.total
            done = total - sum(state["states"].get(one, 0) for one in OPEN_STATES)
            rate = state["items_per_second"]
            left = f"{(total - done) / rate:.0f} s left" if rate else "no item done yet"
            click.echo(
                f"{worker.run.name}: {done}/{total} items, {rate:.2f}/s, "
                f"{self._figures(state)}, {left}",
                err=True,
            )

    def close(self) -> None:
        """Draw the last state and stop."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._bar is not None:
            self._update()
            self._bar.close()
            self._bar = None
