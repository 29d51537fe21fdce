"""A run's FAQ by category: what says the same is one entry, what stayed open is one list."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.vendor import Reply, Vendor
from tests.workspaces import PRICE, make_workspace, write_sheet

from waremill.app import Workspace, knowing, open_workspace
from waremill.app.editing import Editor
from waremill.app.exemplars import assembled
from waremill.app.faqs import Entry, Open, gather
from waremill.app.faqs.meaning import meaning_of
from waremill.app.faqs.merging import KEYS, Place, entry_of, open_of
from waremill.app.faqs.writing import write_faq
from waremill.app.previewing import item_for, preview
from waremill.app.prompting import show
from waremill.errors import ConfigError
from waremill.store.entries import Entries, Said

PIPELINE = """\
name: questions
targets: [en-US, de-DE]
steps:
  - faq: {questions: questions/shoppers.csv, knowledge: guide, facts: [name], most: 3}
"""
QUESTIONS = """\
question,key,category,count
How long is the warranty of the inverter?,,Inverters,9
Can it be used in heavy rain?,,Inverters,4
How long is the warranty of the inverter,A1,,2
Where is the red button placed?,A1,,3
Where is the red button placed?,B1,,5
"""
GUIDE = """\
# Warranty

The warranty of every inverter lasts two years.

# Button

The red button is placed below the handle.
"""
NEW = [{"sku": "A4", "name": "Python", "category": "Inverters"}]
PRODUCTS = [
    {"sku": "A1", "name": "Cobra", "category": "Inverters"},
    {"sku": "A2", "name": "Viper", "category": "Inverters"},
    {"sku": "A3", "name": "Adder", "category": "inverters"},
    {"sku": "B1", "name": "Drill", "category": "Tools"},
]


def answer(request: dict[str, Any], _path: str) -> Reply:
    """Know the warranty, worded anew for each product, and the red button; nothing of rain."""
    said = "\n".join(str(one["content"]) for one in request["messages"])
    asked = said.rpartition("Question: ")[2]
    reply: dict[str, Any] = {"question": "", "known": False, "answer": "", "sources": []}
    sources = [
        number
        for number in range(1, 5)
        if f"[{number}]" in said
        and ("Warranty" if "warranty" in asked else "Button")
        in said.partition(f"[{number}]")[2].partition("\n")[0]
    ]
    if "warranty" in asked:
        german = "in German" in said
        text = "The warranty of every inverter lasts two years."
        if "Viper" in said:
            text = "Yes, the warranty of every inverter lasts two years!"
        reply |= {"known": True, "answer": text, "sources": sources,
                  "question": "Wie lange gilt die Garantie?" if german else ""}  # fmt: skip
    elif "button" in asked:
        reply |= {"known": True, "answer": "Below the handle.", "sources": sources}
    return Reply(text=orjson.dumps(reply).decode())


@asynccontextmanager
async def shop(folder: Path, database: str | None = None) -> AsyncIterator[tuple[Workspace, str]]:
    """A workspace whose FAQ was made for four products of two categories, with its run."""
    async with Vendor(reply=answer) as vendor:
        root = make_workspace(
            folder / "shop", vendor.url, database=database, model=PRICE,
            files={"pipelines/questions.yaml": PIPELINE, "questions/shoppers.csv": QUESTIONS,
                   "guide.md": GUIDE},
        )  # fmt: skip
        async with open_workspace(root) as workspace:
            sheet = write_sheet(root / "products.csv", PRODUCTS)
            await workspace.import_catalog([sheet], key="sku")
            await knowing.add_documents(workspace, "guide", [str(root / "guide.md")])
            status = await workspace.run("questions")
            assert (status.state, status.failed) == ("done", 0)
            yield workspace, status.run


async def gathered(workspace: Workspace, run: str, kind: Any) -> list[Any]:
    with await gather(workspace, run, kind) as faq:
        found: list[Any] = await faq.first(100)
        assert len(found) == faq.total
        return found


async def test_what_says_the_same_for_a_category_is_one_entry_a_target(
    tmp_path: Path, database_url: str
) -> None:
    async with shop(tmp_path, database_url) as (workspace, run):
        found = await gathered(workspace, run, Entry)
        shown = [(one.target, one.category, one.scope, one.answer, one.keys) for one in found]
        warranty = "The warranty of every inverter lasts two years."
        assert shown == [
            ("de-DE", "Inverters", "category", warranty, ("A1", "A2", "A3")),
            ("de-DE", "Inverters", "product", "Below the handle.", ("A1",)),
            ("de-DE", "Tools", "product", "Below the handle.", ("B1",)),
            ("en-US", "Inverters", "category", warranty, ("A1", "A2", "A3")),
            ("en-US", "Inverters", "product", "Below the handle.", ("A1",)),
            ("en-US", "Tools", "product", "Below the handle.", ("B1",)),
        ]
        assert [one.question for one in found[:1]] == ["Wie lange gilt die Garantie?"]
        assert [(one["place"], one["id"] != "") for one in found[0].sources] == [
            ("guide › Warranty", True)
        ]
        assert (found[0].products, found[0].of, found[0].language) == (3, 3, "de")


async def test_open_questions_are_one_list_with_products_counts_and_reasons(
    tmp_path: Path, database_url: str
) -> None:
    async with shop(tmp_path, database_url) as (workspace, run):
        found = await gathered(workspace, run, Open)
        assert [(one.target, one.question, one.products, one.of) for one in found] == [
            ("de-DE", "Can it be used in heavy rain?", 3, 3),
            ("en-US", "Can it be used in heavy rain?", 3, 3),
        ]
        assert (found[0].keys, found[0].asked) == (("A1", "A2", "A3"), 4)
        assert found[0].reasons == {"not known": 3}


async def test_rejected_items_do_not_count_and_accepted_ones_may_alone(tmp_path: Path) -> None:
    async with shop(tmp_path) as (workspace, run):
        await workspace.accept(run, "_key = 'A2' AND _target = 'en-US'")
        with await gather(workspace, run, Entry, accepted=True) as faq:
            found = await faq.first(10)
        assert [(one.scope, one.keys, one.of) for one in found] == [("product", ("A2",), 1)]


async def test_a_file_has_a_row_an_entry_or_a_row_a_product(tmp_path: Path) -> None:
    async with shop(tmp_path) as (workspace, run):
        with await gather(workspace, run, Entry) as faq:
            wide, long = tmp_path / "faq.csv", tmp_path / "faq-long.csv"
            assert (await write_faq(faq, wide)).rows == 6
            assert (await write_faq(faq, long, long=True)).rows == 10
        rows = list(csv.DictReader(wide.open(encoding="utf-8-sig")))
        assert (rows[0]["category"], rows[0]["keys"]) == ("Inverters", "A1, A2, A3")
        assert rows[0]["sources"] == "guide › Warranty"
        told = list(csv.DictReader(long.open(encoding="utf-8-sig")))
        assert [(one["entry"], one["key"]) for one in told[:4]] == [
            ("1", "A1"), ("1", "A2"), ("1", "A3"), ("2", "A1"),
        ]  # fmt: skip


async def test_a_pipeline_that_asks_no_questions_is_refused(tmp_path: Path) -> None:
    async with Vendor() as vendor:
        root = make_workspace(tmp_path / "shop", vendor.url)
        async with open_workspace(root) as workspace:
            sheet = write_sheet(root / "products.csv", PRODUCTS)
            await workspace.import_catalog([sheet], key="sku")
            status = await workspace.run("copy")
            with pytest.raises(ConfigError, match="has no step faq"):
                await gather(workspace, status.run, Entry)


async def test_a_fact_that_no_product_has_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    wrong = PIPELINE.replace("facts: [name]", "facts: [nmae, weight]")
    root = make_workspace(
        tmp_path / "shop", "http://127.0.0.1:9/v1",
        files={"pipelines/questions.yaml": wrong, "questions/shoppers.csv": QUESTIONS,
               "guide.md": GUIDE},
    )  # fmt: skip
    async with open_workspace(root) as workspace:
        sheet = write_sheet(root / "products.csv", PRODUCTS)
        await workspace.import_catalog([sheet], key="sku")
        await knowing.add_documents(workspace, "guide", [str(root / "guide.md")])
        with pytest.raises(ConfigError, match="unknown field `nmae`, did you mean `name`") as said:
            await workspace.run("questions")
        assert said.value.where is not None and said.value.where.line == 4
        problems = await Editor(workspace).lint("pipelines/questions.yaml", wrong)
        assert [(one.severity, one.line) for one in problems] == [("error", 4)] * 2
        assert problems[1].message == "faq: unknown field `weight`"
        # What this catalogue lacks altogether another may have.
        lacking = PIPELINE.replace("facts: [name]", "facts: [name, weight]")
        (root / "pipelines" / "questions.yaml").write_text(lacking, encoding="utf-8")
        assert (await workspace.estimate("questions")).items == 8


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The warranty lasts two years.", "Yes, the warranty lasts two years!"),
        ("It has ２ outlets", "It has 2 outlets."),
        ("保修期为两年。", "保修期为两年"),
        ("Das Gerät hat zwei Jahre Garantie.", "Gerät hat zwei Jahre Garantie"),
    ],
)
def test_answers_that_differ_in_nothing_that_counts_mean_the_same(one: str, other: str) -> None:
    assert meaning_of(one)[0] == meaning_of(other)[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is dishwasher safe.", "It is not dishwasher safe."),
        ("It lasts 8 hours.", "It lasts 18 hours."),
        ("It is waterproof.", "It is watertight."),
        ("Charge before use.", "Use before charge."),
        ("可以水洗", "不可以水洗"),
        ("Yes.", "No."),
    ],
)
def test_answers_that_are_only_alike_stay_apart(one: str, other: str) -> None:
    assert meaning_of(one)[0] != meaning_of(other)[0]


def test_a_short_answer_says_nothing_without_its_question() -> None:
    assert not meaning_of("No, never.")[1]
    assert meaning_of("The warranty of the inverter lasts two years.")[1]


PLACE = Place("faq", "en-US", "en", "Inverters", 3)


def test_the_most_frequent_wording_stands_for_all_and_others_are_kept() -> None:
    with Entries() as entries:
        texts = ["Is there a warranty?", "Any warranty?", "Is there a warranty?"]
        entries.add(
            Said(0, n, f"P{n}", "w", "w", text, "Two years.", b"1", True, '[{"id":"a"}]')
            for n, text in enumerate(texts)
        )
        entries.arrange()
        entries.settle()
        (group,) = entries.groups([0])
        made = entry_of(PLACE, entries.lines(group))
    assert (made.question, made.also_asked) == ("Is there a warranty?", ("Any warranty?",))
    assert (made.scope, made.products) == ("category", 3)


def test_topics_that_were_joined_are_one_open_question_and_its_own_are_added_up() -> None:
    with Entries() as entries:
        entries.add(
            Said(0, n, f"P{n}", topic, topic, topic, more="not known", times=3, own=True)
            for n, topic in enumerate(("sockets", "outlets", "outlets", "colour"))
        )
        entries.arrange()
        assert entries.topics(0, 10)[0] == ("outlets", "outlets", 2)
        entries.join(0, {"sockets": "outlets"})
        entries.settle()
        made = [open_of(PLACE, entries.lines(one)) for one in entries.groups([0])]
        assert entries.count() == 2
    assert [(one.question, one.products, one.asked) for one in made] == [
        ("outlets", 3, 9), ("colour", 1, 3),
    ]  # fmt: skip


def test_keys_are_bounded_and_products_are_counted_once() -> None:
    with Entries() as entries:
        entries.add(
            Said(0, n // 2, f"P{n // 2}", "w", "w", "w", "Two years.", b"1", True, "[]")
            for n in range(2 * KEYS + 20)
        )
        entries.arrange()
        entries.settle()
        (group,) = entries.groups([0])
        made = entry_of(PLACE, entries.lines(group))
    assert (made.products, len(made.keys), made.scope) == (KEYS + 10, KEYS, "products")


def test_nothing_is_left_on_disk() -> None:
    entries = Entries()
    place = entries.path
    assert place.exists()
    entries.close()
    assert not place.exists()


async def test_an_estimate_and_a_preview_have_every_question(tmp_path: Path) -> None:
    async with shop(tmp_path) as (workspace, _):
        await workspace.import_catalog([write_sheet(tmp_path / "new.csv", NEW)], key="sku")
        found = await workspace.estimate("questions", where="_key = 'A4'")
        (step,) = found.steps
        assert (found.items, found.calls, step.answered) == (2, 4, 0)  # two questions, two targets
        known = await workspace.estimate("questions", where="_key = 'A1'")
        assert (known.calls, known.steps[0].answered) == (0, 6)
        assembly = await assembled(workspace, "questions")
        catalog = await workspace.find_catalog(None)
        item = await item_for(workspace, assembly, catalog, "A1", "de-DE")
        shown = await preview(workspace, assembly, item, {})
        asked = [part.messages[-1][1].rpartition("Question: ")[2][:9] for part in shown.parts]
        assert asked == ["Where is ", "How long ", "Can it be"]
        assert [part.passages[0].place for part in shown.parts[:2]] == [
            "guide › Button", "guide › Warranty",
        ]  # fmt: skip
        assert shown.tokens == sum(part.tokens for part in shown.parts)
        prompt = await show(workspace, "questions", "A1")
        assert "── faq 3/3 · user ──" in prompt["prompt"]


async def test_the_same_run_gives_the_same_entries(tmp_path: Path) -> None:
    async with shop(tmp_path) as (workspace, run):
        one, other = await asyncio.gather(
            gathered(workspace, run, Entry), gathered(workspace, run, Entry)
        )
        assert one == other
