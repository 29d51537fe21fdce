"""The Excel round trip: out, edited as people do, back in, and back in again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy import select
from tests.app.desks import (
    ANN,
    BOB,
    INVENTED,
    VIEWER,
    desk,
    desk_workspace,
    finished_run,
    ids,
    states,
)
from tests.workspaces import write_sheet

from waremill.app import Workspace
from waremill.app.reviewing import ItemFilters
from waremill.app.roundtrip import RoundTrip, export_for_review, import_reviews
from waremill.errors import ConfigError, Forbidden, NotFound, SourceError
from waremill.store.runs import Run
from waremill.store.tables_people import audit

Sheet = Any


@pytest.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with desk_workspace(tmp_path, database_url) as opened:
        yield opened


@pytest.fixture
async def run(workspace: Workspace) -> Run:
    return await finished_run(workspace)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "review.xlsx"


def change(path: Path, edit: Callable[[Sheet], None]) -> None:
    """Change a workbook's sheet and save it."""
    book = openpyxl.load_workbook(path)
    edit(book.active)
    book.save(path)


def fill(path: Path, cells: Mapping[tuple[int, str], Any]) -> None:
    """Write cells by (row, heading)."""

    def edit(sheet: Sheet) -> None:
        places = {cell.value: cell.column for cell in sheet[1]}
        for (row, heading), value in cells.items():
            sheet.cell(row, places[heading]).value = value

    change(path, edit)


async def bring(workspace: Workspace, run: Run, path: Path, actor: Any = ANN) -> RoundTrip:
    return await import_reviews(workspace.acting(actor), run.name, path)


def counts(trip: RoundTrip) -> tuple[int, int, int, int]:
    return trip.accepted, trip.rejected, trip.edited, trip.unchanged


async def test_a_sheet_has_a_row_an_item_with_drop_downs_and_no_formula(
    workspace: Workspace, run: Run, path: Path
) -> None:
    written = await export_for_review(workspace.acting(VIEWER), run.name, path)
    assert written.rows == 4
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    heads = [cell.value for cell in sheet[1]]
    # The source has a column “title” too.
    assert heads == [
        "_item", "_version", "Verdict", "Reason", "Note", "copy.title", "points", "weight",
        "_target", "_status", "_findings", "sku", "name", "brand", "volume", "volume_ml", "title",
    ]  # fmt: skip
    hidden = [(one.min, one.max) for one in sheet.column_dimensions.values() if one.hidden]
    assert hidden == [(1, 2)]
    lists = {str(one.sqref): one.formula1 for one in sheet.data_validations.dataValidation}
    assert lists == {
        "C2:C5": '"accept,reject,edit"',
        "D2:D5": '"wrong-fact,invented,language,style,too-long,forbidden,other"',
    }
    first = {head: cell.value for head, cell in zip(heads, sheet[2], strict=True)}
    assert (first["copy.title"], first["points"]) == ("Eau 500 ml", "A bottle\nof 50 ml")
    assert first["_findings"] == f"title: {INVENTED.message}"
    assert (first["_status"], first["brand"]) == ("review", "House 0")
    assert not any(cell.data_type == "f" or cell.hyperlink for row in sheet for cell in row)


async def test_text_that_looks_like_a_formula_stays_text(tmp_path: Path, database_url: str) -> None:
    products = [{"sku": "P1", "name": "=cmd|' /C calc'!A0", "brand": "@x", "volume": "+1"}]
    async with desk_workspace(tmp_path, database_url, products=products) as workspace:
        run = await finished_run(workspace, title="=1+1")
        await export_for_review(workspace, run.name, tmp_path / "review.xlsx")
        sheet = openpyxl.load_workbook(tmp_path / "review.xlsx").active
        assert sheet is not None and {cell.data_type for cell in sheet[2]} <= {
            "inlineStr",
            "n",
            "s",
        }


async def test_filters_choose_what_is_exported(workspace: Workspace, run: Run, path: Path) -> None:
    filters = ItemFilters(rule="grounded-numbers")
    assert (await export_for_review(workspace, run.name, path, filters)).rows == 2
    nothing = ItemFilters(where="brand = 'nobody'")
    assert (await export_for_review(workspace, run.name, path, nothing)).rows == 0
    assert counts(await bring(workspace, run, path)) == (0, 0, 0, 0)
    with pytest.raises(ConfigError, match="xlsx"):
        await export_for_review(workspace, run.name, path.with_suffix(".csv"))


async def test_verdicts_and_edits_come_back_and_only_once(
    workspace: Workspace, run: Run, path: Path
) -> None:
    await export_for_review(workspace, run.name, path)
    fill(path, {
        (2, "Verdict"): "edit", (2, "copy.title"): "Eau 50 ml", (2, "weight"): "1.5",
        (3, "Verdict"): "Accept",
        (4, "Verdict"): "reject", (4, "Reason"): "wrong-fact", (4, "Note"): "50 ml",
    })  # fmt: skip
    trip = await bring(workspace, run, path)
    assert counts(trip) == (1, 1, 1, 1) and not trip.conflicts and not trip.problems
    assert await states(workspace, run) == ["edited", "accepted", "rejected", "ready"]
    numbers = await ids(workspace, run)
    card = await desk(workspace).card(run.name, numbers[0])
    assert (card.field("title").value, card.field("weight").value) == ("Eau 50 ml", 1.5)
    assert card.field("title").by == "Ann" and card.field("points").origin == "model"
    rejected = (await desk(workspace).card(run.name, numbers[2])).history[0]
    assert (rejected.reason, rejected.note) == ("wrong-fact", "50 ml")
    again = await bring(workspace, run, path)
    assert counts(again) == (0, 0, 0, 4) and not again.conflicts and not again.problems
    assert (await desk(workspace).card(run.name, numbers[0])).version == card.version
    # Also for somebody else, who brings the same sheet.
    assert counts(await bring(workspace, run, path, BOB)) == (0, 0, 0, 4)
    entries = select(audit.c.detail).where(audit.c.action == "run.import-reviews")
    details = await workspace.database.read(lambda conn: conn.execute(entries).scalars().all())
    assert len(details) == 1


async def test_nothing_happens_without_a_verdict(
    workspace: Workspace, run: Run, path: Path
) -> None:
    await export_for_review(workspace, run.name, path)
    fill(path, {(2, "copy.title"): "Changed", (3, "Note"): "hm"})
    trip = await bring(workspace, run, path)
    assert counts(trip) == (0, 0, 0, 3)
    (problem,) = trip.problems
    assert (problem.row, problem.key, problem.field) == (2, "P000", "copy.title")
    assert await states(workspace, run) == ["review", "ready", "review", "ready"]


async def test_accepting_a_row_whose_cells_were_changed_is_an_edit(
    workspace: Workspace, run: Run, path: Path
) -> None:
    await export_for_review(workspace, run.name, path)
    fill(path, {(3, "Verdict"): "accept", (3, "points"): "One\nTwo"})
    assert counts(await bring(workspace, run, path)) == (0, 0, 1, 3)
    card = await desk(workspace).card(run.name, (await ids(workspace, run))[1])
    assert card.field("points").value == ["One", "Two"]


async def test_a_conflict_is_told_by_field_and_never_overwrites(
    workspace: Workspace, run: Run, path: Path
) -> None:
    await export_for_review(workspace, run.name, path)
    numbers = await ids(workspace, run)
    bob = desk(workspace, BOB)
    for number in numbers[:3]:
        card = await bob.card(run.name, number)
        await bob.edit(run.name, number, card.version, {"title": "Bob's 50 ml"})
    fill(path, {
        (2, "Verdict"): "edit", (2, "copy.title"): "Ann's", (2, "points"): "Ann's point",
        (3, "Verdict"): "accept",
        (4, "Verdict"): "reject",
    })  # fmt: skip
    trip = await bring(workspace, run, path)
    assert counts(trip) == (0, 0, 1, 2)
    found = [(one.row, one.key, one.field, one.yours, one.theirs, one.who)
             for one in trip.conflicts]  # fmt: skip
    assert found == [
        (2, "P000", "copy.title", "Ann's", "Bob's 50 ml", "Bob"),
        (4, "P002", "", "reject", "edited", "Bob"),
    ]
    card = await desk(workspace).card(run.name, numbers[0])
    assert card.field("title").value == "Bob's 50 ml"
    assert card.field("points").value == ["Ann's point"]
    assert await states(workspace, run) == ["edited", "edited", "edited", "ready"]


async def test_ones_own_later_sheet_replaces_ones_earlier_verdict(
    workspace: Workspace, run: Run, path: Path
) -> None:
    await export_for_review(workspace, run.name, path)
    fill(path, {(2, "Verdict"): "edit", (2, "copy.title"): "First"})
    await bring(workspace, run, path)
    fill(path, {(2, "copy.title"): "Second"})
    assert counts(await bring(workspace, run, path)) == (0, 0, 1, 3)
    card = await desk(workspace).card(run.name, (await ids(workspace, run))[0])
    assert card.field("title").value == "Second"


async def test_an_item_another_person_took_over_copies_of_still_has_its_base(
    workspace: Workspace, run: Run, path: Path
) -> None:
    second = await finished_run(workspace)
    await export_for_review(workspace, second.name, path)
    number = (await ids(workspace, second))[1]
    ann = desk(workspace)
    await ann.edit(second.name, number, (await ann.card(second.name, number)).version,
                   {"weight": 2})  # fmt: skip
    fill(path, {(3, "Verdict"): "edit", (3, "copy.title"): "Mine"})
    trip = await bring(workspace, second, path, BOB)
    assert counts(trip) == (0, 0, 1, 3) and not trip.conflicts
    card = await ann.card(second.name, number)
    assert (card.field("title").value, card.field("weight").value) == ("Mine", 2)


async def test_rows_may_be_moved_deleted_and_stand_below_a_title(
    workspace: Workspace, run: Run, path: Path
) -> None:
    await export_for_review(workspace, run.name, path)
    fill(path, {(5, "Verdict"): "accept"})

    def shuffle(sheet: Sheet) -> None:
        sheet.delete_rows(2)
        last = [cell.value for cell in sheet[4]]
        sheet.delete_rows(4)
        sheet.insert_rows(2)
        for place, value in enumerate(last, 1):
            sheet.cell(2, place).value = value
        sheet.insert_rows(1)
        sheet.cell(1, 3).value = "Please look at these"
        sheet.insert_cols(6)
        sheet.cell(2, 6).value = "my own column"

    change(path, shuffle)
    trip = await bring(workspace, run, path)
    assert counts(trip) == (1, 0, 0, 2) and not trip.problems
    assert await states(workspace, run) == ["review", "ready", "review", "accepted"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda sheet: sheet.cell(1, 6, "heading"), "the header lacks “copy.title”"),
        (lambda sheet: sheet.delete_cols(3), "the header lacks “Verdict”"),
        (lambda sheet: sheet.delete_cols(1), "no review sheet"),
        (lambda sheet: sheet.delete_rows(1, 9), "no review sheet"),
    ],
)
async def test_a_changed_header_is_said_plainly(
    workspace: Workspace, run: Run, path: Path, edit: Callable[[Sheet], None], said: str
) -> None:
    await export_for_review(workspace, run.name, path)
    change(path, edit)
    with pytest.raises(SourceError, match=said):
        await bring(workspace, run, path)
    assert await states(workspace, run) == ["review", "ready", "review", "ready"]


async def test_a_wrong_file_is_said_plainly(workspace: Workspace, run: Run, path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        await bring(workspace, run, path)
    write_sheet(path, [{"a": 1}])
    with pytest.raises(SourceError, match="no workbook"):
        await bring(workspace, run, path)
    other = await finished_run(workspace, fresh=True)
    await export_for_review(workspace, other.name, path)
    with pytest.raises(SourceError, match=f"exported from run {other.name}"):
        await bring(workspace, run, path)
    with pytest.raises(Forbidden):
        await bring(workspace, run, path, VIEWER)
    with pytest.raises(NotFound):
        await import_reviews(workspace, "nothing", path)


async def test_rows_that_cannot_be_taken_are_told_and_the_others_are_taken(
    workspace: Workspace, run: Run, path: Path
) -> None:
    await export_for_review(workspace, run.name, path)
    fill(path, {
        (2, "Verdict"): "maybe",
        (3, "Verdict"): "reject", (3, "Reason"): "ugly",
        (4, "Verdict"): "edit", (4, "weight"): "heavy",
        (5, "Verdict"): "edit",
    })  # fmt: skip

    def more(sheet: Sheet) -> None:
        for place, cell in enumerate(list(sheet[5]), 1):
            sheet.cell(6, place).value = cell.value
        sheet.cell(7, 1).value = "broken"
        sheet.cell(7, 3).value = "accept"
        sheet.cell(8, 1).value = f"{run.name}/999999"
        sheet.cell(8, 2).value = "5.0"
        sheet.cell(8, 3).value = "accept"

    change(path, more)
    trip = await bring(workspace, run, path)
    said = {one.row: one.message for one in trip.problems}
    assert said[2] == "“maybe” is no verdict; choose accept, reject or edit"
    assert said[3].startswith("“ugly” is not a reason")
    assert "weight" in said[4]
    assert said[5] == "the verdict is edit, but no field was changed"
    assert said[6] == "it repeats row 5, which was taken"
    assert "hidden columns" in said[7]
    assert said[8] == "the run has no item 999999"
    assert counts(trip) == (0, 0, 0, 0)
    assert await states(workspace, run) == ["review", "ready", "review", "ready"]


async def test_hidden_cells_that_no_export_wrote_are_said_and_not_taken(
    workspace: Workspace, run: Run, path: Path
) -> None:
    await export_for_review(workspace, run.name, path)
    nines = "9" * 5_000
    fill(path, {
        (2, "_item"): f"{run.name}/99999999999999999999", (3, "_item"): f"{run.name}/{nines}",
        (4, "_version"): f"{nines}.{nines}", (5, "_version"): "999999999999999999.0",
        **{(row, "Verdict"): "accept" for row in range(2, 6)},
    })  # fmt: skip
    trip = await bring(workspace, run, path)
    assert [one.row for one in trip.problems] == [2, 3, 4, 5]
    assert all("hidden columns were changed" in one.message for one in trip.problems)
    assert counts(trip) == (0, 0, 0, 0)


async def test_a_version_that_is_still_to_come_is_refused(
    workspace: Workspace, run: Run, path: Path
) -> None:
    await export_for_review(workspace, run.name, path)
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    newest, count = str(sheet.cell(2, 2).value).split(".")
    fill(path, {
        (2, "_version"): f"{newest}.{int(count) + 1}", (2, "Verdict"): "accept",
        (3, "Verdict"): "accept",
    })  # fmt: skip
    trip = await bring(workspace, run, path)
    assert [(one.row, "hidden columns" in one.message) for one in trip.problems] == [(2, True)]
    assert counts(trip)[:3] == (1, 0, 0)
