"""Reasoning stays out of what is made in every mode of asking; first tokens are timed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.vendor import Vendor
from tests.workspaces import (
    PRICE,
    make_workspace,
    perfumes,
    rows_of,
    vendor_process,
    write_sheet,
)
from tests.workspaces import waremill_here as waremill

import waremill as package
from waremill.app import generating
from waremill.store.tables import answers, outcomes, results

TEMPLATE = """\
name: thought
instruction: You write product copy in English.
reasoning: full
input:
  - name: {required: true}
output:
  title: {type: string, max_chars: 60}
"""
THOUGHT = "The name says it all, so the title is the name."


def thinking(request: dict[str, Any], _path: str) -> dict[str, Any]:
    """A reply with its reasoning first."""
    return {"rationale": THOUGHT, "title": "A good title"}


@pytest.mark.parametrize("mode", ["schema", "tool", "object", "text"])
async def test_the_reasoning_is_kept_with_the_answer_alone(tmp_path: Path, mode: str) -> None:
    async with Vendor(reply=thinking) as vendor:
        folder = make_workspace(
            tmp_path / "shop", vendor.url, model=f'{PRICE}\nstructured = "{mode}"',
            files={"templates/thought.yaml": TEMPLATE},
        )  # fmt: skip
        sheet = write_sheet(folder / "perfumes.csv", perfumes(2))
        async with package.open(folder) as workspace:
            await workspace.import_catalog([sheet], key="sku")
            status = await workspace.run("thought", output=folder / "out.csv")
            assert status.done == 2
            report = await workspace.report(status.run, folder / "report.html")
            said = await workspace.database.read(
                lambda conn: conn.execute(select(answers.c.text)).scalars().all()
            )
            made = await workspace.database.read(
                lambda conn: conn.execute(select(results.c["values"])).scalars().all()
            )
    assert all(THOUGHT in text for text in said)
    assert made == ['{"title":"A good title"}'] * 2
    assert {row["title"] for row in rows_of(folder / "out.csv")} == {"A good title"}
    assert THOUGHT not in (folder / "out.csv").read_text(encoding="utf-8")
    assert THOUGHT not in report.read_text(encoding="utf-8")


@pytest.fixture
def calm() -> Iterator[str]:
    """A vendor that answers everything, after a twentieth of a second."""
    with vendor_process("--latency", "0.05") as url:
        yield url


def test_the_first_token_is_timed_where_a_reply_streams(tmp_path: Path, calm: str) -> None:
    folder = make_workspace(tmp_path / "shop", calm)
    sheet = write_sheet(folder / "perfumes.csv", perfumes(2))
    assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
    assert waremill(folder, "run", "copy").code == 0

    async def work() -> list[Any]:
        async with package.open(folder) as workspace:
            pieces: list[str] = []
            await generating.generate(
                workspace, "copy", {"name": "Eau nouvelle"}, emit=pieces.append
            )
            await generating.close(workspace)
            assert len(pieces) > 1
            query = select(outcomes.c.calls, outcomes.c.streamed, outcomes.c.first_seconds)
            return list(
                await workspace.database.read(
                    lambda conn: conn.execute(query.order_by(outcomes.c.run_id)).all()
                )
            )

    run, generated = asyncio.run(work())
    assert (run.calls, run.streamed, run.first_seconds) == (2, 0, 0.0)
    assert (generated.calls, generated.streamed) == (1, 1)
    assert 0.04 < generated.first_seconds < 5.0
