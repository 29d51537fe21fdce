"""What to do about an error, and when a run stops itself."""

from __future__ import annotations

import pickle

import pytest

from waremill.domain import Finding
from waremill.errors import (
    AccessDenied,
    ConfigError,
    Conflict,
    LimitReached,
    OutputInvalid,
    RateLimited,
    Refused,
    Rejected,
    TemplateError,
    Unavailable,
)
from waremill.runs.decide import Decision, Fail, Pause, Retry, Review, decide
from waremill.runs.stop import StopRules

FINDING = Finding("title", "contract", "error", "too long")


@pytest.mark.parametrize(
    ("error", "attempt", "decision"),
    [
        (RateLimited("slow", retry_after=3.0), 1, Retry(2.0)),
        (Unavailable("down"), 2, Retry(4.0)),
        (Unavailable("down"), 3, Fail()),
        (Refused("no"), 1, Review()),
        (OutputInvalid("bad", findings=(FINDING,)), 1, Review()),
        (Rejected("bad request", status=400), 1, Fail()),
        (AccessDenied("wrong key", status=401), 1, Pause("access denied")),
        (LimitReached("no money", limit="budget"), 1, Pause("budget")),
        (Conflict("taken"), 1, Pause("taken over")),
        (ConfigError("other models"), 1, Pause("configuration")),
        (TemplateError("`name` is missing"), 1, Fail()),
        (ZeroDivisionError("ours"), 1, Fail(ours=True)),
    ],
)
def test_errors_are_decided_by_what_we_do_about_them(
    error: Exception, attempt: int, decision: Decision
) -> None:
    assert decide(error, attempt) == decision
    again = pickle.loads(pickle.dumps(error))
    assert decide(again, attempt) == decision


def test_a_share_of_failures_stops_a_run_once_enough_were_seen() -> None:
    rules = StopRules(0.2)
    assert all(rules.failed(Unavailable("down")) is None for _ in range(29))
    limit = rules.failed(Unavailable("down"))
    assert limit is not None
    assert limit.limit == "error rate"
    assert "down" in str(limit)


def test_a_few_failures_among_many_successes_stop_nothing() -> None:
    rules = StopRules(0.2)
    for number in range(500):
        if number % 6:
            rules.succeeded()
        else:
            assert rules.failed(Unavailable("down")) is None


def test_only_recent_items_count() -> None:
    rules = StopRules(0.2)
    for _ in range(1000):
        rules.succeeded()
    found = [rules.failed(Unavailable("down")) for _ in range(25)]
    assert found[19] is None
    assert found[20] is not None


def test_the_same_rejection_five_times_running_stops_a_run() -> None:
    rules = StopRules(0.9)
    for _ in range(4):
        assert rules.failed(Rejected("unknown parameter", status=400)) is None
    limit = rules.failed(Rejected("unknown parameter", status=400))
    assert limit is not None
    assert limit.limit == "rejections"


def test_a_request_id_in_the_message_does_not_make_it_another_rejection() -> None:
    rules = StopRules(0.9)
    said = [
        rules.failed(Rejected(f"unknown field, request req-8f3a91c0{n:04}", status=400))
        for n in range(5)
    ]
    assert said[:4] == [None] * 4
    assert said[4] is not None


def test_different_rejections_or_a_success_between_stop_nothing() -> None:
    rules = StopRules(1.0)
    for number in range(20):
        assert rules.failed(Rejected(f"text {number} is too long", status=400)) is None
    for _ in range(6):
        for _ in range(4):
            assert rules.failed(Rejected("unknown parameter", status=400)) is None
        rules.succeeded()
