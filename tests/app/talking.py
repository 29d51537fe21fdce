"""A workspace to talk about: a catalogue, a knowledge base, and a model that talks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.talker import Hook, Talker
from tests.workspaces import PRICE, make_workspace, perfumes, write_sheet

from waremill.app import Workspace, chatting, generating, knowing, open_workspace
from waremill.app.chatting import Asking, Live
from waremill.chat.events import Event
from waremill.chat.turns import Turn

CARE = """\
# Care

The scent lasts eight hours on the skin.

# Returns

Opened bottles can be returned within 14 days. Sealed bottles can be returned within 60 days.
"""


@asynccontextmanager
async def shop(
    folder: Path,
    hook: Hook,
    database: str | None = None,
    model: str = PRICE,
    *,
    guide: bool = False,
) -> AsyncIterator[tuple[Workspace, Talker]]:
    """Open a workspace with ten perfumes, two of them without notes, and on request a guide."""
    async with Talker(hook) as talker:
        root = make_workspace(folder / "shop", talker.url, database=database, model=model)
        (root / "care.md").write_text(CARE, encoding="utf-8")
        rows = perfumes(10)
        for row in rows[:2]:
            row["notes"] = ""
        async with open_workspace(root, readers=2) as workspace:
            await workspace.import_catalog([write_sheet(root / "perfumes.csv", rows)], key="sku")
            if guide:
                await knowing.add_documents(workspace, "guide", [str(root / "care.md")])
            yield workspace, talker
            await chatting.close(workspace)
            await generating.close(workspace)


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds, at most ten seconds."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about in ten seconds")


async def begun(
    workspace: Workspace, message: str | None = None, **given: Any
) -> tuple[Live, list[Event]]:
    """Begin a turn; give the reply being written, and the list its events go to."""
    events: list[Event] = []
    live = await chatting.begin(workspace, Asking(message, **given), events.append)
    return live, events


async def asked(
    workspace: Workspace, message: str | None = None, **given: Any
) -> tuple[Turn, list[Event], int]:
    """Ask and wait: the turn, its events, and the conversation's number."""
    live, events = await begun(workspace, message, **given)
    return await live.ended(), events, live.conversation
