"""Self-consistency: several answers to one prompt, and what most of them say, field by field.

    - generate: {template: attributes, samples: 5, vote: majority, agreement: agreed, least: 0.6}

How answers are counted, after Wang et al. 2022, “Self-Consistency Improves Chain of Thought
Reasoning in Language Models”:

- numbers, truth values and closed or short values: the one that most answers give; 50, 50.0 and
  “50” are one value, and so are texts that differ in case or white space;
- lists: the entries that more than half of the answers have, in their usual order; where that
  leaves too few, the whole list that is most like the others;
- objects: property by property;
- texts: the one that is most like all others (the medoid), by the words they share.

Agreement is from 0 to 1: the share of answers behind a value, or how alike the chosen one and the
others are. Ties go to the earlier answer, so that a replay decides the same. Nothing here asks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from waremill.domain import Finding
from waremill.errors import ConfigError, Where
from waremill.pipeline import StepSettings
from waremill.rules.matching import fold
from waremill.templates import Field, parse_number
from waremill.templates.examples import character_grams

MOST_SAMPLES = 20
SHORT = 60
"""Characters up to which a text counts as a value that can be given twice."""
SETTINGS = ("samples", "vote", "agreement", "least")
RULE = "agreement"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a step asks several times: `samples` answers a prompt; the share of agreement goes into
    the field `agreement`, and below `least` it is a finding.
    """

    samples: int = 1
    agreement: str | None = None
    least: float | None = None


ONCE = Sampling()


def sampling_of(step: StepSettings, fields: Sequence[str]) -> Sampling:
    """Read a step's settings about samples; raise ConfigError for what they cannot be."""
    where = Where(step.file or None, line=step.line)
    written = step.settings.get("samples", "1")
    if not str(written).isdecimal() or not 1 <= int(written) <= MOST_SAMPLES:
        raise ConfigError(
            f"samples must be a whole number from 1 to {MOST_SAMPLES}, not “{written}”", where
        )
    if (vote := step.settings.get("vote", "majority")) != "majority":
        raise ConfigError(f"vote can only be majority, not “{vote}”", where)
    samples = int(written)
    others = [name for name in SETTINGS[1:] if name in step.settings]
    if samples == 1 and others:
        raise ConfigError(f"{others[0]} needs samples above 1, such as samples: 5", where)
    name = step.settings.get("agreement")
    if name is not None and (not str(name).isidentifier() or name in fields):
        raise ConfigError(f"agreement must name a field of its own, not “{name}”", where)
    least = step.settings.get("least")
    if least is not None:
        share = parse_number(str(least))
        if share is None or not 0 < share <= 1:
            raise ConfigError(f"least must be above 0 and at most 1, not “{least}”", where)
        return Sampling(samples, name, float(share))
    return Sampling(samples, name)


@dataclass(frozen=True, slots=True)
class Vote:
    """What most answers say, and by field how much they agree."""

    values: dict[str, Any]
    agreement: dict[str, float]

    @property
    def share(self) -> float:
        """The agreement of the field they agree on least."""
        return round(min(self.agreement.values(), default=0.0), 3)


def vote(answers: Sequence[Mapping[str, Any]], fields: Mapping[str, Field]) -> Vote:
    """Count answers that keep one contract; a field that an answer lacks is no vote on it."""
    names = [name for name in fields if any(name in one for one in answers)]
    values: dict[str, Any] = {}
    agreement: dict[str, float] = {}
    for name in names:
        given = [one[name] for one in answers if name in one]
        values[name], share = _chosen(given, fields[name])
        agreement[name] = round(share * len(given) / len(answers), 3)
    return Vote(values, agreement)


def doubt(counted: Vote, sampling: Sampling) -> Finding | None:
    """Give a finding where the answers agree less than a step demands."""
    if sampling.least is None or counted.share >= sampling.least:
        return None
    name = min(counted.agreement, key=counted.agreement.__getitem__, default="")
    message = (
        f"the answers agree to {counted.share:.0%} only, below {sampling.least:.0%}; look at it"
    )
    return Finding(name, RULE, "error", message)


def _chosen(given: Sequence[Any], field: Field) -> tuple[Any, float]:
    present = [one for one in given if one is not None]
    if len(present) * 2 <= len(given):  # most leave it open
        return _most(given, _mark)
    if field.type == "array":
        return _list(present, field)
    if field.type == "object":
        return _object(present, field)
    if field.type != "string" or field.choices:
        return _most(given, _mark)
    if all(len(str(one)) <= SHORT for one in present):
        value, share = _most(given, _mark)
        if share > 0.5:
            return value, share
    return _medoid(present, lambda one: frozenset(character_grams(str(one))))


def _most(given: Sequence[Any], mark: Callable[[Any], Any]) -> tuple[Any, float]:
    marks = [mark(one) for one in given]
    counted = Counter(marks)
    best = max(counted.values())
    place = next(i for i, one in enumerate(marks) if counted[one] == best)
    return given[place], best / len(given)


def _mark(value: Any) -> Any:
    """Give what two values that mean the same have in common."""
    if value is None or isinstance(value, bool):
        return value
    number = parse_number(str(value)) if isinstance(value, (int, float, str)) else None
    if number is not None:
        return float(number)
    if isinstance(value, str):
        return re.sub(r"[\s.,;:!]+", " ", fold(value)).strip()
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)


def _list(given: Sequence[Sequence[Any]], field: Field) -> tuple[list[Any], float]:
    places: dict[Any, list[int]] = {}
    first: dict[Any, Any] = {}
    for entries in given:
        for place, mark in enumerate(dict.fromkeys(map(_mark, entries))):
            places.setdefault(mark, []).append(place)
        for one in entries:
            first.setdefault(_mark(one), one)
    kept = [mark for mark, where in places.items() if len(where) * 2 > len(given)]
    if field.max_items is not None and len(kept) > field.max_items:
        kept = sorted(kept, key=lambda mark: -len(places[mark]))[: field.max_items]
    kept.sort(key=lambda mark: sum(places[mark]) / len(places[mark]))
    if len(kept) < max(field.min_items or 0, 1) and any(given):
        chosen, share = _medoid(given, lambda one: frozenset(map(_mark, one)))
        if share == 0.0:  # no two have an entry in common: prose
            chosen, share = _medoid(
                given, lambda one: frozenset(character_grams(" ".join(map(str, one))))
            )
        return list(chosen), share
    behind = [len(places[mark]) / len(given) for mark in kept]
    return [first[mark] for mark in kept], sum(behind) / len(behind) if behind else 1.0


def _object(given: Sequence[Mapping[str, Any]], field: Field) -> tuple[dict[str, Any], float]:
    inner = {one.name: one for one in field.properties}
    found = vote(given, inner)
    return found.values, found.share


def _medoid(given: Sequence[Any], parts: Callable[[Any], frozenset[Any]]) -> tuple[Any, float]:
    """Choose what is most like all others; likeness is Jaccard's of the parts."""
    if len(given) == 1:
        return given[0], 1.0
    split = [parts(one) for one in given]

    def likeness(place: int) -> float:
        mine = split[place]
        others = [one for i, one in enumerate(split) if i != place]
        return sum(len(mine & one) / (len(mine | one) or 1) for one in others) / len(others)

    scores = [round(likeness(place), 6) for place in range(len(given))]
    best = max(range(len(given)), key=lambda place: (scores[place], -place))
    return given[best], scores[best]
