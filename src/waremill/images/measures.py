"""The measures operators write: margins and ratios.

Text in, numbers out; what cannot be read is a ConfigError that names the setting.
"""

from __future__ import annotations

import re

from waremill.errors import ConfigError

_LENGTH = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|px)?")
_RATIO = re.compile(r"(?P<width>\d+(?:\.\d+)?)\s*[:x×/]\s*(?P<height>\d+(?:\.\d+)?)")


def pixels_of(text: str, whole: float, what: str) -> float:
    """Read a length in pixels: `40px`, `5%` of `whole`, or `0.05` of it; 1 and more are pixels."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{what} must be like 5%, 40px or 0.05, not “{text}”")
    number = float(match["number"])
    if match["unit"] == "%":
        return number / 100 * whole
    if match["unit"] == "px" or number >= 1:
        return number
    return number * whole


def ratio_of(text: str, what: str) -> float:
    """Read a ratio such as `4:5` as width divided by height."""
    match = _RATIO.fullmatch(text.strip())
    if match is None or not float(match["width"]) or not float(match["height"]):
        raise ConfigError(f"{what} must be like 1:1, 4:5 or 16:9, not “{text}”")
    ratio = float(match["width"]) / float(match["height"])
    if not 0.02 <= ratio <= 50:
        raise ConfigError(f"{what} must lie between 1:50 and 50:1, not “{text}”")
    return ratio
