"""How right the copy is: values compared with gold, by field and all together.

Pure: values in, counts and intervals out. A value that gold calls absent counts too: giving one
all the same is inventing it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from waremill.catalog.units import Quantity, parse_number, sole_quantity
from waremill.domain import is_missing
from waremill.rules.schema import Attribute
from waremill.runs.intervals import Mean, Rate, mean_interval, more_marks

Judgement: TypeAlias = Literal["correct", "wrong", "missed", "invented", "absent"]
"""Of one value: `correct`; `wrong` (both have one, and they differ); `missed` (only gold has one);
`invented` (only the copy has one); `absent` (neither has one, which is right)."""
Same: TypeAlias = Callable[[Any, Any], bool]


def is_absent(value: object) -> bool:
    """Say whether gold or a reply gives no value: missing, `n/a`, `null`, a list of such."""
    if isinstance(value, str):
        return value.strip().casefold() in ("", "n/a", "null")
    if isinstance(value, list | tuple):
        return all(map(is_absent, value))
    return is_missing(value)


def exact(generated: Any, gold: Any) -> bool:
    """Say whether two values are equal as written; `true` is not 1."""
    return isinstance(generated, bool) == isinstance(gold, bool) and bool(generated == gold)


def plain(value: Any) -> str:
    """Give a value without what does not change its meaning.

    Full-width forms, case, punctuation and white space go; marks within a number stay.
    """
    text = unicodedata.normalize("NFKC", str(value)).casefold()
    kept = "".join(
        character
        if character.isalnum()
        or unicodedata.category(character)[0] in "MS"
        or (character in ".,-/" and _inside_number(text, index))
        else " "
        for index, character in enumerate(text)
    )
    return " ".join(kept.split())


def _inside_number(text: str, index: int) -> bool:
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    return after.isdigit() and (before.isdigit() or (text[index] == "-" and not before.strip()))


def numeric(relative: float = 0.01, absolute: float = 0.0, unit: str | None = None) -> Same:
    """Make a comparison of numbers, with or without units, within a tolerance of gold.

    `unit` is the one a bare number is in. 1 % lets 50 ml and 1.7 fl oz (50.3 ml) be the same.
    """

    def same(generated: Any, gold: Any) -> bool:
        one, other = _number(generated), _number(gold)
        if one is None or other is None:
            first, second = _quantity(generated, one, unit), _quantity(gold, other, unit)
            if first is None or second is None or first.dimension != second.dimension:
                return False
            one, other = first.canonical, second.canonical
        return abs(one - other) <= max(relative * abs(other), absolute)

    return same


def _number(value: Any) -> float | None:
    """Read a value that is a number and nothing else."""
    if isinstance(value, bool):
        return None
    number = value if isinstance(value, int | float) else parse_number(_unfolded(value))
    return float(number) if number is not None and math.isfinite(number) else None


def _quantity(value: Any, number: float | None, unit: str | None) -> Quantity | None:
    if isinstance(value, bool) or (number is not None and unit is None):
        return None
    return sole_quantity(_unfolded(value) if number is None else f"{number:.15g} {unit}")


def _unfolded(value: Any) -> str:
    return unicodedata.normalize("NFKC", str(value)).strip()


def normalised(attribute: Attribute | None = None) -> Same:
    """Make a comparison that ignores case, punctuation, white space, full-width forms and units.

    With an attribute, the spellings of one closed value (labels, synonyms) are the same too, and
    bare numbers are in its unit.
    """
    codes = {
        plain(spelling): value.code
        for value in (attribute.values if attribute else ())
        for spelling in value.spellings
    }
    as_numbers = numeric(unit=attribute.unit if attribute else None)

    def same(generated: Any, gold: Any) -> bool:
        one, other = plain(generated), plain(gold)
        if codes.get(one, one) == codes.get(other, other):
            return True
        return as_numbers(generated, gold)

    return same


_CJK = re.compile(
    r"[\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
_ARTICLES = frozenset(("a", "an", "the"))


def tokens(value: Any) -> list[str]:
    """Cut a value into words, CJK into characters, as SQuAD's scorer does: articles left out."""
    spaced = _CJK.sub(lambda match: f" {match[0]} ", plain(value))
    return [word for word in spaced.split() if word not in _ARTICLES]


def token_f1(generated: Any, gold: Any) -> float:
    """Give the F1 of the words two values share, counted with repetition.

    Rajpurkar et al. (2016), SQuAD, section 6.1; where one of them has no word, 1 if neither has
    (SQuAD 2.0).
    """
    ours, theirs = Counter(_all_tokens(generated)), Counter(_all_tokens(gold))
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def _all_tokens(value: Any) -> list[str]:
    if is_absent(value):
        return []
    if isinstance(value, list | tuple):
        return [token for one in value for token in tokens(one)]
    return tokens(value)


# -- extraction ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Values found against values wanted: `right` of `given` by the copy, of `wanted` by gold."""

    right: int = 0
    given: int = 0
    wanted: int = 0

    def __add__(self, other: Retrieval) -> Retrieval:
        """Pool two counts, which is what *micro* averages do."""
        return Retrieval(
            self.right + other.right, self.given + other.given, self.wanted + other.wanted
        )

    @property
    def precision(self) -> float | None:
        """The share of given values that are right; None where none was given."""
        return self.right / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        """The share of wanted values that were given; None where none was wanted."""
        return self.right / self.wanted if self.wanted else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None where nothing was given or wanted."""
        return 2 * self.right / (self.given + self.wanted) if self.given + self.wanted else None


def retrieval(generated: Any, gold: Any, same: Same) -> Retrieval:
    """Count one field's values as a set; a single value is a set of one, absent is none.

    Each gold value is found at most once, so repeating a value earns nothing.
    """
    given, wanted = _distinct(generated, same), _distinct(gold, same)
    left, right = list(wanted), 0
    for value in given:
        found = next((i for i, other in enumerate(left) if same(value, other)), None)
        if found is not None:
            del left[found]
            right += 1
    return Retrieval(right, len(given), len(wanted))


def _distinct(value: Any, same: Same) -> list[Any]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    found: list[Any] = []
    for one in values:
        if not is_absent(one) and not any(same(one, other) for other in found):
            found.append(one)
    return found


def judge(generated: Any, gold: Any, same: Same) -> Judgement:
    """Judge one value against gold; lists are the same where their sets are."""
    if is_absent(gold):
        return "absent" if is_absent(generated) else "invented"
    if is_absent(generated):
        return "missed"
    counts = retrieval(generated, gold, same)
    return "correct" if counts.right == counts.given == counts.wanted else "wrong"


@dataclass(frozen=True, slots=True)
class Marked:
    """One value with its gold."""

    field: str
    generated: Any
    gold: Any


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How one field, or all together (`field` is empty), compares with gold.

    `right`: correct or rightly absent, of all. `invented`: of the cases where gold says absent.
    `missed`: nothing given, of the cases where gold has a value. `exact`: equal as written, of all.
    `values`: single values, pooled (micro): a wrong value costs precision and recall, as in the
    attribute extraction of Brinkmann et al. (2024), ExtractGPT. `token_f1`: its mean over the
    cases where gold has a value. `more_marks`: how many more bring `right` to ±5 points.
    """

    field: str
    right: Rate
    exact: Rate
    invented: Rate
    missed: Rate
    values: Retrieval
    token_f1: Mean | None
    more_marks: int


def accuracy(
    marked: Iterable[Marked], same: Mapping[str, Same] | None = None
) -> tuple[list[Accuracy], Accuracy]:
    """Compare values with gold: by field, in the order they appear, and all together.

    `same` gives each field's comparison; `normalised()` is the default.
    """
    by_field: dict[str, list[Marked]] = {}
    for one in marked:
        by_field.setdefault(one.field, []).append(one)
    default = normalised()
    cases = {
        field: [_case(one, (same or {}).get(field, default)) for one in ones]
        for field, ones in by_field.items()
    }
    every = [case for ones in cases.values() for case in ones]
    return [_accuracy(field, ones) for field, ones in cases.items()], _accuracy("", every)


@dataclass(frozen=True, slots=True)
class _Case:
    judgement: Judgement
    exact: bool
    values: Retrieval
    token_f1: float


def _case(one: Marked, same: Same) -> _Case:
    judgement = judge(one.generated, one.gold, same)
    return _Case(
        judgement,
        judgement == "absent" or exact(one.generated, one.gold),
        retrieval(one.generated, one.gold, same),
        token_f1(one.generated, one.gold),
    )


def _accuracy(field: str, cases: Sequence[_Case]) -> Accuracy:
    count = Counter(case.judgement for case in cases)
    right = Rate(count["correct"] + count["absent"], len(cases))
    absent = count["absent"] + count["invented"]
    present = [case for case in cases if case.judgement not in ("absent", "invented")]
    return Accuracy(
        field=field,
        right=right,
        exact=Rate(sum(case.exact for case in cases), len(cases)),
        invented=Rate(count["invented"], absent),
        missed=Rate(count["missed"], len(present)),
        values=sum((case.values for case in cases), Retrieval()),
        token_f1=mean_interval([case.token_f1 for case in present]),
        more_marks=more_marks(right.count, right.of),
    )
