"""Intervals: how sure a share, a mean, a total or a difference is, from a sample.

Pure arithmetic; it must not know products, models or gold. Intervals are of 95 %: shares by
Wilson's score, means and totals by Student's t.

Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference,
*JASA* 22, 209–212. Cochran, W. G. (1977), *Sampling Techniques*, 3rd ed., chapter 2.
McNemar, Q. (1947), *Psychometrika* 12, 153–157, in its exact form by the binomial distribution.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

Z95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval, ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rate:
    """A share: `count` of `of`. Without any case share and interval are None."""

    count: int
    of: int

    @property
    def share(self) -> float | None:
        """The share, from 0 to 1."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> Interval | None:
        """The Wilson 95 % interval of the share."""
        return wilson(self.count, self.of) if self.of else None


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of `n` numbers; `interval` is None below two numbers."""

    n: int
    mean: float
    interval: Interval | None


def wilson(count: int, of: int) -> Interval:
    """Give the Wilson score interval of a share (Wilson 1927), without continuity correction.

    Raises ValueError unless 0 ≤ count ≤ of and of > 0.
    """
    if not 0 <= count <= of or of == 0:
        raise ValueError(f"{count} of {of} is no share")
    share = count / of
    centre = (share + Z95**2 / (2 * of)) / (1 + Z95**2 / of)
    half = _wilson_half_width(share, of)
    # At the ends the formula is exact; rounding must not leave the range or the share out.
    return Interval(
        0.0 if count == 0 else max(0.0, min(share, centre - half)),
        1.0 if count == of else min(1.0, max(share, centre + half)),
    )


def _wilson_half_width(share: float, of: int) -> float:
    spread = math.sqrt(share * (1 - share) / of + Z95**2 / (4 * of**2))
    return Z95 * spread / (1 + Z95**2 / of)


def more_marks(count: int, of: int, half_width: float = 0.05) -> int:
    """Say how many more marks bring the Wilson interval to ± `half_width`.

    The share is taken to stay what it is; with no marks yet it is taken to be one half, the worst.
    """
    share = count / of if of else 0.5
    low, high = 0, 1
    while _wilson_half_width(share, high) > half_width:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if _wilson_half_width(share, middle) > half_width:
            low = middle
        else:
            high = middle
    return max(0, high - of)


def mean_interval(values: Sequence[float]) -> Mean | None:
    """Give the mean of numbers with its Student's t interval; None where there are none."""
    if not values:
        return None
    mean, n = statistics.fmean(values), len(values)
    if n < 2:
        return Mean(n, mean, None)
    half = student_t(n - 1) * statistics.stdev(values, mean) / math.sqrt(n)
    return Mean(n, mean, Interval(mean - half, mean + half))


@lru_cache(maxsize=1024)
def student_t(freedom: int) -> float:
    """Give the 97.5 % point of Student's t distribution with `freedom` degrees of freedom.

    From the finite series of Abramowitz and Stegun 26.7.3–4; above 1000 from expansion 26.7.5.
    """
    if freedom < 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    if freedom > 1000:
        return Z95 + (Z95**3 + Z95) / (4 * freedom)
    low, high = 0.0, 13.0  # with one degree it is 12.706, with more it is less
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if _central_t(middle, freedom) < 0.95 else (low, middle)
    return (low + high) / 2


def _central_t(t: float, freedom: int) -> float:
    """Give the probability that Student's t lies between −t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term = cosine if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for step in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (step - 1) / step
        total += term
    central = math.sin(angle) * total
    return 2 / math.pi * (angle + central) if odd else central


# -- cost and duration ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Projection:
    """What a full run is expected to take in all; `interval` is None below two samples."""

    total: float
    interval: Interval | None


def project(sample: Sequence[float], items: int) -> Projection:
    """Project the total over `items`, the sample's own among them, with its prediction interval.

    Simple random sampling without replacement from a finite population, with Student's t (Cochran
    1977, theorem 2.2 and eq. 2.24): what is already measured is certain, only the rest is not.
    Raises ValueError without a sample or with fewer items than samples.
    """
    n = len(sample)
    if not n or items < n:
        raise ValueError(f"{n} samples cannot stand for {items} items")
    total = items * statistics.fmean(sample)
    if items == n:
        return Projection(total, Interval(total, total))
    if n < 2:
        return Projection(total, None)
    spread = statistics.stdev(sample) * math.sqrt((1 - n / items) / n)
    half = student_t(n - 1) * items * spread
    # Neither cost nor time is negative, so the total is never below what was measured.
    return Projection(total, Interval(max(math.fsum(sample), total - half), total + half))


def project_duration(
    seconds: Sequence[float], items: int, concurrency: int, least: float = 0.0
) -> Projection:
    """Project how many seconds a run takes with `concurrency` items at once.

    `seconds` are the sample's, one an item; `least` is what rate limits alone make it take. The
    work is shared out evenly, and the last item may begin when all others end (Graham 1969).
    """
    if concurrency < 1:
        raise ValueError("the concurrency must be 1 or more")
    work = project(seconds, items)
    longest = max(seconds)

    def elapsed(total: float) -> float:
        return max(total / concurrency, longest, least)

    if work.interval is None:
        return Projection(elapsed(work.total), None)
    tail = longest * (1 - 1 / concurrency)
    high = max(work.interval.high / concurrency + tail, least)
    return Projection(elapsed(work.total), Interval(elapsed(work.interval.low), high))


# -- two versions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Versions:
    """Two versions on the same items: how often only the first or only the second was right.

    `p` is the two-sided p of McNemar's exact test: how likely a difference at least this large is
    when both are equally good.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p: float


def compare_versions(first: Sequence[bool], second: Sequence[bool]) -> Versions:
    """Compare right and wrong of two versions, item by item, by McNemar's exact test."""
    pairs = Counter(zip(map(bool, first), map(bool, second), strict=True))
    one, other = pairs[True, False], pairs[False, True]
    tail = sum(math.comb(one + other, k) for k in range(min(one, other) + 1))
    # In whole numbers: 2 ** n is no float where thousands of items differ.
    p = min(1.0, (2 * tail) / (1 << (one + other)))
    return Versions(pairs[True, True], one, other, pairs[False, False], p)


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Mean | None:
    """Give the mean of second − first, item by item, with its Student's t interval."""
    return mean_interval([b - a for a, b in zip(first, second, strict=True)])
