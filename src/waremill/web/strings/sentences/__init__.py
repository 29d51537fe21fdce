"""Sentences of the application as the console says them: in plain English, or in 中文.

The application says what is wrong in one English sentence, for a model or a person. The tables here
hold each of these sentences with places for what varies, its 中文, and, where the English speaks of
the command line, what the console says instead. A sentence is found again by its words; nothing is
raised otherwise for it. Tables are `*.tsv`: English, 中文 and perhaps the console's English, a tab
between them; a line that begins with `# ` is a remark.

In the English `{name}` stands for any text and `{name?}` for a hint or nothing; in the others
`{name}` is put in as it is, and `{name!}` is said in the language, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import PurePath
from typing import Any

from waremill import errors
from waremill.errors import UserError, WaremillError, Where
from waremill.web.strings import Language, translate, word

_PLACE = re.compile(r"\{([a-z]+\d?)([?!]?)\}")
_HINT = (", ", "; ", ": ", " (")
"""How what an optional place may hold begins."""
_ONE_WORD = frozenset("vendor status count number limit line row width least size".split())  # noqa: SIM905  # reads better
"""Places without a space in them, so that they never swallow what stands before a sentence."""
_NO_COLON = frozenset({"what", "who"})
_WHERE = re.compile(
    r"(?P<file>[^:“”\n]+?\.\w{1,8})?(?::(?P<line>\d+))?(?:(?:^|, )sheet “(?P<sheet>.+?)”)?"
    r"(?:(?:^|, )row (?P<row>\d+))?(?:(?:^|, )column “(?P<column>.+?)”)?: (?P<rest>.+)",
    re.DOTALL,
)
"""How `errors.Where` writes a place before its sentence."""
_NAMES = re.compile(r"`[^`]+`(?:, `[^`]+`)+(?: …)?")
"""Names in a row, as the application writes them."""
_HAN = re.compile(r"[\u4e00-\u9fff]")
_DEEPEST = 4
LONGEST = 2_000
"""Characters of a sentence that are looked at; longer ones are somebody else's words."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the application, and what the console says for it.

    `literals` stand around the `places`, one more than these; `english` is None where the console
    says what the application says. `weight` counts the literals' characters: of several sentences
    that fit, the one with the most is meant.
    """

    source: str
    literals: tuple[str, ...]
    places: tuple[tuple[str, bool], ...]
    chinese: str
    english: str | None
    weight: int

    def match(self, text: str) -> dict[str, str] | None:
        """Give what stands in the places of a text that is this sentence; None for another.

        Each literal counts where it comes first, so the time is linear in the text's length.
        """
        first, last = self.literals[0], self.literals[-1]
        if not text.startswith(first) or not text.endswith(last):
            return None
        if not self.places:
            return {} if text == first else None
        values: dict[str, str] = {}
        start = len(first)
        for place, (name, optional) in enumerate(self.places):
            end = self._end(text, place, start + (not optional))
            if end < start + (not optional):
                return None
            value = text[start:end]
            if optional and value and not value.startswith(_HINT):
                return None
            if (name in _ONE_WORD and " " in value) or (name in _NO_COLON and ": " in value):
                return None
            values[name] = value
            start = end + len(self.literals[place + 1])
        return values

    def _end(self, text: str, place: int, least: int) -> int:
        """Give where what stands in a place ends, at `least` or behind; -1 where it cannot."""
        following = self.literals[place + 1]
        if place + 1 == len(self.places):
            return len(text) - len(following)
        if following:
            return text.find(following, least)
        hints = [found for hint in _HINT if (found := text.find(hint, least)) >= 0]
        return min(hints, default=len(text))


@cache
def sentences() -> tuple[Sentence, ...]:
    """Give every sentence of the tables."""
    return tuple(_sentence(line) for line in _lines())


def _lines() -> Iterator[str]:
    for table in sorted(resources.files(__name__).iterdir(), key=lambda one: one.name):
        if table.name.endswith(".tsv"):
            for line in table.read_text("utf-8").split("\n"):
                if line and not line.startswith("# "):
                    yield line


def _sentence(line: str) -> Sentence:
    source, chinese, *english = line.split("\t")
    literals: list[str] = []
    places: list[tuple[str, bool]] = []
    end = 0
    for place in _PLACE.finditer(source):
        literals.append(source[end : place.start()])
        places.append((place[1], place[2] == "?"))
        end = place.end()
    literals.append(source[end:])
    return Sentence(
        source, tuple(literals), tuple(places), chinese, english[0] if english else None,
        sum(map(len, literals)),
    )  # fmt: skip


@cache
def _by_beginning() -> Mapping[str, tuple[Sentence, ...]]:
    """Give the sentences by the first character they must have; "" for those with none."""
    found: dict[str, list[Sentence]] = {}
    for one in sentences():
        found.setdefault(one.literals[0][:1], []).append(one)
    return {first: tuple(several) for first, several in found.items()}


def find(text: str) -> tuple[Sentence, Mapping[str, str]] | None:
    """Find a sentence by its words, with what stands in its places; None where it is unknown."""
    if not text or len(text) > LONGEST:
        return None
    known = _by_beginning()
    best: tuple[Sentence, Mapping[str, str]] | None = None
    for one in (*known.get(text[0], ()), *known.get("", ())):
        if best is not None and one.weight <= best[0].weight:
            continue
        values = one.match(text)
        if values is not None:
            best = one, values
    return best


@lru_cache(maxsize=8192)
def say(language: Language, text: str) -> str:
    """Say a sentence of the application in a language; one that is unknown stays as it is."""
    return _said(language, text, 0) or text


def _said(language: Language, text: str, depth: int) -> str | None:
    if depth > _DEEPEST:
        return None
    found = find(text)
    if found is None:
        return _placed(language, text, depth)
    sentence, values = found
    wanted = sentence.chinese if language == "zh" else sentence.english or sentence.source

    def fill(place: re.Match[str]) -> str:
        name, mark = place.groups()
        value = values[name]
        if language == "zh" and _NAMES.fullmatch(value):
            return value.replace("`, `", "”、“").replace("`", "“", 1).replace("`", "”")
        if mark == "!" or (language == "en" and sentence.english is None):
            value = _said(language, value, depth + 1) or value
        before, after = wanted[place.start() - 1 : place.start()], wanted[place.end() :][:1]
        return _spaced(before, value, after) if language == "zh" else value

    return _PLACE.sub(fill, wanted)


def _spaced(before: str, value: str, after: str) -> str:
    """Keep Latin letters and digits apart from Chinese characters beside them."""
    left = _HAN.match(before) and value[:1].isascii() and value[:1].isalnum()
    right = _HAN.match(after) and value[-1:].isascii() and value[-1:].isalnum()
    return f"{' ' if left else ''}{value}{' ' if right else ''}"


def _placed(language: Language, text: str, depth: int) -> str | None:
    """Say a sentence that was kept together with the place it is about."""
    match = _WHERE.fullmatch(text) if ": " in text else None
    if match is None:
        return None
    parts = match.groupdict()
    rest = parts.pop("rest")
    if not any(parts.values()):
        return None
    said = _said(language, rest, depth + 1)
    if said is None:
        return None
    numbers = {name: int(parts[name]) for name in ("line", "row") if parts[name]}
    where = Where(parts["file"], parts["sheet"], numbers.get("line"), numbers.get("row"),
                  parts["column"])  # fmt: skip
    return translate(language, "error.placed", place=say_place(language, where), message=said)


def say_place(language: Language, where: Where) -> str:
    """Say where in the user's own data something is; of a path outside, only the name."""
    file = where.file
    if file is not None and PurePath(file).is_absolute():
        file = PurePath(file).name
    names = {
        "file": file, "line": where.line, "sheet": where.sheet, "row": where.row,
        "column": where.column,
    }  # fmt: skip
    return translate(language, "error.between").join(
        translate(language, f"error.{name}", value=value if name == "file" else str(value))
        for name, value in names.items()
        if value is not None and value != ""
    )


def say_error(language: Language, error: WaremillError) -> str:
    """Say an error in a language; in 中文, one whose sentence is unknown says at least its kind."""
    said = say_kind(language, kinds_of(type(error)), error.message)
    if isinstance(error, UserError) and error.where and str(error.where):
        place = say_place(language, error.where)
        return translate(language, "error.placed", place=place, message=said)
    return said


def kinds_of(error: type[BaseException]) -> tuple[str, ...]:
    """Give the names of an error's class and of those above it, the nearest first."""
    return tuple(one.__name__ for one in error.__mro__)


@lru_cache(maxsize=256)
def kinds_above(kind: str) -> tuple[str, ...]:
    """Give an error's kind and those above it, of which only the name is known."""
    known = getattr(errors, kind, None)
    return kinds_of(known) if isinstance(known, type) else (kind, "WaremillError")


def say_kind(language: Language, kinds: tuple[str, ...], message: str) -> str:
    """Say the message of an error of which only the kinds' names are known, the nearest first."""
    if language == "en":
        return say(language, message)
    said = _said(language, message, 0)
    if said is not None:
        return said
    for kind in kinds:
        general = word(language, "error", kind)
        if general != kind:
            return general.replace("{message}", message)
    return message


def say_finding(language: Language, found: Mapping[str, Any] | Any) -> str:
    """Say a check's finding: its sentence, or else its rule's with what was objected to.

    `found` is a `Finding`, or one as it is kept: a mapping with rule, message and evidence.
    """
    if not isinstance(found, Mapping):
        found = {"rule": found.rule, "message": found.message,
                 "evidence": getattr(found, "evidence", "")}  # fmt: skip
    message = str(found.get("message") or "")
    if language == "en":
        return say(language, message)
    said = _said(language, message, 0)
    if said is not None:
        return said
    evidence = str(found.get("evidence") or "").strip()
    rule = say_rule(language, str(found.get("rule") or ""))
    return f"{rule}：{evidence or message}"


def say_rule(language: Language, rule: str) -> str:
    """Name a check in a language; one nobody named by its own name."""
    return word(language, "rule", rule)


__all__ = [
    "Sentence",
    "find",
    "kinds_above",
    "kinds_of",
    "say",
    "say_error",
    "say_finding",
    "say_kind",
    "say_place",
    "say_rule",
    "sentences",
]
