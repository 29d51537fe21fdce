"""Quantities in text: finding them, reading their numbers, converting between units.

Pure data and functions. A quantity is a number followed by a unit, as shops write them: `50 ml`,
`1,7 fl. oz`, `1/2 in`, `500克`. This module must not read files and must not know columns' names.

Conversion factors are exact by definition: the international yard and pound agreement of 1959
(1 in = 2.54 cm, 1 lb = 453.592 37 g), the US gallon of 231 cubic inches (1 US fl oz =
29.573 529 562 5 ml), the metric cup and spoons of 250, 15 and 5 ml, the SI brochure (9th edition)
for decimal prefixes, and the Chinese market units of 1959 (1 斤 = 500 g, 1 两 = 50 g).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

CANONICAL: Final[dict[str, str]] = {
    "volume": "ml",
    "mass": "g",
    "length": "cm",
    "area": "m2",
    "power": "w",
    "voltage": "v",
    "current": "a",
    "charge": "mah",
    "energy": "wh",
    "frequency": "hz",
    "time": "min",
    "data": "gb",
    "percent": "percent",
    "temperature": "c",
}
"""Each dimension's canonical unit, as it is written in derived column names."""

_FL_OZ = 29.5735295625
# unit: (dimension, how many canonical units it is, how it is written). Written forms are matched
# without regard to case unless they hold a capital letter.
_UNITS: Final[dict[str, tuple[str, float, str]]] = {
    "ml": ("volume", 1.0, "ml mls millilitre millilitres milliliter milliliters cc 毫升"),
    "cl": ("volume", 10.0, "cl centilitre centilitres centiliter centiliters"),
    "dl": ("volume", 100.0, "dl decilitre decilitres deciliter deciliters"),
    "l": ("volume", 1000.0, "l ltr litre litres liter liters 升 公升"),
    "fl oz": (
        "volume",
        _FL_OZ,
        "fl|oz fl.|oz fl.|oz. fl|oz. floz fluid|ounce fluid|ounces us|fl|oz",
    ),
    "pt": ("volume", _FL_OZ * 16, "pint pints"),
    "gal": ("volume", _FL_OZ * 128, "gal gallon gallons 加仑"),
    "mg": ("mass", 0.001, "mg milligram milligrams 毫克"),
    "g": ("mass", 1.0, "g gr gm gram grams gramme grammes 克"),
    "kg": ("mass", 1000.0, "kg kgs kilo kilos kilogram kilograms 公斤 千克"),
    "t": ("mass", 1e6, "tonne tonnes 吨"),
    "oz": ("mass", 28.349523125, "oz oz. ounce ounces 盎司"),
    "lb": ("mass", 453.59237, "lb lbs lb. lbs. pound pounds 磅"),
    "斤": ("mass", 500.0, "斤"),
    "两": ("mass", 50.0, "两"),
    "mm": ("length", 0.1, "mm millimetre millimetres millimeter millimeters 毫米"),
    "cm": ("length", 1.0, "cm centimetre centimetres centimeter centimeters 厘米 公分"),
    "dm": ("length", 10.0, "dm 分米"),
    "m": ("length", 100.0, "m metre metres meter meters 米"),
    "km": ("length", 1e5, "km kilometre kilometres kilometer kilometers 公里 千米"),
    "in": ("length", 2.54, 'in inch inches " ″ ” 英寸'),
    "ft": ("length", 30.48, "ft foot feet ′ 英尺"),
    "yd": ("length", 91.44, "yd yard yards"),
    "m2": ("area", 1.0, "m² m2 sqm sq|m 平方米"),
    "mw": ("power", 0.001, "mW milliwatt milliwatts"),
    "w": ("power", 1.0, "w watt watts 瓦"),
    "kw": ("power", 1000.0, "kw kilowatt kilowatts 千瓦"),
    "hp": ("power", 745.6998715822702, "hp"),
    "mv": ("voltage", 0.001, "mV"),
    "v": ("voltage", 1.0, "v volt volts 伏"),
    "kv": ("voltage", 1000.0, "kv"),
    "ma": ("current", 0.001, "mA"),
    "a": ("current", 1.0, "A amp amps ampere amperes 安"),
    "mah": ("charge", 1.0, "mah 毫安 毫安时"),
    "ah": ("charge", 1000.0, "ah"),
    "wh": ("energy", 1.0, "wh"),
    "kwh": ("energy", 1000.0, "kwh 度"),
    "hz": ("frequency", 1.0, "hz 赫兹"),
    "khz": ("frequency", 1e3, "khz"),
    "mhz": ("frequency", 1e6, "mhz"),
    "ghz": ("frequency", 1e9, "ghz"),
    "s": ("time", 1 / 60, "sec secs second seconds 秒"),
    "min": ("time", 1.0, "min mins min. minute minutes 分钟"),
    "h": ("time", 60.0, "h hr hrs hour hours 小时"),
    "d": ("time", 1440.0, "day days 天"),
    "mb": ("data", 0.001, "MB"),
    "gb": ("data", 1.0, "GB gb"),
    "tb": ("data", 1000.0, "TB tb"),
    "percent": ("percent", 1.0, "% ％ percent pct 百分"),
    "c": ("temperature", 1.0, "°c ℃ 摄氏度"),
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit: `value` in `unit` (a name `convert` knows), its `dimension`, and where
    in the text it stands (`start` inclusive, `end` exclusive).
    """

    value: float
    unit: str
    dimension: str
    start: int
    end: int

    @property
    def canonical(self) -> float:
        """The value in the dimension's canonical unit."""
        return self.value * _UNITS[self.unit][1]


def _spellings() -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """Give written form → unit for any case, for exact case, and the forms that are not Latin."""
    folded: dict[str, str] = {}
    exact: dict[str, str] = {}
    for unit, (_, _, written) in _UNITS.items():
        for form in written.split():
            spelled = re.sub(r"[|.]+", " ", form).strip()
            (exact if spelled != spelled.lower() else folded)[spelled] = unit
    other = sorted((form for form in folded if not form[0].isascii()), key=len, reverse=True)
    return folded, exact, tuple(other)


_FOLDED, _EXACT, _NOT_LATIN = _spellings()
_VULGAR: Final = {"½": 0.5, "¼": 0.25, "¾": 0.75, "⅓": 1 / 3, "⅔": 2 / 3, "⅛": 0.125}
# Starts with characters of one class, so that the search skips over prose quickly.
_NUMBER = re.compile(
    r"(?=[\d.,½¼¾⅓⅔⅛])(?<![\d.,])(?<!\d/)(?<![A-WYZa-wyz])(?<![A-Za-z][xX])(?<![ -][xX])"
    r"(?:(?:(?P<whole>\d+)[ -])?(?P<top>\d+)\s?[/⁄]\s?(?P<bottom>[1-9]\d{0,3})(?![\d.,])"
    r"|(?P<number>\d{1,3}(?:[ \u00a0\u202f'’]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)*|[.,]\d+)?"
    r"(?P<vulgar>[½¼¾⅓⅔⅛])?)"
)
_UNIT = re.compile(
    r"[ \u00a0\u202f\t]?-?[ \u00a0]?"
    r"(?P<unit>(?:us[ .]{0,2})?fl(?:uid)?[ ._-]{0,2}(?:oz|ounces?)\b\.?|sq[ .]?m\b"
    r"|(?P<latin>[a-z]+)²?(?P<two>2\b)?(?P<dot>\.(?=\W|$))?|°c\b|%|[\"″”′℃％]"
    rf"|(?P<other>{'|'.join(_NOT_LATIN)}))",
    re.IGNORECASE,
)
_BY = re.compile(r"(?P<number>\d+(?:[.,]\d+)?)\s?[x×*]\s?$", re.IGNORECASE)
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,2}(?:\.\d{3}){2,}")


def parse_number(text: str) -> float | None:
    """Read a number as shops write it: `1,5`, `1.5`, `1,000.5`, `1.000,5`, `1 000`; else None.

    Of two different separators the last is the decimal one. A single comma before exactly three
    digits groups thousands (`1,000`) unless the number starts with zero; a single point never does.
    """
    compact = re.sub(r"[ \u00a0\u202f'’]", "", text)
    if "," in compact and "." in compact:
        decimal = max(compact.rfind(","), compact.rfind("."))
        compact = re.sub("[.,]", "", compact[:decimal]) + "." + compact[decimal + 1 :]
    elif _GROUPED.fullmatch(compact):
        compact = re.sub("[.,]", "", compact)
    else:
        compact = compact.replace(",", ".")
    try:
        return float(compact)
    except ValueError:
        return None


def parse_quantities(text: str) -> list[Quantity]:
    """Find every quantity in the text, from left to right, without overlaps.

    Sizes that share their unit (`10 x 20 cm`) are all found.
    """
    found: list[Quantity] = []
    for match in _NUMBER.finditer(text):
        quantity = _quantity_at(text, match)
        if quantity is None:
            continue
        if quantity.dimension == "length":
            found.extend(_sides_before(text, quantity))
        found.append(quantity)
    return found


def _quantity_at(text: str, number: re.Match[str]) -> Quantity | None:
    written = _UNIT.match(text, number.end())
    if written is None:
        return None
    unit = _unit_of(written)
    value = _value_of(number)
    if unit is None or value is None or not _plausible(text, number, written, unit):
        return None
    return Quantity(value, unit, _UNITS[unit][0], number.start(), written.end())


def _unit_of(written: re.Match[str]) -> str | None:
    spelled = re.sub(r"[ ._-]+", " ", written["unit"]).strip()
    # A lone capital M is a size or a million, never metres.
    if spelled == "M":
        return None
    unit = _EXACT.get(spelled) or _FOLDED.get(spelled.lower())
    if unit is None and spelled.lower().startswith(("fl", "us")) and "o" in spelled.lower():
        return "fl oz"
    return unit


def _value_of(match: re.Match[str]) -> float | None:
    if match["top"]:
        return int(match["whole"] or 0) + int(match["top"]) / int(match["bottom"])
    number, vulgar = match["number"], match["vulgar"]
    if not number and not vulgar:
        return None
    value = parse_number(number) if number else 0.0
    return None if value is None else value + _VULGAR.get(vulgar or "", 0.0)


def _plausible(text: str, number: re.Match[str], written: re.Match[str], unit: str) -> bool:
    """Say whether the unit is meant as one: `4-in-1`, `5G` and `"50"` are not quantities."""
    following = text[written.end() : written.end() + 1]
    if written["latin"] and following.isascii() and following.isalnum():
        return False
    spelled = written["unit"]
    if spelled in ('"', "”"):
        return text[: number.start()][-1:] not in ('"', "“", "”")
    if spelled.lower() == "in":
        return not re.match(r"[\s-]*(?:\d|one\b|a\b|the\b|stock\b)", text[written.end() :], re.I)
    if spelled == "G" and text[number.start() : written.end()] in ("2G", "3G", "4G", "5G", "6G"):
        return False
    return unit != "a" or not written[0].startswith(" ")


def _sides_before(text: str, last: Quantity) -> list[Quantity]:
    """Give the lengths in front of one that share its unit, as in `10 x 20 cm`."""
    sides: list[Quantity] = []
    start = last.start
    while match := _BY.search(text, max(0, start - 24), start):
        value = parse_number(match["number"])
        if value is None:
            break
        side = Quantity(value, last.unit, last.dimension, match.start(), match.end("number"))
        sides.insert(0, side)
        start = match.start()
    return sides


def convert(value: float, unit: str, to: str) -> float:
    """Give a value in another unit of its dimension; raise ValueError where that makes no sense."""
    source, target = _UNITS.get(unit), _UNITS.get(to)
    if source is None or target is None:
        raise ValueError(f"“{unit if source is None else to}” is not a known unit")
    if source[0] != target[0]:
        raise ValueError(f"{unit} is a {source[0]} and {to} is a {target[0]}: they do not convert")
    return value * source[1] / target[1]


def unit_named(written: str) -> str | None:
    """Give the unit a written form means, such as `fl oz` for `fl. oz.`; None for no unit."""
    spelled = re.sub(r"[ ._-]+", " ", written).strip()
    if spelled in _UNITS:
        return spelled
    return _EXACT.get(spelled) or _FOLDED.get(spelled.lower())


def dimension_of(unit: str) -> tuple[str, float]:
    """Give a unit's dimension, and how many of the dimension's canonical units it is.

    Raises ValueError for a name that is no unit.
    """
    if unit not in _UNITS:
        raise ValueError(f"“{unit}” is not a known unit")
    return _UNITS[unit][:2]


def units_of(dimension: str) -> tuple[str, ...]:
    """Give the names of all units of a dimension."""
    return tuple(unit for unit, (of, _, _) in _UNITS.items() if of == dimension)


_FILLER = re.compile(
    r"[\s/|,;()（）、≈~=]*(?:approx\.?|ca\.?|约)?[\s/|,;()（）、≈~=.℮]*|[\s℮e.]+", re.I
)


def sole_quantity(text: str, dimension: str | None = None) -> Quantity | None:
    """Give the quantity a cell consists of, or None.

    The same size given twice in different units (`50 ml / 1.7 fl oz`) counts as one. In a column of
    volumes `oz` means fluid ounces, so pass the column's `dimension` where it is known.
    """
    quantities = parse_quantities(text)
    if not quantities:
        return None
    position = 0
    for quantity in quantities:
        if not _FILLER.fullmatch(text[position : quantity.start]):
            return None
        position = quantity.end
    if not _FILLER.fullmatch(text[position:]):
        return None
    if dimension == "volume" or (len(quantities) > 1 and quantities[0].dimension == "volume"):
        quantities = [_as_fluid(quantity) for quantity in quantities]
    first = quantities[0]
    for other in quantities[1:]:
        if other.dimension != first.dimension:
            return None
        if abs(other.canonical - first.canonical) > 0.06 * max(first.canonical, 1e-9):
            return None
    return first if dimension in (None, first.dimension) else None


def _as_fluid(quantity: Quantity) -> Quantity:
    if quantity.unit != "oz":
        return quantity
    return Quantity(quantity.value, "fl oz", "volume", quantity.start, quantity.end)


def column_dimension(cells: Iterable[str]) -> str | None:
    """Say which one dimension a column's non-empty cells mostly (two thirds) are, or None."""
    counts: dict[str, int] = {}
    total = ounces = 0
    for cell in cells:
        total += 1
        quantity = sole_quantity(cell) if len(cell) <= 60 else None
        if quantity is not None:
            counts[quantity.dimension] = counts.get(quantity.dimension, 0) + 1
            ounces += quantity.unit == "oz"
    # Perfume shops write "1.7 oz" between "50 ml": those ounces are fluid.
    if counts.get("volume", 0) > counts.get("mass", 0) - ounces:
        counts["volume"] += ounces
    best = max(counts, key=lambda name: counts[name], default=None)
    return best if best is not None and counts[best] * 3 >= total * 2 else None


def normalised(text: str, dimension: str) -> float | int | None:
    """Give a cell's quantity in the canonical unit, rounded to 4 significant decimals, or None."""
    quantity = sole_quantity(text, dimension)
    if quantity is None:
        return None
    value = round(quantity.canonical, 4)
    return int(value) if value == int(value) else value


def names_unit(column: str, dimension: str) -> bool:
    """Say whether a column's name already tells the unit, such as `volume_ml` or `Weight (kg)`."""
    words = set(re.findall(r"[a-z]+2?|[\u4e00-\u9fff]+|%", column.lower()))
    return any(
        form in words
        for unit in units_of(dimension)
        for form in _forms(unit)
        if len(form) > 1 or form == unit
    )


def _forms(unit: str) -> Sequence[str]:
    return _UNITS[unit][2].lower().split()
