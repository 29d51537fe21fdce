"""Documents made to harm: none stops the process, fills its memory, or brings what cannot be kept.

What is hostile to a parser of a format of its own is in `test_loading_documents`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import orjson
import pytest

from waremill.catalog.readers.shapes import Limits
from waremill.errors import SourceError
from waremill.knowledge.document import LONGEST_HEADING
from waremill.knowledge.loading import Isolation, load

LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
)


@pytest.fixture(scope="module")
def isolation() -> Iterator[Isolation]:
    with closing(Isolation()) as own:
        yield own


def note(front: str) -> bytes:
    return f"---\n{front}\n---\n# Care\n\nWash cold.\n".encode()


@pytest.mark.parametrize(
    ("front", "line"),
    [
        (LAUGHS, 3),
        ("a: &a [*a]", 2),
        ("a: " + "[" * 3_000 + "]" * 3_000, 2),
        (f"a: {'9' * 5_000}", 2),
    ],
    ids=["laughs", "itself", "deep", "number"],
)
def test_front_matter_that_is_more_than_it_looks_like_is_refused(
    front: str, line: int, isolation: Isolation
) -> None:
    with pytest.raises(SourceError, match="is no YAML of plain NAME: VALUE lines") as caught:
        load(note(front), "a.md", isolation=isolation)
    assert caught.value.where is not None
    assert caught.value.where.line == line


def test_values_no_database_keeps_are_text_that_one_does(isolation: Isolation) -> None:
    front = 'when: 2027-02-30\ncount: 123456789012345678901234567890\ntitle: "a\\0\\uD800"\nn: .nan'
    found = load(note(front), "a.md", isolation=isolation)
    assert found.metadata == {
        "when": "2027-02-30", "count": "123456789012345678901234567890", "n": None,
    }  # fmt: skip
    assert found.title == "a\ufffd\ufffd"
    orjson.dumps(dict(found.metadata))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comments.md", b"<!--" * 200_000),
        ("scripts.md", b"x <script " * 50_000),
        ("pictures.md", b"![" * 200_000),
        ("stars.md", b"# " + b"*a " * 100_000),
        ("marks.txt", ("a" + "\u0315\u0300" * 100_000).encode()),
    ],
)
def test_text_that_takes_hours_ends_with_its_child_and_holds_up_nobody(
    name: str, content: bytes
) -> None:
    begun = time.monotonic()
    with (
        closing(Isolation(Limits(memory=2 << 30, seconds=1))) as hasty,
        pytest.raises(SourceError, match="took longer than 1 seconds"),
    ):
        load(content, name, isolation=hasty)
    assert time.monotonic() - begun < 8


def test_a_heading_of_a_megabyte_is_not_kept_with_every_passage(isolation: Isolation) -> None:
    heading = "very " * 200_000
    text = f"---\ntitle: {heading}\n---\n# {heading}\n\n" + "\n\n".join("one two three" * 9)
    found = load(text.encode(), "a.md", isolation=isolation)
    assert len(found.title) == LONGEST_HEADING
    assert {len(one.headings[0]) for one in found.sections} == {LONGEST_HEADING}
