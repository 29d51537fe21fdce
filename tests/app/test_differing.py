"""Differences by lines: the same as by hand, and never long in coming."""

from __future__ import annotations

import random
import time

import pytest

from waremill.app.differing import DiffLine, diff_lines

LARGEST = 256 * 1024


def rebuilt(lines: tuple[DiffLine, ...], left_out: str) -> list[str]:
    """Give one side of a difference: all lines but those marked with `left_out`."""
    return [one.text for one in lines if one.mark != left_out]


def test_a_difference_gives_both_texts_back() -> None:
    chance = random.Random(7)
    for _ in range(300):
        old, new = ([chance.choice("abc") for _ in range(chance.randrange(12))] for _ in "01")
        lines = diff_lines("\n".join(old), "\n".join(new), around=99)
        if old == new:
            assert lines == ()
            continue
        assert (rebuilt(lines, "+"), rebuilt(lines, "-")) == (old, new)
        assert [one.old for one in lines if one.old] == list(range(1, len(old) + 1))
        assert [one.new for one in lines if one.new] == list(range(1, len(new) + 1))


def test_changes_far_from_each_other_are_shown_apart() -> None:
    old = "".join(f"{n}\n" for n in range(100))
    new = old.replace("\n20\n", "\ntwenty\n").replace("\n80\n", "\n80\n80½\n")
    shown = [f"{one.mark}{one.text}" for one in diff_lines(old, new, around=1)]
    assert shown == ["…", " 19", "-20", "+twenty", " 21", "…", " 80", "+80½", " 81", "…"]


def test_more_than_two_thousand_differing_lines_are_one_replaced_block() -> None:
    old = "same\n" + "".join(f"old {n}\nkept\n" for n in range(1000)) + "end\n"
    new = "same\n" + "".join(f"new {n}\nkept\n" for n in range(1000)) + "end\n"
    lines = diff_lines(old, new)
    assert [one.mark for one in lines] == [" ", *"-" * 1999, *"+" * 1999, " ", " "]
    assert (lines[0].text, lines[-1].text) == ("same", "end")
    assert (lines[-1].old, lines[-1].new) == (2002, 2002)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\n" * (LARGEST // 2), "b\n" + "a\n" * (LARGEST // 2 - 2)),
        ("a\nb\n" * (LARGEST // 4), "b\na\n" * (LARGEST // 4)),
        ("".join(f"a\no{n}\n" for n in range(499)), "".join(f"a\nn{n}\n" for n in range(499))),
        ("z\n" + "a\n" * 900, "a\n" * 900 + "y\n"),
    ],
    ids=["one-line-more", "all-turned", "often-the-same", "moved"],
)
def test_no_texts_take_long(old: str, new: str) -> None:
    began = time.thread_time()  # of this thread: other tests leave threads that still work
    lines = diff_lines(old, new)
    took = time.thread_time() - began
    assert lines
    began = time.thread_time()
    alone = [DiffLine(one.mark, one.text, one.old, one.new) for one in lines]
    # A process that holds much collects garbage slowly, whoever makes so many lines.
    assert took < 1.5 + 8 * (time.thread_time() - began)
    assert len(alone) == len(lines)
