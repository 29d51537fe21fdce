"""Documents are cut along headings, tables and sentences, each piece with its place."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from waremill.knowledge.document import SECTION_KINDS, Document, Section, SectionKind
from waremill.knowledge.loading import load
from waremill.knowledge.splitting import split
from waremill.providers.tokens import approximate


def document(*sections: Section) -> Document:
    return Document("a.md", "A", "text/markdown", sections)


def test_a_piece_never_crosses_a_heading() -> None:
    pieces = split(
        document(
            Section(("A",), "One."), Section(("A",), "Two."), Section(("A", "B"), "Three."),
            Section(("A",), "Four."),
        )
    )  # fmt: skip
    assert [(one.headings, one.text) for one in pieces] == [
        (("A",), "One.\n\nTwo."), (("A", "B"), "Three."), (("A",), "Four."),
    ]  # fmt: skip
    assert [one.position for one in pieces] == [0, 1, 2]


def test_a_table_that_is_cut_repeats_its_header() -> None:
    rows = [f"| part {n} | {n} kg of steel and some more words |" for n in range(60)]
    table = "\n".join(["| Part | Weight |", "| --- | --- |", *rows])
    pieces = split(document(Section(("Parts",), table, 3, "table")), 120)
    assert len(pieces) > 3
    assert all(one.text.startswith("| Part | Weight |\n| --- | --- |\n| part") for one in pieces)
    assert all(one.page == 3 for one in pieces)
    given_rows = [line for one in pieces for line in one.text.split("\n")[2:]]
    assert given_rows == rows


def test_a_list_is_cut_between_items_and_keeps_what_belongs_to_one() -> None:
    items = [f"- item {n}\n  with a second line that says a little more" for n in range(30)]
    pieces = split(document(Section((), "\n".join(items), None, "list")), 64)
    assert len(pieces) > 3
    assert all(one.text.startswith("- item") for one in pieces)
    assert "\n".join(one.text for one in pieces) == "\n".join(items)


def test_long_text_is_cut_at_sentences_that_both_sides_share() -> None:
    sentences = [f"Sentence number {n} says that the valve {n} must be closed." for n in range(60)]
    pieces = split(document(Section((), " ".join(sentences))), 100, 25)
    assert all(one.tokens <= 100 for one in pieces)
    assert all(one.text.endswith(".") for one in pieces)
    for one, after in pairwise(pieces):
        first = after.text.split(". ")[0]
        assert first in one.text


def test_chinese_is_cut_at_its_own_full_stops() -> None:
    text = "".join(f"第{n}条规定，收到商品后可以退货。" for n in range(60))
    pieces = split(document(Section((), text)), 80, 0)
    assert len(pieces) > 5
    assert all(one.text.endswith("。") for one in pieces)
    assert "".join(one.text for one in pieces) == text


def test_a_word_without_end_is_cut_all_the_same() -> None:
    pieces = split(document(Section((), "x" * 20_000)), 100, 0)
    assert max(one.tokens for one in pieces) <= 101
    assert "".join(one.text for one in pieces) == "x" * 20_000


blocks = st.lists(
    st.tuples(
        st.sampled_from([("A",), ("A", "B"), ()]),
        st.text(st.sampled_from("ab 。. \n中|-,"), min_size=1, max_size=400),
        st.sampled_from(SECTION_KINDS),
    ),
    max_size=8,
)


@given(blocks, st.integers(16, 80))
def test_nothing_is_lost_and_no_piece_is_much_too_long(
    given_blocks: list[tuple[tuple[str, ...], str, SectionKind]], most: int
) -> None:
    sections = [Section(path, text, None, kind) for path, text, kind in given_blocks]
    pieces = split(document(*sections), most, 0)
    said = "".join(one.text for one in pieces)
    assert {c for s in sections for c in s.text if c.isalnum()} <= set(said)
    assert all(one.tokens <= most * 2 for one in pieces)
    assert all(one.text.strip() for one in pieces)


def test_the_real_manual_is_cut_by_its_sections(shared_data: Path) -> None:
    path = shared_data / "knowledge-and-questions" / "emanual_tv" / "manual.md"
    pieces = split(load(path.read_bytes(), "manual.md"))
    assert all(one.tokens == approximate(one.text) <= 321 for one in pieces)
    assert any(one.headings == ("Running Bixby",) for one in pieces)
