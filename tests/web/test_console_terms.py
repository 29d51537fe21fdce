"""One word for one thing: the console's 中文 keeps to its list of terms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from waremill import web
from waremill.web.strings import all_texts
from waremill.web.strings.sentences import sentences
from waremill.web.strings.terms import TERMS, Term

OTHERWISE = {
    "review.lot_about", "outcome.rejected", "budget: {why}", "team: {why}",
    "per must be target, product or group, not “{value}”",
    "as a JPEG only {share} of the background stays {value} within {count} steps of 255, at least "
    "{wanted} must; use a higher quality",
    "the picture is grainy: noise of {value} steps of 255, at most {most} is allowed",
    "the file is {what}, not a catalogue: {hint}",
    "the share of bad items must lie between 0 % and 100 %",
    "from 0 to 1,000 bad items may be allowed in the sample",
    "{vendor} did not accept a connection at {host} in time",
    "nothing that matches waits for a verdict, so there is no lot to sample",
    "the database has schema {version} and this program knows {own}; update waremill",
    "no file in schemas/ describes the category `{name}`{rest?}",
    "no file in schemas/ describes the category “{name}”{rest?}",
    "no schema describes the parent “{name}”{rest?}",
    "tools is a list of names, such as [calculator, catalogue]",
    "this is not a database URL: write dialect://user@host/database?table=NAME",
}  # fmt: skip
"""Texts whose English has the word in another meaning, or whose 中文 says it without one."""
HOWTO = Path(web.__file__).parents[3] / "docs" / "how-to" / "console-zh.md"


def said() -> Iterator[tuple[str, str, str]]:
    """Give what the console says: a key, the English, the 中文."""
    for key, (english, chinese) in all_texts().items():
        yield key, english, chinese
    for one in sentences():
        yield one.source, one.source, one.chinese


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_a_thing_is_called_by_its_term_and_by_no_other(term: Term) -> None:
    wrong = []
    for key, english, chinese in said():
        wrong += [f"{key}: {chinese} has {word}" for word in term.never if word in chinese]
        written = re.sub(r"\{[^{}]*\}|`[^`]*`", "", english)
        speaks = term.english and re.search(term.english, written, re.IGNORECASE)
        if speaks and key not in OTHERWISE and not re.search(term.chinese, chinese):
            wrong.append(f"{key}: {english} is said as {chinese}, without {term.chinese}")
    assert wrong == []


def test_the_exceptions_are_still_there() -> None:
    keys = {key for key, _, _ in said()}
    assert keys >= OTHERWISE


def test_the_how_to_keeps_to_the_terms() -> None:
    text = HOWTO.read_text(encoding="utf-8")
    assert [word for term in TERMS for word in term.never if word in text] == []


def test_terms_do_not_contradict_each_other() -> None:
    for term in TERMS:
        for other in TERMS:
            clash = [word for word in term.never if re.fullmatch(other.chinese, word)]
            assert not clash, (term.name, other.name)
