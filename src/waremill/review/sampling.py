"""Acceptance sampling by attributes: how many items of a lot to look at, and what that proves.

Pure arithmetic; it must not know items, people or the database.

A lot of N items is drawn from without replacement. With D bad items in it, the number of bad ones
among n drawn is hypergeometric (a “type A” operating characteristic). The plan is the least n for
which a lot that is worse than promised passes with a chance of at most 1 − confidence; the worst
case is the least D that breaks the promise, D = ⌊N·most_bad⌋ + 1. With none allowed, and in an
endless lot, that is (1 − p)ⁿ ≤ 1 − confidence, so n = ⌈ln(1 − confidence) / ln(1 − p)⌉: 299 for
95 % and 1 %.

H. F. Dodge and H. G. Romig, “A Method of Sampling Inspection”, Bell System Technical Journal 8
(1929); N. L. Squeglia, “Zero Acceptance Number Sampling Plans”; E. G. Schilling and D. V. Neubauer,
“Acceptance Sampling in Quality Control”, chapter on single sampling by attributes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from fractions import Fraction

from waremill.errors import ConfigError

_MOST_STEPS = 1 << 40
"""A sample larger than this is no plan."""


def plan(
    size: int | None, confidence: float = 0.95, most_bad: float = 0.01, allowed: int = 0
) -> int:
    """Give how many items to draw, so that `allowed` bad ones among them still prove the promise.

    The promise is “with `confidence`, at most a share `most_bad` of the lot is bad”; both are
    between 0 and 1. `size` is the lot's; None means a lot without end (binomial). Where no smaller
    sample can prove it, the whole lot is the sample. Raises ConfigError for numbers that make no
    plan.
    """
    check_promise(confidence, most_bad, allowed)
    if size is not None and size < 1:
        raise ConfigError("there is nothing to sample: the lot is empty")
    if size is None:
        return _least(lambda n: _binomial(n, most_bad, allowed) <= 1 - confidence, None)
    risk = 1 - Fraction(str(confidence))
    worst = min(size, math.floor(size * Fraction(str(most_bad))) + 1)
    if allowed >= worst:
        return size
    return _least(lambda n: passes(size, worst, n, allowed) <= risk, size)


def check_promise(confidence: float, most_bad: float, allowed: int) -> None:
    """Raise ConfigError, one sentence, unless the numbers promise something."""
    if not 0.5 <= confidence < 1:
        raise ConfigError("the confidence must be at least 50 % and below 100 %")
    if not 0 < most_bad < 1:
        raise ConfigError("the share of bad items must lie between 0 % and 100 %")
    if not 0 <= allowed <= 1000:
        raise ConfigError("from 0 to 1,000 bad items may be allowed in the sample")


def passes(size: int, bad: int, drawn: int, allowed: int) -> Fraction:
    """Give the chance that a lot with so many bad items passes: at most `allowed` are drawn.

    Exact, in whole numbers. The distribution is the same with `bad` and `drawn` exchanged, so the
    smaller one sets the size of the numbers.
    """
    few, many = sorted((bad, drawn))
    total = math.comb(size, few)
    found = sum(
        math.comb(many, k) * math.comb(size - many, few - k) for k in range(min(allowed, few) + 1)
    )
    return Fraction(found, total)


def _binomial(drawn: int, share: float, allowed: int) -> float:
    """Give the chance of at most `allowed` bad ones among so many of an endless lot."""
    if allowed >= drawn:
        return 1.0
    logs = [
        math.lgamma(drawn + 1) - math.lgamma(k + 1) - math.lgamma(drawn - k + 1)
        + k * math.log(share) + (drawn - k) * math.log1p(-share)
        for k in range(allowed + 1)
    ]  # fmt: skip
    return math.fsum(map(math.exp, logs))


def _least(proves: Callable[[int], bool], size: int | None) -> int:
    """Find the least sample that proves the promise: a larger one always does too."""
    low, high = 0, 1
    while not proves(high):
        low, high = high, high * 2
        if size is not None and high >= size:
            high = size
            break
        if high > _MOST_STEPS:
            raise ConfigError("no sample can prove this; ask for less confidence or a larger share")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high


def draw(ids: Sequence[int], count: int, seed: int) -> list[int]:
    """Draw so many ids at random without replacement; the same seed draws the same ones."""
    return sorted(random.Random(seed).sample(ids, count))


def statement(looked: int, bad: int, confidence: float, most_bad: float, allowed: int) -> str:
    """Say what a sample shows, as it stands in the record.

    `0 of 299 bad, 95 % sure of ≤ 1 % bad`; where more are bad than allowed it proves nothing.
    """
    said = f"{bad:,} of {looked:,} bad"
    if bad > allowed:
        return f"{said}, more than the {allowed:,} allowed"
    return f"{said}, {percent(confidence)} sure of ≤ {percent(most_bad)} bad"


def percent(share: float) -> str:
    """Write a share as percent: `95 %`, `0.1 %`."""
    return f"{share * 100:.6g} %"
