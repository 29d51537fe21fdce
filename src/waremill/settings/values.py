"""How the value of a setting is read: each reader gives it in its own type, or says what is wrong.

Pure: reads no file and no environment. A reader raises ValueError with the rest of a sentence that
begins with the setting's name; it never repeats a value, which may be a key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from waremill.domain import Target
from waremill.settings.names import CURRENCIES, suggestion

_ENDLESS = (math.inf, -math.inf)


def text(value: Any) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text")
    return value.strip()


def texts(value: Any) -> tuple[str, ...]:
    """Read a text or a list of texts, each once."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one.strip() for one in values):
        raise ValueError("must be text or a list of texts")
    return tuple(dict.fromkeys(one.strip() for one in values))


def stops(value: Any) -> tuple[str, ...]:
    """Read texts that end a reply, white space and all."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one for one in values):
        raise ValueError("must be text or a list of texts")
    return tuple(values)  # white space matters here: "\n" is a usual stop


def hosts(value: Any) -> tuple[str, ...]:
    """Read names of hosts, with a port or without."""
    hosts = tuple(one.lower() for one in texts(value))
    for host in hosts:
        if not re.fullmatch(r"(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", host):
            raise ValueError("must hold host names such as shop.example or shop.example:8750")
    return hosts


def networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read addresses and networks, but not the one that holds them all."""
    try:
        found = tuple(ip_network(one) for one in texts(value))
    except ValueError:
        raise ValueError(
            "must hold addresses or networks such as 127.0.0.1 or 10.0.0.0/8"
        ) from None
    if any(network.prefixlen == 0 for network in found):
        raise ValueError("must not hold every address there is: anybody could then pose as another")
    return found


def number(
    low: float = -math.inf, high: float = math.inf, *, above: bool = False
) -> Callable[[Any], float]:
    """Give the reader of a number from `low`, or above it, to `high`."""
    bounds = f" above {low:g}" if above else (f" of {low:g} or more" if math.isfinite(low) else "")
    bounds += f", at most {high:g}" if math.isfinite(high) else ""

    def read(value: Any) -> float:
        usable = isinstance(value, int | float) and not isinstance(value, bool)
        if not usable or not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"must be a number{bounds}")
        if above and value == low:
            raise ValueError(f"must be a number{bounds}")
        return float(value)

    return read


def truth(value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def whole(low: int | None = None) -> Callable[[Any], int]:
    """Give the reader of a whole number, of `low` or more."""

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or (low or value) > value:
            raise ValueError("must be a whole number" + (f" of {low} or more" if low else ""))
        return value

    return read


def choice(*choices: str) -> Callable[[Any], str]:
    """Give the reader of one word among a few."""

    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return read


def currency(value: Any) -> str:
    """Read an ISO 4217 code."""
    code = text(value)
    known = CURRENCIES.split()
    if code not in known:
        hint = suggestion(code.upper(), known)
        raise ValueError(f"must be an ISO 4217 code such as CNY, EUR or USD{hint}")
    return code


def languages(value: Any) -> tuple[str, ...]:
    """Read codes of languages, without market or channel."""
    codes = texts(value)
    for code in codes:
        problem = f"holds “{code}”, which is no language code such as en, de or zh-Hant"
        try:
            target = Target.parse(code)
        except ValueError:
            raise ValueError(problem) from None
        if target.market or target.channel:
            raise ValueError(f"{problem}; markets and channels belong to targets")
    return codes


def urls(value: Any) -> tuple[str, ...]:
    """Read web addresses, without the slash at their ends."""
    urls = tuple(url.rstrip("/") for url in texts(value))
    for url in urls:
        _check_url(url)
    return urls


def url(value: Any) -> str:
    """Read a web address."""
    address = text(value)
    _check_url(address)
    return address


def beginnings(value: Any) -> tuple[str, ...]:
    """Read what web addresses begin with, as it stands."""
    urls = texts(value)
    for url in urls:
        _check_url(url)
    return urls


def objects(value: Any) -> tuple[str, ...]:
    """Read names of Python objects, as package.module:name."""
    paths = texts(value)
    for path in paths:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", path):
            raise ValueError("must name Python objects as package.module:name")
    return paths


def named_objects(value: Any) -> dict[str, str]:
    """Read a table of Python objects by the names they are called."""
    if not isinstance(value, dict) or not value:
        raise ValueError('must be a table such as {manuals = "shop.search:retriever"}')
    for name, path in value.items():
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
            raise ValueError("must have names of small letters, digits and hyphens")
        objects(path)
    return dict(value)


def _check_url(url: str) -> None:
    # The URL is not repeated in messages: it may hold what must stay secret.
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be a web address that starts with http:// or https://")
    secret = {"key", "api_key", "api-key", "apikey", "token", "access_token", "sig"}
    if parts.username or parts.password or secret & {n.lower() for n, _ in parse_qsl(parts.query)}:
        raise ValueError("must not hold a key or password; name the key's variable in api_key_env")


def source_url(value: Any) -> str:
    """Read the URL of a database or a REST address, without a password."""
    # The URL is not repeated in messages: it may hold what must stay secret.
    url = text(value)
    if not re.match(r"[A-Za-z][A-Za-z0-9_]*(?:\+[A-Za-z0-9_]+)?://", url):
        raise ValueError("must be a database URL such as sqlite:///shop.db?table=products")
    if re.match(r"[^:]+://[^/?@]*:[^/?]*@", url) or re.search(r"[?&]\w*passw", url, re.IGNORECASE):
        raise ValueError("must not hold a password; put the URL into a variable, named in url_env")
    return url


def database_url(value: Any) -> str:
    """Read the URL of a database alone, without a table."""
    url = source_url(value)
    if "?" in url and re.search(r"[?&](?:table|query)=", url, re.IGNORECASE):
        raise ValueError("must name the database alone; the table stands in its own setting, table")
    return url


def share(value: Any) -> float:
    """Read a share from 0 to 1, or up to 100 with a percent sign."""
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"\d+(?:\.\d+)?\s*%", text):
        value = float(text.rstrip("% ")) / 100
    return number(0, 1)(value)


def targets(value: Any) -> tuple[str, ...]:
    """Read targets, such as de-DE@amazon."""
    for one in texts(value):
        try:
            Target.parse(one)
        except ValueError as problem:
            raise ValueError(f"holds {problem}") from None
    return texts(value)


def variable(value: Any) -> str:
    """Read the name of one environment variable."""
    (name,) = key_names(text(value))
    return name


def key_names(value: Any) -> tuple[str, ...]:
    """Read names of environment variables; a key pasted in their place is refused."""
    names = texts(value)
    for name in names:
        # A long name in mixed case is a key that was pasted here by mistake.
        pasted = len(name) > 30 and name != name.upper()
        if pasted or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(
                "must name environment variables such as OPENAI_API_KEY, not hold the key itself"
            )
    return names


def proxy(value: Any) -> str:
    """Read a proxy's address."""
    url = text(value)
    if not re.match(r"(https?|socks5h?)://[^/\s]+", url):
        raise ValueError("must be a proxy address such as http://proxy.example:3128")
    return url


def headers(value: Any) -> dict[str, str]:
    """Read a table of HTTP headers."""
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError("must be a table of header names and texts")
    for name, content in value.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\r\n]", content):
            raise ValueError("holds a name or text that cannot be sent as an HTTP header")
    return dict(value)


def options(value: Any) -> dict[str, Any]:
    """Read a table of plain values, lists and tables."""
    if not isinstance(value, dict):
        raise ValueError('must be a table such as {quality = "high"}')
    waiting = list(value.values())
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
        elif not isinstance(one, str | bool | int | float) or one in _ENDLESS or one != one:
            raise ValueError(
                "must hold texts, numbers, true or false, and lists and tables of them"
            )
    return dict(value)


def price_table(value: Any) -> dict[str, Any]:
    """Read a table of prices."""
    if not isinstance(value, dict) or not {"input", "output"} <= value.keys():
        raise ValueError("must be a table such as {input = 0.4, output = 1.6}")
    unknown = value.keys() - {"input", "output", "cached", "per_call", "currency"}
    if unknown:
        raise ValueError(
            f"has no part “{min(unknown)}”; it has input, output, cached, per_call and currency"
        )
    for name in value.keys() - {"currency"}:
        try:
            number(0)(value[name])
        except ValueError as problem:
            raise ValueError(f"{problem} for “{name}”") from None
    return dict(value)
