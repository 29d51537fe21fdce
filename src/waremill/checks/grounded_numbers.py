"""The check `grounded-numbers`: every number in the copy stands in the product's data.

What counts as standing there, from cheap to dear, so that correct copy costs little:

1. the same number with the same unit, or without one in the source (`volume: 50`), however it is
   written: 1,5 and 1.5; 1.000, 1,000 and 1 000; full-width digits; 03 and 3. A number with one unit
   in the source is not the same with another (50 ml, 50 g), unless it converts;
2. a unit conversion, known through `waremill.catalog.units`: 50 ml = 5 cl = 1.7 fl oz, “oz” being
   mass or volume. It may be rounded as it is printed and by up to 3 % (100 ml are sold as 3.3 and
   3.4 fl oz). Months and years, weeks and days convert too;
3. a number word in the source (three, drei, trois, 三 …), and the length of a list in the source
   (“three notes” for rose, musk, amber);
4. decades (the 1990s for 1994) and centuries (the 20th for 1921).

Numbers of the copy's own making are not judged: the number 1 without a unit, list numbers at the
beginning of a line, 24/7. Number words in the copy (two … twelve, tens; zh 两, 三 …) are judged
where they make a claim: with a unit or a span of time an unknown one is an error; with what a
product has (three notes, drei Farben, 三款) only a warning; otherwise prose uses them in idioms
(two worlds). What is not seen: a wrong use of a right number.
"""

from __future__ import annotations

import re
from functools import lru_cache

from waremill.catalog.units import convert, parse_quantities
from waremill.checks.draft import Draft, Rules, check
from waremill.checks.numerals import CHINESE, SOURCE_WORDS, WORDS, chinese_value
from waremill.domain import Finding

# What may stand behind a number and be its unit.
_BEHIND = (
    r"(?:[^\S\n]?-?((?:us[ .]{0,2})?fl(?:uid|\.)?[ .]?(?:oz|ounces?)\b"
    r"|[a-zäöüéèñ]{1,12}|[%°℃″\"\u3400-\u9fff]{1,3}))?"
)
# "\d\d*" and not "\d+": the search then skips over prose three times as fast.
_NUMBER = re.compile(r"(\d\d*(?:[.,]\d+)*)" + _BEHIND)
_PLAIN_NUMBER = re.compile(r"([0-9]\d*(?:[.,]\d+)*)" + _BEHIND)
"""Finds the same in a text of ASCII characters, twice as fast."""
_GROUPED = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_LIST_NUMBER = re.compile(r"^\s*\d{1,2}[.)]\s", re.MULTILINE)
_KEYCAP = ("\ufe0f", "\u20e3")
_RANGE = re.compile(r"\s*(?:-|–|—|/|x|×|\*|~|～|to|bis|à|et|und|and|or|oder|ou|a|至|到|或|、|,)\s*")
_NAMES_OF_NUMBERS = frozenset(("h2o", "co2", "mp3", "mp4"))
_SPANS = {
    word: (unit, months)
    for words, unit, months in (
        ("year years yr yrs jahr jahre jahren jährig jährige ans an année années año años anno "
         "anni ano anos jaar 年 岁 周年", "month", 12.0),
        ("month months monat monate monaten mois mes meses mese mesi maand maanden 个月 月",
         "month", 1.0),
        ("week weeks woche wochen semaine semaines semana semanas settimana settimane weken "
         "周 星期", "day", 7.0),
        ("day days tag tage tagen jour jours día días giorno giorni dia dias dag dagen 天 日",
         "day", 1.0),
        ("hour hours stunde stunden heure heures hora horas ora ore uur uren 小时",
         "day", 1 / 24),
    )
    for word in words.split()
}  # fmt: skip
_DECADES = frozenset(("s", "er", "ern", "年代"))
_CENTURIES = frozenset(
    ("th", "st", "nd", "rd", "jahrhundert", "jahrhunderts", "e", "世纪", "siècle")
)
_MEASURES = re.compile(
    f"(?<![\\d.,一二两兩三四五六七八九十百千])(?P<number>(?![百千]){CHINESE.pattern})(?:(?P<unit>毫升|公升|克|公斤|毫克|厘米|小时|分钟|个月|年|天|周|岁|倍)"
    "|(?P<count>种|款|瓶|支|件|片|层|步|颗|粒|盒|枚|条|套))"
)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_COUNTED = frozenset(
    # What copy counts of a product: only these make a number word without a unit a claim.
    "notes accords layers colours colors shades sizes pieces pockets wheels scents fragrances oils "  # noqa: SIM905  # reads better
    "ingredients flavours flavors settings modes speeds functions programs programmes steps blades "
    "compartments formats bottles "
    "noten akkorde schichten lagen farben farbtöne größen teile taschen rollen räder düfte öle "
    "inhaltsstoffe sorten stufen modi funktionen programme schritte klingen fächer flaschen "
    "couches couleurs teintes tailles pièces poches roues roulettes parfums huiles ingrédients "
    "vitesses fonctions étapes lames compartiments flacons "
    "notas acordes capas colores tonos tallas piezas bolsillos ruedas aromas aceites ingredientes "
    "sabores modos velocidades funciones programas pasos cuchillas "
    "note accordi strati colori tonalità taglie pezzi tasche ruote profumi oli ingredienti gusti "
    "modalità velocità funzioni programmi passaggi lame "
    "cores tamanhos peças bolsos rodas camadas kleuren maten stukken zakken wielen lagen".split()
)
_LANGUAGES = frozenset(("zh", *WORDS))
_ALSO_WORDS = frozenset(("in", "a", "an", "s", "d", "t", "c", "m", "no", "am", "par"))
"""Units, or else prepositions and endings: a number before one need not have that unit."""


def _numbers(text: str) -> list[tuple[str, str]]:
    """List a text's numbers, each with what stands behind it and may be its unit."""
    return (_PLAIN_NUMBER if text.isascii() else _NUMBER).findall(text)


@lru_cache(maxsize=8192)
def _values(token: str) -> tuple[float, ...]:
    """Read a number as every value it may mean: `1.000` is 1 and 1000; a date gives its parts."""
    if token.isdecimal():
        return (float(token),)
    marks = token.count(".") + token.count(",")
    if marks == 1:
        decimal = float(token.replace(",", "."))
        if _GROUPED.fullmatch(token) and token[0] != "0":
            return (decimal, float(token.replace(",", "").replace(".", "")))
        return (decimal,)
    last = max(token.rfind("."), token.rfind(","))
    whole, mark, rest = token[:last], token[last], token[last + 1 :]
    if _GROUPED.fullmatch(token) and len(set(re.findall("[.,]", token))) == 1:
        return (float(token.replace(",", "").replace(".", "")),)
    if mark not in whole and _GROUPED.fullmatch(whole):
        return (float(f"{whole.replace(',', '').replace('.', '')}.{rest}"),)
    return tuple(float(part) for part in re.split("[.,]", token))


@lru_cache(maxsize=8192)
def _unit(word: str) -> str | None:
    """Give the unit a word behind a number means, None where it is none."""
    found = parse_quantities(f"1 {word}") if word != '"' else parse_quantities('1"')
    return found[0].unit if found else None


@lru_cache(maxsize=8192)
def _read(token: str, word: str) -> tuple[tuple[float, ...], str | None]:
    """Read a number and what stands behind it: its values, its unit."""
    return _values(token), _unit(word) if word else None


@lru_cache(maxsize=4096)
def _key_unit(key: str) -> str | None:
    """Give the unit an attribute's name ends with: `volume_ml`, `Weight (kg)`."""
    words = re.findall(r"[^\W\d_]+", key.lower())
    return _unit(words[-1]) if len(words) > 1 and len(words[-1]) > 1 else None


@lru_cache(maxsize=4096)
def _key_numbers(key: str) -> tuple[float, ...]:
    return tuple(float(number) for number in re.findall(r"\d+", key))


class _Source:
    """The numbers of a draft's source, read in two stages: digits first, the rest when needed."""

    def __init__(self, draft: Draft, rules: Rules) -> None:
        self.draft = draft
        self.values: set[float] = set()
        self.bare: set[float] = set()
        self.with_unit: set[tuple[float, str]] = set()
        self.keyed: list[tuple[float, str]] = []
        units = rules.units(draft.category)
        text = draft.folded_source
        for key, value in draft.source.items():
            kind = type(value)
            if kind is int or kind is float:
                # A number alone has the unit of its attribute.
                unit = units.get(key) or _key_unit(key)
                unit = _unit(unit) if unit else None
                if unit is not None:
                    self.keyed.append((float(value), unit))
            if not key.isalpha() and (numbers := _key_numbers(key)):
                self.values.update(numbers)  # protein_per_100g
                self.bare.update(numbers)
        keyed = {value for value, _ in self.keyed}
        for token, word in _numbers(text):
            values, unit = _read(token, word)
            self.values.update(values)
            for value in values:
                if unit is not None:
                    self.with_unit.add((value, unit))
                elif value not in keyed:
                    self.bare.add(value)
        self.with_unit.update(self.keyed)
        self._words: set[float] | None = None
        self._quantities: set[tuple[float, str]] | None = None

    def has(self, value: float, unit: str | None) -> bool:
        """Say whether the number stands there with this unit, or without any."""
        if unit is None:
            return value in self.values
        return value in self.bare or (value, unit) in self.with_unit

    @property
    def words(self) -> set[float]:
        """Number words of the source and the lengths of its lists."""
        if self._words is None:
            text = self.draft.folded_source
            found = {float(SOURCE_WORDS[w]) for w in _WORD.findall(text) if w in SOURCE_WORDS}
            for numeral in CHINESE.findall(text):
                value = chinese_value(numeral)
                if value is not None:
                    found.add(float(value))
            for entry in self.draft.source.values():
                if isinstance(entry, (list, tuple)):
                    found.add(float(len(entry)))
                elif isinstance(entry, str):
                    found.add(float(len(re.split(r"[,;，、；/|]", entry))))
            for joined in re.findall(r"(?<!\d)\d{1,3}(?:[ \u00a0\u202f'’]\d{3})+(?!\d)", text):
                found.add(float(re.sub(r"\D", "", joined)))
            found |= {v for c, v in (("½", 0.5), ("¼", 0.25), ("¾", 0.75)) if c in text}
            self._words = found - {1.0}
        return self._words

    def converts(self, value: float, unit: str, decimals: int) -> bool:
        """Say whether a quantity is one of the source's in another unit."""
        return any(_same(value, unit, *known, decimals) for known in self.with_unit) or any(
            _same(value, unit, *known, decimals) for known in self.quantities - self.with_unit
        )

    def amounts(self, value: float) -> bool:
        """Say whether the source has the number in any writing, with whatever unit."""
        if value in self.values or value in self.words:
            return True
        return any(known == value for known, _ in self.quantities)

    @property
    def quantities(self) -> set[tuple[float, str]]:
        """What a thorough reading finds: also fractions and sides that share their unit."""
        if self._quantities is None:
            read = parse_quantities(self.draft.source_text)
            self._quantities = {(quantity.value, quantity.unit) for quantity in read}
        return self._quantities

    def spans(self, value: float, word: str) -> bool:
        """Say whether a span of time stands there in other words: 2 years for 24 months."""
        kind, factor = _SPANS[word]
        for match in _NUMBER.finditer(self.draft.folded_source):
            other = match[2]
            if other in _SPANS and _SPANS[other][0] == kind:
                for known in _values(match[1]):
                    if abs(known * _SPANS[other][1] - value * factor) < 1e-6:
                        return True
        return False


_OUNCES = ("oz", "fl oz")


def _same(value: float, unit: str, known: float, known_unit: str, decimals: int) -> bool:
    """Say whether two quantities are the same; a bare “oz” is one of mass or of volume."""
    for source in _OUNCES if known_unit == "oz" else (known_unit,):
        for to in _OUNCES if unit == "oz" else (unit,):
            if source == to:
                if value == known:
                    return True
                continue
            try:
                exact = convert(known, source, to)
            except ValueError:
                continue
            if _near(value, exact, decimals):
                return True
    return False


def _near(value: float, exact: float, decimals: int) -> bool:
    error = abs(value - exact)
    if error <= 0.03 * abs(exact):
        return True
    return error <= 0.5 * 10.0**-decimals and error <= (0.12 if value < 1 else 0.05) * abs(exact)


@check("grounded-numbers")
def grounded_numbers(draft: Draft, rules: Rules) -> list[Finding]:
    """Find numbers and units that do not stand in the source; see the module for what does."""
    found: list[Finding] = []
    source: _Source | None = None
    text = draft.folded
    numbers = set(_numbers(text))
    # What the source writes in the same way needs no reading, and mostly that is every number.
    if numbers and not numbers.issubset(_numbers(draft.folded_source)):
        source = _Source(draft, rules)
        matches = list(_NUMBER.finditer(text))
        for index, match in enumerate(matches):
            values, unit = _read(match[1], match[2] or "")
            if source.has(values[0], unit):
                continue
            if unit is not None and match[2] in _ALSO_WORDS and source.has(values[0], None):
                continue
            if len(values) > 1 and any(source.has(value, unit) for value in values):
                continue
            if not _grounded(draft, source, matches, index):
                _report(draft, match, found)
    for name, value in draft.values.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            source = source or _Source(draft, rules)
            _number_field(draft, source, name, float(value), found)
    if draft.target is not None and draft.target.language in _LANGUAGES:
        _number_words(draft, rules, source, found)
    return found


def _report(draft: Draft, match: re.Match[str], found: list[Finding]) -> None:
    start, end = match.span() if match[2] and _unit(match[2]) else (
        match.start(), match.start() + len(match[1])
    )  # fmt: skip
    evidence = draft.text[start:end]
    field = draft.field_at(start)
    if any(f.evidence == evidence and f.field == field for f in found):
        return
    message = (
        f"“{evidence}” does not stand in the product's data; "
        "use the numbers of the input or leave it out"
    )
    found.append(Finding(field, "grounded-numbers", "error", message, evidence))


def _grounded(draft: Draft, source: _Source, matches: list[re.Match[str]], index: int) -> bool:
    """Try everything that is dearer than looking the number up."""
    match = matches[index]
    token, word = match[1], match[2] or ""
    values = _values(token)
    text = draft.folded
    end = match.start() + len(token)
    unit = (_unit(word) if word else None) or _shared_unit(text, matches, index)
    if unit is not None:
        mark = max(token.rfind("."), token.rfind(","))
        decimals = len(token) - 1 - mark if mark >= 0 and len(values) == 1 else 0
        if any(source.converts(value, unit, decimals) for value in values):
            return True
    elif values == (1.0,):
        return True
    if text[end : end + 1] in _KEYCAP or text[end : end + 2] == "/7" or text[:end].endswith("24/7"):
        return True
    if len(values) > 2 and all(value in source.values for value in values):
        return True  # a date
    return (
        _is_list_number(text, match.start(), end)
        or draft.in_name(match.start(), end)
        or _identifier(text, match.start(), end)
        or any(value in source.words for value in values)
        or (word in _SPANS and any(source.spans(value, word) for value in values))
        or _fraction(text, match.start(), end, source)
        or _joined(text, match.start(), end, source)
        or _age(word, values[0], source.values)
    )


def _shared_unit(text: str, matches: list[re.Match[str]], index: int) -> str | None:
    """Give the unit a number shares with the next, as in 30–50 ml and 10 x 20 cm."""
    while index + 1 < len(matches):
        here, following = matches[index], matches[index + 1]
        end = here.start() + len(here[1])
        if not _RANGE.fullmatch(text, end, following.start()):
            return None
        if following[2] and (unit := _unit(following[2])):
            return unit
        index += 1
    return None


def _is_list_number(text: str, start: int, end: int) -> bool:
    line = text.rfind("\n", 0, start) + 1
    return not text[line:start].strip() and _LIST_NUMBER.match(text[line : end + 2]) is not None


def _identifier(text: str, start: int, end: int) -> bool:
    """Say whether the number is part of a word that is known to hold one (CO2, MP3)."""
    first = start
    while first and text[first - 1].isalnum():
        first -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return text[first:end] in _NAMES_OF_NUMBERS


_FRACTION = re.compile(r"(\d{1,3})\s?[/⁄]\s?([1-9]\d{0,2})(?!\d)")


def _fraction(text: str, start: int, end: int, source: _Source) -> bool:
    """Say whether the number is part of a fraction that the source has as a number."""
    for match in _FRACTION.finditer(text, max(0, start - 6), min(len(text), end + 6)):
        if match.start() <= start and end <= match.end():
            return source.amounts(int(match[1]) / int(match[2]))
    return False


def _joined(text: str, start: int, end: int, source: _Source) -> bool:
    """Say whether the number is a part of one grouped by spaces that the source has."""
    pattern = re.compile(r"(?<!\d)\d{1,3}(?:[ \u00a0\u202f'’]\d{3})+(?!\d)")
    for match in pattern.finditer(text, max(0, start - 12), min(len(text), end + 12)):
        if match.start() <= start and end <= match.end():
            value = float(re.sub(r"\D", "", match.group()))
            return value in source.values or value in source.words
    return False


def _age(word: str, value: float, known: set[float]) -> bool:
    """Say whether a decade or a century is that of a year in the source."""
    years = {int(year) for year in known if 1000 <= year <= 2100 and year == int(year)}
    if word in _DECADES and value % 10 == 0:
        decades = {year // 10 * 10 for year in years}
        return int(value) in decades or (value < 100 and int(value) + 1900 in decades)
    if word in _CENTURIES:
        return any((year - 1) // 100 + 1 == int(value) for year in years)
    return False


def _number_field(
    draft: Draft, source: _Source, name: str, value: float, found: list[Finding]
) -> None:
    field = draft.fields.get(name)
    unit = field.unit if field is not None else None
    unit = (_unit(unit.lower()) if unit else None) or _key_unit(name)
    if value in (0.0, 1.0) or source.has(value, unit) or value in source.words:
        return
    shown = f"{value:g}"
    decimals = len(shown.partition(".")[2])
    if unit is not None and source.converts(value, unit, decimals):
        return
    message = f"{shown} does not stand in the product's data; take it from the input"
    found.append(Finding(name, "grounded-numbers", "error", message, shown))


def _number_words(draft: Draft, rules: Rules, source: _Source | None, found: list[Finding]) -> None:
    assert draft.target is not None
    language = draft.target.language
    text = draft.folded
    if language == "zh":
        for match in _MEASURES.finditer(text):
            value = chinese_value(match["number"])
            if value is not None and value > 1:
                source = source or _Source(draft, rules)
                word = match["unit"] or match["count"]
                _judge_word(draft, source, match.span(), (value, word), found)
        return
    words = WORDS[language]
    if words.keys().isdisjoint(text.split()):
        return
    pattern = _word_pattern(language)
    for match in pattern.finditer(text):
        noun = match["noun"]
        if noun in _COUNTED or noun in _SPANS or noun in ("percent", "prozent") or _unit(noun):
            source = source or _Source(draft, rules)
            _judge_word(draft, source, match.span(), (words[match["number"]], noun), found)


@lru_cache(maxsize=16)
def _word_pattern(language: str) -> re.Pattern[str]:
    words = "|".join(sorted(WORDS[language], key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?P<number>{words})[ -](?P<noun>[^\W\d_]+)")


def _judge_word(
    draft: Draft,
    source: _Source,
    span: tuple[int, int],
    claim: tuple[int, str],
    found: list[Finding],
) -> None:
    value, word = claim
    unit = _unit(word)
    if float(value) in source.values or float(value) in source.words or draft.in_name(*span):
        return
    if unit is not None and source.converts(float(value), unit, 0):
        return
    if word in _SPANS and source.spans(float(value), word):
        return
    evidence = draft.text[span[0] : span[1]]
    message = f"“{evidence}” does not stand in the product's data; leave the number out"
    severe = unit is not None or word in _SPANS or word in ("倍", "percent", "prozent")
    found.append(
        Finding(
            draft.field_at(span[0]),
            "grounded-numbers",
            "error" if severe else "warning",
            message,
            evidence,
        )
    )
