"""Turning columns of raw cells into clean attribute values, a batch at a time.

Works column by column because one test then clears a thousand cells: types are decided by C-speed
built-ins and only cells that need it are touched one by one. What a column is (an identifier, a
number written as text, a quantity) is decided once, on the first batch, so that reading streams.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import orjson

from waremill.catalog import units
from waremill.catalog.cleaning import all_clean, clean_many, clean_text

_ERROR_WORDS = (
    "#N/A #NA #DIV/0! #REF! #VALUE! #NAME? #NUM! #NULL! #SPILL! #CALC! #FIELD! "
    "#GETTING_DATA #BLOCKED! #UNKNOWN! #CONNECT! Err:502 Err:504 Err:508 Err:509 Err:511 "
    "Err:519 Err:522"
)
ERROR_TEXTS = frozenset(_ERROR_WORDS.split())
_IDENTIFIER = re.compile(
    r"(?:^|[^a-z])(?:gtin|ean|upc|isbn|issn|asin|mpn|sku|skus|plu|jan|barcode|bar code|zip"
    r"|postcode|phone|fax|tel)(?:[-_ ]?\d*)(?:$|[^a-z])|code$|code[^a-z]|条码|条形码"
    r"|货号|款号|编码|邮编|电话",
    re.IGNORECASE,
)
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_NOISE = re.compile(rb"[0-9.]{17}|e")
_MAX_DIGITS = 15
_LONGEST = 20
_SAMPLED_CELLS = 300
_LONGEST_SIZE = 80
_REMEMBERED = 10_000


def is_identifier(name: str) -> bool:
    """Say whether a column's name promises identifiers (GTIN, SKU …), which always stay text."""
    return _IDENTIFIER.search(name) is not None


class Columns:
    """Converts batches of one table's columns; decides on the first batch what each column is.

    `names` are the output columns, `derived` maps a derived column to the one it comes from. With
    `textual`, all cells are text and columns of plain numbers become numbers.
    """

    def __init__(self, names: Sequence[str], *, textual: bool = False) -> None:
        self.source_names = tuple(names)
        self.names = tuple(names)
        self.derived: dict[str, str] = {}
        self.notes: Counter[str] = Counter()
        self._identifiers = [is_identifier(name) for name in names]
        self._numbers: list[str | None] = [None] * len(self.source_names)
        self._dimensions: list[str | None] = [None] * len(self.source_names)
        self._textual = textual
        self._decided = False
        self._normalised: dict[str, dict[str, float | int | None]] = {}

    def convert(self, columns: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """Give the clean values of one batch, column by column in the order of `names`."""
        clean = [self._column(place, cells) for place, cells in enumerate(columns)]
        if not self._decided:
            self._decide(clean)
        output: list[list[Any]] = []
        for place, values in enumerate(clean):
            kind = self._numbers[place]
            output.append(values if kind is None else [_number(value, kind) for value in values])
            dimension = self._dimensions[place]
            if dimension is not None:
                output.append(self._normal(values, dimension))
        return output

    def _column(self, place: int, cells: Sequence[Any]) -> list[Any]:
        types = set(map(type, cells))
        if types == {str}:
            return self._texts(place, cells)
        if types == {float} and not self._identifiers[place]:
            return _floats(cells)
        if types == {bool}:
            return list(cells)
        if str in types and "" in cells and len(types) == 2:
            return self._with_blanks(place, cells)
        identifier = self._identifiers[place]
        return [
            (self._text(cell) if cell else None)
            if type(cell) is str
            else self._plain(cell, identifier)
            for cell in cells
        ]

    def _with_blanks(self, place: int, cells: Sequence[Any]) -> list[Any]:
        """Convert what is filled by itself: blanks must not make a column of numbers mixed."""
        filled = iter(self._column(place, [cell for cell in cells if cell != ""]))
        return [None if cell == "" else next(filled) for cell in cells]

    def _texts(self, place: int, cells: Sequence[str]) -> list[Any]:
        joined = " ".join(cells)
        clean = all_clean(joined)
        if not clean and "" in cells:
            return self._with_blanks(place, cells)
        texts = list(cells) if clean else clean_many(cells)
        # Error texts start with one of these, and hardly any other cell does.
        if ("#" in joined or "Err:" in joined) and not ERROR_TEXTS.isdisjoint(texts):
            self.notes["errors"] += sum(text in ERROR_TEXTS for text in texts)
            return [None if text in ERROR_TEXTS or not text else text for text in texts]
        return texts if clean else [text or None for text in texts]

    def _text(self, cell: str) -> str | None:
        text = clean_text(cell)
        if text in ERROR_TEXTS:
            self.notes["errors"] += 1
            return None
        return text or None

    def _plain(self, cell: Any, identifier: bool) -> Any:
        value = plain(cell)
        if identifier and isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, int) and abs(value) >= 10**_MAX_DIGITS:
            self.notes["digits"] += 1
            return str(value)
        return value

    def _decide(self, columns: Sequence[Sequence[Any]]) -> None:
        self._decided = True
        names: list[str] = []
        for place, (name, values) in enumerate(zip(self.source_names, columns, strict=True)):
            names.append(name)
            texts = [value for value in values if isinstance(value, str)]
            if not texts:
                continue
            if self._textual and not self._identifiers[place]:
                self._numbers[place] = number_kind(texts)
            if self._numbers[place] is None:
                derived = self._derive(place, name, texts[:_SAMPLED_CELLS])
                if derived is not None:
                    names.append(derived)
        self.names = tuple(names)

    def _derive(self, place: int, name: str, texts: Sequence[str]) -> str | None:
        dimension = units.column_dimension(texts)
        if dimension is None or units.names_unit(name, dimension):
            return None
        derived = f"{name}_{units.CANONICAL[dimension]}"
        if derived in self.source_names or derived in self.derived:
            return None
        self._dimensions[place] = dimension
        self.derived[derived] = name
        return derived

    def _normal(self, values: Sequence[Any], dimension: str) -> list[float | int | None]:
        """Give a column's quantities in the canonical unit; most of its values repeat."""
        known = self._normalised.setdefault(dimension, {})
        if len(known) > _REMEMBERED:
            known.clear()
        texts = [value if isinstance(value, str) else "" for value in values]
        for text in set(texts).difference(known):
            known[text] = units.normalised(text, dimension) if len(text) <= _LONGEST_SIZE else None
        return [known[text] for text in texts]


def _floats(cells: Sequence[float]) -> list[Any]:
    try:
        whole = list(map(int, cells))
    except (ValueError, OverflowError):
        return [plain(cell) for cell in cells]
    if max(map(abs, whole)) >= 10**_MAX_DIGITS:
        return [plain(cell) if abs(cell) < 10**_MAX_DIGITS else str(int(cell)) for cell in cells]
    if whole == list(cells):
        return whole
    # A workbook shows 15 significant digits; the 16th and 17th are noise of binary fractions. One
    # look at all numbers' digits spares formatting each.
    if not _NOISE.search(orjson.dumps(cells)):
        return [
            number if number == cell else cell for number, cell in zip(whole, cells, strict=True)
        ]
    return [
        number if number == cell else float(f"{cell:.15g}")
        for number, cell in zip(whole, cells, strict=True)
    ]


def plain(cell: Any) -> Any:
    """Give a raw cell of any type as an attribute value: text, number, boolean, list or None.

    Dates and times become ISO 8601 text, durations `hours:minutes:seconds`, decimals numbers, whole
    floats integers; NaN, infinities and bytes become None.
    """
    if cell is None or isinstance(cell, bool):
        return cell
    if isinstance(cell, int):
        return cell
    if isinstance(cell, float):
        if not math.isfinite(cell):
            return None
        return int(cell) if cell.is_integer() else float(f"{cell:.15g}")
    if isinstance(cell, str):
        return clean_text(cell) or None
    if isinstance(cell, (datetime.date, datetime.time)):
        return cell.isoformat()
    if isinstance(cell, datetime.timedelta):
        seconds = int(abs(cell).total_seconds())
        sign = "-" if cell < datetime.timedelta(0) else ""
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(cell, Decimal):
        return plain(float(cell)) if cell.is_finite() else None
    if isinstance(cell, dict):
        pairs = ((name, plain(value)) for name, value in cell.items())
        return "; ".join(f"{name}: {value}" for name, value in pairs if value is not None) or None
    if isinstance(cell, (list, tuple)):
        return _list(cell)
    return None if isinstance(cell, (bytes, bytearray, memoryview)) else plain(str(cell))


def _list(cells: Iterable[Any]) -> list[Any] | None:
    """Give a list of scalars; an inner pair reads `name: value`, other inner lists are joined."""
    values: list[Any] = []
    for cell in cells:
        value = plain(cell)
        if isinstance(value, list):
            value = (": " if len(value) == 2 else ", ").join(map(str, value)) or None
        if value is not None:
            values.append(value)
    return values or None


def number_kind(texts: Sequence[str]) -> str | None:
    """Say whether a text column is all plain numbers: "int", "float" or None.

    Leading zeros, signs such as +, more than 15 digits, thousands separators, or decimals whose
    trailing zeros would be lost unevenly (versions such as 1.10) keep a column text.
    """
    decimals: set[int] = set()
    uneven = False
    for text in texts:
        if not _PLAIN_NUMBER.fullmatch(text) or len(text) > _LONGEST:
            return None
        whole, _, fraction = text.partition(".")
        if len(whole.lstrip("-")) > (_MAX_DIGITS if not fraction else 9) or text == "-0":
            return None
        decimals.add(len(fraction))
        uneven = uneven or (len(fraction) > 1 and fraction.endswith("0"))
    if decimals == {0}:
        return "int"
    if uneven and len(decimals) > 1 and decimals != {0, 1}:
        return None
    # "1.613" beside "575" is most likely a thousand in a German or Spanish file.
    return None if decimals <= {0, 3} else "float"


def _number(value: Any, kind: str) -> Any:
    """Give a text cell of a numeric column as a number; whatever is not one stays text."""
    if not isinstance(value, str):
        return value
    if not _PLAIN_NUMBER.fullmatch(value) or len(value) > _LONGEST:
        return value
    if "." not in value:
        return int(value) if len(value) <= _MAX_DIGITS else value
    if kind == "int":
        return value
    # Writers of floats add noise in the 16th digit: 1.1000000000000001.
    number = float(f"{float(value):.15g}")
    return int(number) if number.is_integer() else number
