"""Shoppers' questions: what means the same is one question, counted, in an order that repeats."""

from __future__ import annotations

from typing import Any

import numpy

from waremill.knowledge.questions import (
    Group,
    Question,
    grouped,
    nearness,
    repeated,
    without,
)


def near(*rows: tuple[float, ...]) -> Any:
    made = numpy.array(rows, dtype=numpy.float32)
    return made / numpy.linalg.norm(made, axis=1, keepdims=True)


def words(*texts: str) -> list[frozenset[str]]:
    return [frozenset(text.rstrip("?").split()) for text in texts]


def test_word_for_word_the_same_is_counted_whatever_its_case_and_mark() -> None:
    asked = [*map(Question, ("Does it fit?", "does it  fit", " ")), Question("Fit？", count=3)]
    assert repeated(asked) == [Question("Does it fit?", count=2), Question("Fit？", count=3)]


def of(*pairs: tuple[int, int, float], size: int) -> Any:
    """Nearness of each to each: 0 but for the pairs."""
    found = numpy.eye(size, dtype=numpy.float32)
    for one, other, value in pairs:
        found[one, other] = found[other, one] = value
    return found


def test_what_means_the_same_is_one_and_the_most_asked_group_comes_first() -> None:
    texts = ("how many outlets?", "what colour?", "how many outlets exactly?", "outlets in all?")
    asked = [Question(text, count=2 if n == 1 else 1) for n, text in enumerate(texts)]
    likeness = of((0, 2, 0.7), (0, 3, 0.9), (2, 3, 0.85), size=4)
    found = grouped(asked, likeness, words(*texts))
    assert [(one.count, one.places) for one in found] == [(3, (0, 2, 3)), (2, (1,))]
    assert found[0].text == "outlets in all?"


def test_meaning_alone_joins_no_questions_about_other_things_or_other_numbers() -> None:
    texts = ("how many outlets?", "how many watts?", "works on windows 8?", "works on windows 10?")
    asked = [Question(text) for text in texts]
    likeness = of((0, 1, 0.55), (2, 3, 0.95), size=4)
    told = [frozenset({"outlets"}), frozenset({"watts"}), *[frozenset({"works", "windows"})] * 2]
    assert len(grouped(asked, likeness, told)) == 4


def test_nearness_begins_where_unrelated_texts_are() -> None:
    texts = near((1, 0.6), (0.95, 0.6), (0.2, 1))
    unrelated = near((1, 2), (1, 1.9))
    found = nearness(texts, texts, unrelated)
    assert numpy.allclose(numpy.diag(found), 1.0)
    assert found[0, 1] > 0.9
    assert found[0, 2] < 0


def test_groups_do_not_depend_on_chance() -> None:
    chance = numpy.random.default_rng(3)
    rows = chance.normal(size=(200, 16)).astype(numpy.float32)
    rows[100:] = rows[:100] + 0.05 * chance.normal(size=(100, 16))
    rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)
    asked = [Question("a question?") for _ in range(200)]
    told = [frozenset({"question"})] * 200
    likeness = rows @ rows.T
    first = grouped(asked, likeness - 0.2, told)
    assert first == grouped(asked, likeness - 0.2, told)
    assert sum(one.count for one in first) == 200
    assert sorted(place for one in first for place in one.places) == list(range(200))


def test_what_was_asked_already_is_left_out() -> None:
    groups = [Group("how many outlets?", 3, (0,)), Group("is it loud?", 2, (1,))]
    taken = [Group("how many outlets has it?", 1, (0,))]
    told = [frozenset({"outlets"}), frozenset({"loud"}), frozenset({"outlets"})]
    likeness = of((0, 2, 0.7), size=3)
    assert [one.text for one in without(groups, taken, likeness, told)] == ["is it loud?"]
    assert without(groups, [], likeness, told) == groups


def test_no_questions_are_no_groups() -> None:
    assert grouped([], numpy.zeros((0, 0), dtype=numpy.float32), []) == []
