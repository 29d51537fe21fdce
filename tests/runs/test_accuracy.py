"""Accuracy: comparisons with gold, and intervals that agree with published values."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waremill.rules.schema import Attribute, Value
from waremill.runs.accuracy import (
    Judgement,
    Marked,
    accuracy,
    exact,
    is_absent,
    judge,
    normalised,
    numeric,
    retrieval,
    token_f1,
)
from waremill.runs.intervals import (
    Rate,
    compare_versions,
    mean_interval,
    more_marks,
    paired_difference,
    project,
    project_duration,
    student_t,
    wilson,
)

# -- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [  # Newcombe (1998), Statistics in Medicine 17, 857–872, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_published_intervals(count: int, of: int, low: float, high: float) -> None:
    interval = wilson(count, of)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_within_0_and_1_and_mirrors(case: tuple[int, int]) -> None:
    count, of = case
    interval, mirror = wilson(count, of), wilson(of - count, of)
    assert 0 <= interval.low <= count / of <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirror.high, abs=1e-12)


def test_wilson_covers_the_true_share_about_95_times_in_100() -> None:
    chance = random.Random(3)
    covered = 0
    for _ in range(2000):
        interval = wilson(sum(chance.random() < 0.9 for _ in range(50)), 50)
        covered += interval.low <= 0.9 <= interval.high
    assert 0.93 < covered / 2000 < 0.98


@pytest.mark.parametrize(("count", "of"), [(1, 0), (0, 0), (-1, 5), (6, 5)])
def test_an_impossible_share_is_an_error(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(count, of)
    assert Rate(0, 0).share is None
    assert Rate(0, 0).interval is None


@given(st.integers(0, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_more_marks_reach_five_points_and_one_fewer_does_not(case: tuple[int, int]) -> None:
    count, of = case
    more = more_marks(count, of)

    def half(n: int) -> float:
        share = count / of if of else 0.5
        z = 1.959963984540054
        return z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))

    assert half(of + more) <= 0.05
    if more:
        assert of + more == 1 or half(of + more - 1) > 0.05


def test_marks_needed_at_one_half_are_the_textbooks() -> None:
    assert more_marks(0, 0) == 381  # z² · ¼ / 0.05² − z² = 384.1 − 3.8
    assert more_marks(18, 20) == 121


@pytest.mark.parametrize(
    ("freedom", "value"),
    [  # Student's t, 97.5 %: NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2
        (1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (19, 2.093),
        (30, 2.042), (99, 1.984), (100, 1.984), (1000, 1.962), (1001, 1.962), (10**9, 1.960),
    ],
)  # fmt: skip
def test_students_t_is_the_tables(freedom: int, value: float) -> None:
    assert student_t(freedom) == pytest.approx(value, abs=6e-4)


def test_students_t_falls_and_meets_its_expansion_smoothly() -> None:
    values = [student_t(n) for n in range(1, 1100)]
    assert all(a > b for a, b in itertools.pairwise(values))
    assert values[999] - values[1000] < 1e-5


def test_a_mean_of_one_has_no_interval_and_of_none_is_none() -> None:
    assert mean_interval([]) is None
    one = mean_interval([5.0])
    assert one is not None
    assert (one.mean, one.interval) == (5.0, None)
    same = mean_interval([2.0] * 10)
    assert same is not None and same.interval is not None
    assert same.interval.low == same.interval.high == 2.0


def test_a_means_interval_by_hand() -> None:
    # Mean 3, standard deviation √2.5, t(4) = 2.776: 3 ± 2.776 · √(2.5 / 5)
    found = mean_interval([1, 2, 3, 4, 5])
    assert found is not None and found.interval is not None
    assert found.interval.high == pytest.approx(3 + 2.776445 * math.sqrt(0.5), abs=1e-5)


# -- projections ---------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30), st.integers(0, 10_000))
def test_a_projection_holds_its_total_and_never_less_than_was_measured(
    sample: list[float], more: int
) -> None:
    found = project(sample, len(sample) + more)
    assert found.interval is not None
    slack = 1e-9 * (1 + found.total)
    assert found.interval.low <= found.total + slack
    assert found.total <= found.interval.high + slack
    assert found.interval.low >= sum(sample) - slack
    if not more:
        assert found.interval.low == found.interval.high


def test_the_prediction_interval_covers_the_full_runs_total_about_95_times_in_100() -> None:
    chance = random.Random(5)
    covered = 0
    for _ in range(600):
        population = [chance.gauss(10, 3) for _ in range(200)]
        interval = project(chance.sample(population, 20), 200).interval
        assert interval is not None
        covered += interval.low <= sum(population) <= interval.high
    assert 0.92 < covered / 600 < 0.98


def test_a_sample_of_one_projects_without_interval_and_none_is_an_error() -> None:
    assert project([2.0], 50).interval is None
    assert project([2.0], 50).total == 100
    with pytest.raises(ValueError, match="cannot stand for"):
        project([], 50)
    with pytest.raises(ValueError, match="cannot stand for"):
        project([1.0, 2.0], 1)


def test_duration_is_work_shared_out_but_no_less_than_the_limits_allow() -> None:
    seconds = [1.0, 2.0, 3.0, 2.0]
    found = project_duration(seconds, 1000, 10)
    assert found.total == pytest.approx(200)
    assert found.interval is not None
    assert found.interval.low < 200 < found.interval.high
    assert project_duration(seconds, 1000, 10_000).total == 3.0
    limited = project_duration(seconds, 1000, 10, least=600)
    assert limited.interval is not None
    assert limited.total == limited.interval.low == limited.interval.high == 600


# -- two versions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [
        (1, 7, 0.0703),  # Fagerland et al. (2013), BMC Med Res Methodol 13:91, airway example
        (0, 6, 2 / 64),
        (2, 12, 2 * (1 + 14 + 91) / 2**14),
        (0, 0, 1.0),
        (5, 5, 1.0),
    ],
)
def test_mcnemars_exact_test_gives_published_values(one: int, other: int, p: float) -> None:
    first = [True] * 9 + [True] * one + [False] * other + [False] * 4
    second = [True] * 9 + [False] * one + [True] * other + [False] * 4
    found = compare_versions(first, second)
    assert (found.both, found.only_first, found.only_second, found.neither) == (9, one, other, 4)
    assert found.p == pytest.approx(p, abs=5e-5)
    assert compare_versions(second, first).p == found.p


def test_thousands_of_pairs_do_not_overflow() -> None:
    assert compare_versions([True] * 5000, [False] * 5000).p == 0.0
    with pytest.raises(ValueError, match="zip"):
        compare_versions([True], [])


def test_paired_differences_are_second_minus_first() -> None:
    found = paired_difference([1, 2, 3], [2, 4, 6])
    assert found is not None
    assert found.mean == pytest.approx(statistics.fmean([1, 2, 3]))


# -- comparisons ---------------------------------------------------------------------------------

CONCENTRATION = Attribute(
    "concentration",
    values=(
        Value("Eau de Parfum", {"zh": "浓香水"}, ("EDP", "eau de perfume")),
        Value("Eau de Toilette", {"zh": "淡香水"}, ("EDT",)),
    ),
)


@pytest.mark.parametrize(
    ("generated", "gold", "same"),
    [
        ("Rose, Oud!", "rose oud", True),
        ("ＣＨＡＮＥＬ　Ｎｏ．５", "Chanel No 5", True),
        ("  eau-de-parfum ", "Eau de Parfum", True),
        ("50 ml", "50ML", True),
        ("1.7 fl oz", "50 ml", True),
        ("0.5 L", "500 ml", True),
        ("50 ml", "55 ml", False),
        ("50 ml", "50 g", False),
        ("1,5", "1.5", True),
        ("15", "1.5", False),
        (50, "50", True),
        (50.0, 50, True),
        ("-5", "5", False),
        ("straße", "STRASSE", True),
        ("50 ml bottle", "50 ml", False),
        (True, 1, False),
        ("true", True, True),
        ("香水。", "香水", True),
        ("No. 5", "No. 19", False),
    ],
)
def test_normalised_ignores_writing_and_nothing_else(generated: Any, gold: Any, same: bool) -> None:
    assert normalised()(generated, gold) is same
    assert normalised()(gold, generated) is same


def test_normalised_knows_a_closed_values_spellings_and_the_attributes_unit() -> None:
    same = normalised(CONCENTRATION)
    assert same("edp", "浓香水")
    assert same("Eau de perfume", "Eau de Parfum")
    assert not same("EDT", "EDP")
    volume = normalised(Attribute("volume", type="number", unit="ml"))
    assert volume("0.05 l", 50)
    assert volume(1.7, 1.7)
    assert not volume(1.7, "1.7 fl oz")
    assert normalised(Attribute("pieces", type="number", unit="zorks"))("5.0", 5)


def test_numeric_holds_its_tolerance() -> None:
    assert numeric(0.1)(95, 100)
    assert not numeric(0.1)(89, 100)
    assert numeric(0, 0.5)("3.5", 3)
    assert not numeric()("about 5", 5)
    assert not numeric()(True, 1)


def test_exact_is_equal_as_written() -> None:
    assert exact("a", "a")
    assert exact(5, 5.0)
    assert not exact("a", "A")
    assert not exact(True, 1)


@pytest.mark.parametrize(
    ("generated", "gold", "f1"),
    [
        ("The quick, brown fox", "a quick fox", 0.8),  # 2 of 3 and 2 of 2
        ("rose rose", "rose", 2 / 3),
        ("玫瑰香水", "玫瑰", 2 / 3),
        ("oud", "rose", 0.0),
        ("", "n/a", 1.0),
        ("oud", None, 0.0),
        (["red rose", "oud"], "rose", 0.5),
    ],
)
def test_token_f1_is_squads(generated: Any, gold: Any, f1: float) -> None:
    assert token_f1(generated, gold) == pytest.approx(f1)


_value = st.one_of(st.text(max_size=8), st.integers(), st.none(), st.lists(st.text(max_size=5)))


@given(_value, _value)
def test_comparisons_are_symmetric_and_hold_for_a_value_with_itself(one: Any, other: Any) -> None:
    assert token_f1(one, other) == pytest.approx(token_f1(other, one))
    assert token_f1(one, one) == 1.0
    assert normalised()(one, one)
    assert judge(one, one, normalised()) in ("correct", "absent")
    assert 0 <= token_f1(one, other) <= 1


@pytest.mark.parametrize("value", [None, "", " ", "n/a", "N/A", "null", [], ["n/a", None]])
def test_gold_says_absent_in_several_ways(value: Any) -> None:
    assert is_absent(value)
    assert not is_absent("none")
    assert not is_absent(0)
    assert not is_absent(False)


# -- extraction ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generated", "gold", "judgement"),
    [
        ("Rose", "rose", "correct"),
        ("oud", "rose", "wrong"),
        (None, "rose", "missed"),
        ("oud", "n/a", "invented"),
        ([], "n/a", "absent"),
        (["Oud", "rose"], ["rose", "oud"], "correct"),
        (["rose"], ["rose", "oud"], "wrong"),
        ("rose", ["rose"], "correct"),
    ],
)
def test_each_value_is_judged_in_one_of_five_ways(
    generated: Any, gold: Any, judgement: Judgement
) -> None:
    assert judge(generated, gold, normalised()) == judgement


def test_a_list_is_counted_as_a_set() -> None:
    counts = retrieval(["Rose", "rose", "musk"], ["rose", "oud", "amber"], normalised())
    assert (counts.right, counts.given, counts.wanted) == (1, 2, 3)
    assert counts.precision == 1 / 2
    assert counts.recall == 1 / 3
    assert counts.f1 == pytest.approx(0.4)


def test_accuracy_by_field_and_in_all() -> None:
    marked = [
        Marked("brand", "Chanel", "CHANEL"),
        Marked("brand", "Dior", "Dior"),
        Marked("brand", "Gucci", "Prada"),
        Marked("brand", None, "Prada"),
        Marked("scent", "rose", "n/a"),
        Marked("scent", None, "n/a"),
        Marked("scent", "n/a", ""),
        Marked("scent", ["rose", "oud"], ["rose"]),
    ]
    (brand, scent), overall = accuracy(marked)
    assert (brand.field, scent.field, overall.field) == ("brand", "scent", "")
    assert (brand.right, brand.exact) == (Rate(2, 4), Rate(1, 4))
    assert (brand.missed, brand.invented) == (Rate(1, 4), Rate(0, 0))
    assert brand.values.precision == pytest.approx(2 / 3)
    assert brand.values.recall == pytest.approx(2 / 4)
    assert (scent.right, scent.invented, scent.missed) == (Rate(2, 4), Rate(1, 3), Rate(0, 1))
    assert (scent.values.given, scent.values.wanted, scent.values.right) == (3, 1, 1)
    assert overall.right == Rate(4, 8)
    assert overall.values.f1 == pytest.approx(2 * 3 / (6 + 5))
    assert scent.token_f1 is not None
    assert scent.token_f1.mean == pytest.approx(2 / 3)
    assert brand.more_marks == more_marks(2, 4)


def test_accuracy_of_nothing_says_nothing() -> None:
    fields, overall = accuracy([])
    assert fields == []
    assert overall.right.share is None
    assert overall.values.f1 is None
    assert overall.token_f1 is None


def test_each_field_may_have_its_own_comparison() -> None:
    (volume,), _ = accuracy([Marked("volume", 52, "50 ml")], {"volume": numeric(0.05, unit="ml")})
    assert volume.right == Rate(1, 1)
