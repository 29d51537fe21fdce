"""Acceptance sampling: the least sample that proves a promise."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waremill.errors import ConfigError
from waremill.review.sampling import draw, passes, percent, plan, statement


def test_an_endless_lot_needs_299_for_95_percent_and_1_percent() -> None:
    assert plan(None) == 299
    assert plan(None, 0.99, 0.01) == 459
    assert plan(None, 0.9, 0.05) == 45
    # Tables of sampling by attributes, binomial: one bad one allowed.
    assert plan(None, 0.95, 0.01, allowed=1) == 473
    assert plan(None, 0.95, 0.05, allowed=2) == 124


def test_a_large_lot_comes_close_to_an_endless_one() -> None:
    # Without replacement a little less is enough, and 1.0001 % are the least that break 1 %.
    assert plan(1_000_000) == 298
    assert 280 < plan(4_318) < 298


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (20, 19), (50, 48), (99, 95), (100, 78)])
def test_a_small_lot_is_nearly_looked_through(size: int, expected: int) -> None:
    # Below 100 one bad item breaks the promise and must be drawn with 95 %: n/N ≥ 0.95. Of 100 it
    # takes two, both of which 78 drawn ones miss with 22/100 · 21/99 < 5 %.
    assert plan(size) == expected


def test_where_as_many_are_allowed_as_break_the_promise_the_whole_lot_is_looked_at() -> None:
    assert plan(50, 0.95, 0.01, allowed=1) == 50


def test_the_chance_to_pass_is_what_counting_all_samples_gives() -> None:
    lot = [True] * 3 + [False] * 7
    samples = list(combinations(range(10), 4))
    for allowed in range(4):
        passed = sum(sum(lot[i] for i in one) <= allowed for one in samples)
        assert passes(10, 3, 4, allowed) == Fraction(passed, len(samples))


@given(
    st.integers(1, 3_000), st.sampled_from([0.8, 0.9, 0.95, 0.99]),
    st.sampled_from([0.001, 0.01, 0.05, 0.2]), st.integers(0, 3),
)  # fmt: skip
def test_the_plan_proves_the_promise_and_no_smaller_sample_does(
    size: int, confidence: float, most_bad: float, allowed: int
) -> None:
    n = plan(size, confidence, most_bad, allowed)
    worst = int(size * Fraction(str(most_bad))) + 1
    risk = 1 - Fraction(str(confidence))
    assert 1 <= n <= size
    if n < size:
        assert passes(size, worst, n, allowed) <= risk
    if n > 1 and allowed < worst <= size:
        assert passes(size, worst, n - 1, allowed) > risk


def test_lots_that_keep_the_promise_by_a_wide_margin_do_pass() -> None:
    # Drawn at random from a lot with 2 % bad, the plan for 1 % fails it nearly always.
    size, bad, rng = 2_000, 40, random.Random(7)
    n = plan(size)
    failed = sum(min(rng.sample(range(size), n)) < bad for _ in range(200))
    assert failed >= 190


def test_the_same_seed_draws_the_same_sample() -> None:
    ids = list(range(100, 400))
    assert draw(ids, 20, 5) == draw(ids, 20, 5) != draw(ids, 20, 6)
    assert len(set(draw(ids, 300, 1))) == 300


@pytest.mark.parametrize(
    ("size", "confidence", "most_bad", "allowed"),
    [(0, 0.95, 0.01, 0), (9, 1.0, 0.01, 0), (9, 0.2, 0.01, 0), (9, 0.95, 0.0, 0),
     (9, 0.95, 1.0, 0), (9, 0.95, 0.01, -1)],
)  # fmt: skip
def test_numbers_that_make_no_plan_are_refused(
    size: int, confidence: float, most_bad: float, allowed: int
) -> None:
    with pytest.raises(ConfigError):
        plan(size, confidence, most_bad, allowed)


def test_the_record_says_what_was_shown() -> None:
    assert statement(299, 0, 0.95, 0.01, 0) == "0 of 299 bad, 95 % sure of ≤ 1 % bad"
    assert statement(299, 2, 0.95, 0.01, 0) == "2 of 299 bad, more than the 0 allowed"
    assert percent(0.001) == "0.1 %"
