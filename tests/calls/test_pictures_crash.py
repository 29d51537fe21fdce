"""Killed at any moment and started again: a picture that came in whole is paid for once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.calls import painting_process as painting
from tests.picture_servers import WebUI, colour_of, png
from tests.planned import claimed, planned

from waremill.calls import images_of
from waremill.store.assets import Assets
from waremill.store.database import Database

COUNT = 16
KILLED_AFTER = (1, 2, 5, 6, 10)
"""So many pictures were sent when the process is killed."""
SECONDS_A_PICTURE = 0.05


async def test_what_was_committed_is_never_asked_for_again(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    run = await claimed(database, await planned(database, 1))
    async with WebUI(["slow"] * 999, slow_seconds=SECONDS_A_PICTURE) as server:
        for sent in KILLED_AFTER:
            process = painting.start(database_url, run.id, server.url, tmp_path, COUNT)
            while sum(server.answered.values()) < sent:  # noqa: ASYNC110  another process asks
                await asyncio.sleep(0.005)
            painting.kill(process)
            assert not (tmp_path / "answers.json").exists()
        last = painting.start(database_url, run.id, server.url, tmp_path, COUNT)
        await asyncio.to_thread(last.join, 60)
        assert last.exitcode == 0
    texts = json.loads((tmp_path / "answers.json").read_text(encoding="utf-8"))
    assert len(server.answered) == COUNT
    repeated = sum(server.answered.values()) - COUNT
    assert repeated <= len(KILLED_AFTER) * painting.IN_FLIGHT
    assets = Assets(str(tmp_path / "files"))
    seeds = {json.loads(asked)["prompt"]: json.loads(asked)["seed"] for asked in server.answered}
    for request, text in zip(painting.requests(COUNT), texts, strict=True):
        (reference,) = images_of(text)
        assert await assets.read(reference) == png(16, 16, colour_of(str(seeds[request.prompt])))
