"""A knowledge base's passages as a file: what is in it, in which order, and when there is none."""

from __future__ import annotations

import csv
from pathlib import Path

import orjson
import pytest
from tests.app.test_knowing import (
    SAM,
    VERA,
    embedding_server,
    folder,
    opened,
    workspace,
    write,
)

from waremill.app import Workspace, knowing
from waremill.app.knowing import AddOptions
from waremill.domain import Search
from waremill.errors import ConfigError, NotFound

__all__ = ["embedding_server", "folder", "opened", "workspace"]


async def test_a_file_has_every_passage_in_its_documents_order(
    workspace: Workspace, tmp_path: Path
) -> None:
    parts = "\n\n".join(f"## 第{n}节\n\n第{n}种香水有{n}毫升。" for n in range(12))
    folder = write(tmp_path / "documents", {
        "b.md": f"# 说明书\n\n{parts}",
        "a.txt": "Parcels take four days.",
        "sub/twice.txt": "Parcels take four days.",
    })  # fmt: skip
    await knowing.add_documents(workspace, "help", [str(folder)], AddOptions({"brand": "雅"}))
    place = tmp_path / "out" / "passages.jsonl"
    written = await knowing.export_base(workspace, "help", place)
    rows = [orjson.loads(line) for line in place.read_bytes().splitlines()]
    base = await knowing.show_base(workspace, "help")
    assert written.rows == len(rows) == base.passages == 13
    assert base.repeats == 1  # what repeats another passage is not found, and not written
    assert [one["document"] for one in rows] == ["a.txt"] + ["b.md"] * 12
    assert [one["headings"] for one in rows[1:]] == [["说明书", f"第{n}节"] for n in range(12)]
    assert rows[4]["text"] == "第3种香水有3毫升。"
    assert rows[4]["metadata"]["brand"] == "雅" and rows[4]["page"] is None
    found = await workspace.search(Search("help", "第3种香水有3毫升", 1))
    assert found[0].id == rows[4]["passage"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "xlsx", "parquet"])
async def test_tables_have_the_same_rows(
    workspace: Workspace, folder: Path, tmp_path: Path, suffix: str
) -> None:
    await knowing.add_documents(workspace, "help", [str(folder)])
    place = tmp_path / f"passages.{suffix}"
    written = await knowing.export_base(workspace, "help", place)
    assert (written.rows, list(written.notes)) == (3, [])
    if suffix == "csv":
        with place.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [one["document"] for one in rows] == ["care.md", "remote.md", "sub/warranty.txt"]
        assert rows[1]["headings"] == "Remote"
        assert orjson.loads(rows[1]["metadata"]) == {"language": "en"}


async def test_without_a_right_name_or_suffix_nothing_is_written(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    await knowing.add_documents(workspace, "help", [str(folder)])
    place = tmp_path / "out" / "passages.pdf"
    with pytest.raises(ConfigError, match="“\\.pdf” files cannot be written"):
        await knowing.export_base(workspace, "help", place)
    with pytest.raises(NotFound, match=r"no knowledge base “halp”.*help"):
        await knowing.export_base(workspace, "halp", place.with_suffix(".csv"))
    assert not place.parent.exists()


async def test_viewers_of_the_team_export_and_nobody_else(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    await knowing.add_documents(workspace, "help", [str(folder)])
    sam, vera = workspace.acting(SAM), workspace.acting(VERA)
    assert (await knowing.export_base(vera, "help", tmp_path / "her.csv")).rows == 3
    with pytest.raises(NotFound):
        await knowing.export_base(sam, "help", tmp_path / "his.csv")
    assert not (tmp_path / "his.csv").exists()
