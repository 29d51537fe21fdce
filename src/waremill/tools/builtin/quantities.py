"""Numbers with units: exact values, their dimensions, and how they are written.

A quantity is kept in base units: cm, g, min, A, W, GB. What else there is comes from these (a
volume is a length to the third: 1 ml = 1 cm³). Temperatures convert and are not reckoned with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from waremill.catalog.units import CANONICAL, dimension_of, unit_named

MOST_BITS = 4_096
"""A number's size at most: some 1,200 digits, above and below the line."""
SIGNIFICANT = 12

Dimensions = tuple[tuple[str, int], ...]

# The SI brochure (9th edition) for how these come from each other; canonical units of
# `catalog.units` (ml, m², Wh, mAh, V, Hz) in the base units above.
_DERIVED: Mapping[str, tuple[Fraction, Dimensions]] = {
    "volume": (Fraction(1), (("length", 3),)),
    "area": (Fraction(10_000), (("length", 2),)),
    "energy": (Fraction(60), (("power", 1), ("time", 1))),
    "charge": (Fraction(6, 100), (("current", 1), ("time", 1))),
    "voltage": (Fraction(1), (("current", -1), ("power", 1))),
    "frequency": (Fraction(60), (("time", -1),)),
    "percent": (Fraction(1, 100), ()),
}
_BASE = {"length": "cm", "mass": "g", "time": "min", "current": "A", "power": "W", "data": "GB"}
# t = (x + offset) × factor gives kelvin. °F: 0 °F is 459.67 below in its own degrees.
_TEMPERATURES: Mapping[str, tuple[Fraction, Fraction]] = {
    "°c": (Fraction("273.15"), Fraction(1)),
    "°f": (Fraction("459.67"), Fraction(5, 9)),
    "k": (Fraction(0), Fraction(1)),
}
_TEMPERATURE_WORDS = {
    "°c": "°c", "℃": "°c", "degc": "°c", "celsius": "°c", "摄氏度": "°c",
    "°f": "°f", "℉": "°f", "degf": "°f", "fahrenheit": "°f", "华氏度": "°f",
    "k": "k", "kelvin": "k",
}  # fmt: skip


class Unclear(ValueError):
    """What cannot be worked out, in one sentence."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it was written, in base units; `temperature` names a scale of temperature."""

    written: str
    factor: Fraction
    dimensions: Dimensions
    temperature: str | None = None


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in base units; `unit` is the one to show it in, `percent` that it was written so."""

    value: Fraction
    dimensions: Dimensions = ()
    unit: Unit | None = field(default=None, compare=False)
    percent: bool = False

    def __post_init__(self) -> None:
        size = max(self.value.numerator.bit_length(), self.value.denominator.bit_length())
        if size > MOST_BITS:
            raise Unclear("the numbers become too large")

    @property
    def temperature(self) -> str | None:
        """The scale of temperature it is on; None for anything else."""
        return None if self.unit is None else self.unit.temperature


def unit_of(written: str, beside: Dimensions | None = None) -> Unit | None:
    """Give the unit of a written form; None for what is none.

    `oz` beside a volume is the fluid ounce, as shops mean it.
    """
    scale = _TEMPERATURE_WORDS.get(written.lower().replace(" ", ""))
    if scale is not None and not (scale == "k" and written != "K" and written.lower() == "k"):
        return Unit(written, Fraction(1), (("temperature", 1),), scale)
    name = unit_named(written)
    if name == "oz" and beside == (("length", 3),):
        name, written = "fl oz", "fl oz"
    if name is None or name == "c":
        return None
    dimension, factor = dimension_of(name)
    exact = Fraction(str(factor)) if name not in ("s", "hp") else _EXACT_FACTORS[name]
    if dimension in _DERIVED:
        scale_by, dimensions = _DERIVED[dimension]
        return Unit(written, exact * scale_by, dimensions)
    return Unit(written, exact, ((dimension, 1),))


_EXACT_FACTORS = {"s": Fraction(1, 60), "hp": Fraction("745.69987158227022")}


def multiplied(left: Quantity, right: Quantity, power: int = 1) -> Quantity:
    """Multiply, or divide where `power` is −1."""
    for one in (left, right):
        if one.temperature is not None:
            raise Unclear("a temperature is only converted: 20 °C in °F")
    if power < 0 and right.value == 0:
        raise Unclear("this divides by zero")
    value = left.value * right.value if power > 0 else left.value / right.value
    counts = dict(left.dimensions)
    for name, count in right.dimensions:
        counts[name] = counts.get(name, 0) + power * count
    dimensions = tuple(sorted((name, count) for name, count in counts.items() if count))
    shown = next(
        (one.unit for one in (left, right) if one.unit and one.dimensions == dimensions), None
    )
    return Quantity(value, dimensions, shown if dimensions else None)


def added(left: Quantity, right: Quantity, sign: int) -> Quantity:
    """Add, or subtract where `sign` is −1; `100 − 20 %` is 80."""
    if right.percent and not left.percent:
        return Quantity(left.value * (1 + sign * right.value), left.dimensions, left.unit)
    if left.dimensions != right.dimensions:
        raise Unclear(f"{name_of(left)} and {name_of(right)} cannot be added or compared")
    if left.temperature is not None:
        raise Unclear("a temperature is only converted: 20 °C in °F")
    percent = left.percent and right.percent
    return Quantity(left.value + sign * right.value, left.dimensions, left.unit, percent)


def raised(base: Quantity, exponent: Quantity) -> Quantity:
    """Raise to a whole power of at most 64; of numbers without a unit also to a half."""
    if exponent.dimensions:
        raise Unclear("an exponent has no unit")
    if exponent.value == Fraction(1, 2):
        return root(base)
    if exponent.value.denominator != 1 or abs(exponent.value) > 64:
        raise Unclear("an exponent is a whole number from -64 to 64, or 0.5")
    count = int(exponent.value)
    if base.value == 0 and count < 0:
        raise Unclear("this divides by zero")
    result = Quantity(Fraction(1))
    for _ in range(abs(count)):
        result = multiplied(result, base, 1 if count > 0 else -1)
    return result


def root(of: Quantity) -> Quantity:
    """Give the square root, as exactly as 18 digits are."""
    if of.dimensions or of.value < 0:
        raise Unclear("a square root is taken of a number from 0, without a unit")
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 18
        value = Decimal(of.value.numerator) / Decimal(of.value.denominator)
        return Quantity(Fraction(value.sqrt()))


def read_in(quantity: Quantity, unit: Unit) -> Fraction:
    """Give a quantity's value in a unit; raises Unclear where that makes no sense."""
    if unit.temperature is not None and quantity.temperature is not None:
        offset, factor = _TEMPERATURES[quantity.temperature]
        to_offset, to_factor = _TEMPERATURES[unit.temperature]
        return (quantity.value + offset) * factor / to_factor - to_offset
    if quantity.dimensions != unit.dimensions:
        raise Unclear(f"{name_of(quantity)} cannot be given in {unit.written}")
    return quantity.value / unit.factor


def name_of(quantity: Quantity) -> str:
    """Say what a quantity is, for a sentence: `ml`, or “a number without a unit”."""
    if not quantity.dimensions:
        return "a number without a unit"
    return quantity.unit.written if quantity.unit is not None else _composed(quantity.dimensions)


def written(quantity: Quantity, unit: Unit | None = None) -> str:
    """Write a quantity, to 12 digits, in a unit or the one it came in."""
    shown = unit or quantity.unit
    if shown is None and quantity.dimensions:
        shown = _canonical(quantity.dimensions)
    if shown is None:
        return f"{plain(quantity.value * 100)} %" if quantity.percent else plain(quantity.value)
    return f"{plain(read_in(quantity, shown))} {shown.written}"


def _canonical(dimensions: Dimensions) -> Unit:
    for name, (factor, made_of) in _DERIVED.items():
        if made_of == dimensions:
            return Unit(CANONICAL[name], factor, dimensions)
    return Unit(_composed(dimensions), Fraction(1), dimensions)


def _composed(dimensions: Dimensions) -> str:
    parts = (f"{_BASE.get(name, name)}{'' if n == 1 else f'^{n}'}" for name, n in dimensions)
    return "·".join(parts)


def plain(value: Fraction) -> str:
    """Write a number plainly, to 12 significant digits."""
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = SIGNIFICANT
        number = Decimal(value.numerator) / Decimal(value.denominator)
        if number == 0:
            return "0"
        if not -9 <= number.adjusted() <= 20:
            return f"{number.normalize():E}"
        text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


__all__ = [
    "Dimensions", "Quantity", "Unclear", "Unit", "added", "multiplied", "name_of", "plain",
    "raised", "read_in", "root", "unit_of", "written",
]  # fmt: skip
