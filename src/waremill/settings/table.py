"""Every setting of `waremill.toml`: how it is read, what it is for, and its default.

Pure: reads no file and no environment. Messages never repeat a value, which may be a key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from waremill.domain import Target
from waremill.settings.names import CURRENCIES, suggestion

_ENDLESS = (math.inf, -math.inf)
_STRUCTURED = ("auto", "schema", "tool", "object", "text")
_PAGING = ("none", "page", "offset", "cursor", "link")
_PROXY_HEADERS = ("x-forwarded-for", "forwarded")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text")
    return value.strip()


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one.strip() for one in values):
        raise ValueError("must be text or a list of texts")
    return tuple(dict.fromkeys(one.strip() for one in values))


def _stops(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one for one in values):
        raise ValueError("must be text or a list of texts")
    return tuple(values)  # white space matters here: "\n" is a usual stop


def _hosts(value: Any) -> tuple[str, ...]:
    hosts = tuple(one.lower() for one in _texts(value))
    for host in hosts:
        if not re.fullmatch(r"(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", host):
            raise ValueError("must hold host names such as shop.example or shop.example:8750")
    return hosts


def _networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        found = tuple(ip_network(one) for one in _texts(value))
    except ValueError:
        raise ValueError(
            "must hold addresses or networks such as 127.0.0.1 or 10.0.0.0/8"
        ) from None
    if any(network.prefixlen == 0 for network in found):
        raise ValueError("must not hold every address there is: anybody could then pose as another")
    return found


def _number(
    low: float = -math.inf, high: float = math.inf, *, above: bool = False
) -> Callable[[Any], float]:
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


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _whole(low: int | None = None) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or (low or value) > value:
            raise ValueError("must be a whole number" + (f" of {low} or more" if low else ""))
        return value

    return read


def _choice(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return read


def _currency(value: Any) -> str:
    code = _text(value)
    known = CURRENCIES.split()
    if code not in known:
        hint = suggestion(code.upper(), known)
        raise ValueError(f"must be an ISO 4217 code such as CNY, EUR or USD{hint}")
    return code


def _languages(value: Any) -> tuple[str, ...]:
    codes = _texts(value)
    for code in codes:
        problem = f"holds “{code}”, which is no language code such as en, de or zh-Hant"
        try:
            target = Target.parse(code)
        except ValueError:
            raise ValueError(problem) from None
        if target.market or target.channel:
            raise ValueError(f"{problem}; markets and channels belong to targets")
    return codes


def _urls(value: Any) -> tuple[str, ...]:
    urls = tuple(url.rstrip("/") for url in _texts(value))
    for url in urls:
        _check_url(url)
    return urls


def _beginnings(value: Any) -> tuple[str, ...]:
    urls = _texts(value)
    for url in urls:
        _check_url(url)
    return urls


def _objects(value: Any) -> tuple[str, ...]:
    paths = _texts(value)
    for path in paths:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", path):
            raise ValueError("must name Python objects as package.module:name")
    return paths


def _named_objects(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise ValueError('must be a table such as {manuals = "shop.search:retriever"}')
    for name, path in value.items():
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
            raise ValueError("must have names of small letters, digits and hyphens")
        _objects(path)
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


def _source_url(value: Any) -> str:
    # The URL is not repeated in messages: it may hold what must stay secret.
    url = _text(value)
    if not re.match(r"[A-Za-z][A-Za-z0-9_]*(?:\+[A-Za-z0-9_]+)?://", url):
        raise ValueError("must be a database URL such as sqlite:///shop.db?table=products")
    if re.match(r"[^:]+://[^/?@]*:[^/?]*@", url) or re.search(r"[?&]\w*passw", url, re.IGNORECASE):
        raise ValueError("must not hold a password; put the URL into a variable, named in url_env")
    return url


def _database_url(value: Any) -> str:
    url = _source_url(value)
    if "?" in url and re.search(r"[?&](?:table|query)=", url, re.IGNORECASE):
        raise ValueError("must name the database alone; the table stands in its own setting, table")
    return url


def _share(value: Any) -> float:
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"\d+(?:\.\d+)?\s*%", text):
        value = float(text.rstrip("% ")) / 100
    return _number(0, 1)(value)


def _targets(value: Any) -> tuple[str, ...]:
    for one in _texts(value):
        try:
            Target.parse(one)
        except ValueError as problem:
            raise ValueError(f"holds {problem}") from None
    return _texts(value)


def _variable(value: Any) -> str:
    (name,) = _key_names(_text(value))
    return name


def _key_names(value: Any) -> tuple[str, ...]:
    names = _texts(value)
    for name in names:
        # A long name in mixed case is a key that was pasted here by mistake.
        pasted = len(name) > 30 and name != name.upper()
        if pasted or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(
                "must name environment variables such as OPENAI_API_KEY, not hold the key itself"
            )
    return names


def _proxy(value: Any) -> str:
    url = _text(value)
    if not re.match(r"(https?|socks5h?)://[^/\s]+", url):
        raise ValueError("must be a proxy address such as http://proxy.example:3128")
    return url


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError("must be a table of header names and texts")
    for name, content in value.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\r\n]", content):
            raise ValueError("holds a name or text that cannot be sent as an HTTP header")
    return dict(value)


def _options(value: Any) -> dict[str, Any]:
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


def _price_table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not {"input", "output"} <= value.keys():
        raise ValueError("must be a table such as {input = 0.4, output = 1.6}")
    unknown = value.keys() - {"input", "output", "cached", "per_call", "currency"}
    if unknown:
        raise ValueError(
            f"has no part “{min(unknown)}”; it has input, output, cached, per_call and currency"
        )
    for name in value.keys() - {"currency"}:
        try:
            _number(0)(value[name])
        except ValueError as problem:
            raise ValueError(f"{problem} for “{name}”") from None
    return dict(value)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: how its value is read, what it is for, and what holds when it is absent."""

    read: Callable[[Any], Any] = field(repr=False)
    description: str
    default: str


SETTINGS: Mapping[str, Setting] = {
    "currency": Setting(_currency, "Currency that costs are shown in (ISO 4217).", "USD"),
    "per_usd": Setting(_number(0, above=True), "How many units of it one US dollar buys.", "1"),
    "languages": Setting(_languages, "Languages the copy may be in.", '["en", "zh", "de", "fr"]'),
    "database.url": Setting(
        _text, "SQLAlchemy URL of the database, sqlite or postgresql.", "SQLite in .waremill/"
    ),
    "limits.budget": Setting(_number(0), "Most a run may spend, in the currency.", "none"),
    "limits.deadline": Setting(_number(0, above=True), "Most minutes a run may take.", "none"),
    "limits.error_rate": Setting(
        _number(0, 1, above=True), "Share of failed items that pauses a run.", "0.2"
    ),
    "limits.concurrency": Setting(_whole(1), "Items worked on at once by one process.", "64"),
    "limits.asks_again": Setting(
        _whole(), "How often an invalid answer is asked for again before review.", "2"
    ),
    "batch.requests": Setting(_whole(1), "Most requests of one batch.", "50000"),
    "batch.megabytes": Setting(_number(0, above=True), "Most megabytes of one batch.", "100"),
    "batch.poll": Setting(
        _number(0, above=True), "Most seconds between two looks at a batch.", "60"
    ),
    "batch.retries": Setting(
        _whole(), "How often a request that a batch left unanswered goes into another one.", "2"
    ),
    "batch.then": Setting(
        _choice("live", "fail"), "What happens to it afterwards: it is sent live, or fails.", "live"
    ),
    "batch.others": Setting(
        _choice("refuse", "live"),
        "What a batch run does with a model without batches: it is refused, or called live.",
        "refuse",
    ),
    "review.approvals": Setting(
        _truth,
        "Whether what is changed in the console waits for a second person's approval.",
        "true where there are accounts",
    ),
    "server.hosts": Setting(
        _hosts, "Names the server is reached by, besides its address, as shop.example:8750.", "none"
    ),
    "server.https": Setting(
        _truth, "Whether browsers reach the server over https, through a proxy.", "false"
    ),
    "server.trusted_proxies": Setting(
        _networks,
        "Addresses or networks of the proxies whose word on who calls is taken, as 10.0.0.0/8.",
        "none",
    ),
    "server.proxy_header": Setting(
        _choice(*_PROXY_HEADERS),
        f"The header in which they name the caller: {' or '.join(_PROXY_HEADERS)}.",
        _PROXY_HEADERS[0],
    ),
    "server.allow_private_webhooks": Setting(
        _truth, "Whether webhooks may go to private and loopback addresses.", "false"
    ),
    "sources.NAME.url": Setting(
        _source_url,
        "What may be imported by its name: a database, with ?table=NAME or ?query=SELECT …, or a "
        "REST address that gives JSON.",
        "in url_env",
    ),
    "sources.NAME.url_env": Setting(
        _variable, "The variable that holds the URL, where it has a password.", "none"
    ),
    "sources.NAME.folder": Setting(
        _text,
        "Instead of a URL, a folder or bucket (s3://bucket/folder) whose new and changed files are "
        "imported.",
        "none",
    ),
    "sources.NAME.pattern": Setting(_text, "Which files of it, such as *.xlsx.", "all readable"),
    "sources.NAME.settle_seconds": Setting(
        _number(0), "How long a local file must have been left alone.", "10"
    ),
    "sources.NAME.key": Setting(_text, "The column that tells products apart.", "the catalogue's"),
    "sources.NAME.group": Setting(_text, "The column that joins SKUs to one product.", "none"),
    "sources.NAME.catalog": Setting(_text, "The catalogue.", "the only one"),
    "sources.NAME.changed_column": Setting(
        _text,
        "Of a database: a column that grows with every change; what it had before is not read.",
        "all is read",
    ),
    "sources.NAME.items": Setting(
        _text, "Of REST: where the list of items stands, such as data.products.", "the longest"
    ),
    "sources.NAME.paging": Setting(
        _choice(*_PAGING), "Of REST: how the next page is asked for.", "none"
    ),
    "sources.NAME.page_param": Setting(
        _text, "The parameter with the page, offset or cursor.", "as paging is called"
    ),
    "sources.NAME.size_param": Setting(_text, "The parameter with the page's size.", "none"),
    "sources.NAME.page_size": Setting(_whole(1), "Items a page.", "100"),
    "sources.NAME.next_field": Setting(
        _text, "Where the next cursor stands in a page, such as meta.next.", "next"
    ),
    "sources.NAME.auth_env": Setting(
        _variable, "The variable with the header's value, such as Bearer ….", "none"
    ),
    "sources.NAME.auth_header": Setting(_text, "The header it goes into.", "Authorization"),
    "sources.NAME.rpm": Setting(_whole(1), "Most requests a minute.", "none"),
    "sources.NAME.allow_private": Setting(
        _truth, "Whether the address may be private or loopback.", "false"
    ),
    "publish.CHANNEL.format": Setting(
        _text, "What is written: a format of publishing, such as google-merchant.", "required"
    ),
    "publish.CHANNEL.mapping": Setting(
        _text, "The workspace's file that says what goes where.", "publish/CHANNEL.yaml"
    ),
    "publish.CHANNEL.out": Setting(
        _texts,
        "The files it writes, one a target; {target} in a name stands for the target.",
        "named with the command",
    ),
    "publish.CHANNEL.targets": Setting(
        _targets, "The targets that are published, in the order of the files.", "all of the run"
    ),
    "publish.CHANNEL.template": Setting(
        _text, "The marketplace's own workbook that is filled (format workbook).", "none"
    ),
    "publish.CHANNEL.url": Setting(
        _database_url, "The database that is written to (format sql).", "in url_env"
    ),
    "publish.CHANNEL.url_env": Setting(
        _variable, "The variable that holds the URL, where it has a password.", "none"
    ),
    "publish.CHANNEL.table": Setting(_text, "The table that is written to (format sql).", "none"),
    "publish.CHANNEL.pictures_url": Setting(
        _urls, "The web address under which the folder of pictures can be read.", "none"
    ),
    "publish.CHANNEL.staged": Setting(
        _truth, "Whether it is published in stages only: 1%, 10%, all.", "false"
    ),
    "publish.CHANNEL.open_at_refused": Setting(
        _share,
        "Share of refused rows up to which the next stage is published at once, as 0.02 or 2%.",
        "a person opens it",
    ),
    "pictures.storage": Setting(
        _text,
        "Where pictures are kept: a folder, or a URL such as s3://bucket/folder.",
        ".waremill/files",
    ),
    "pictures.folders": Setting(
        _texts, "Folders besides the workspace whose pictures products may name.", "none"
    ),
    "pictures.threads": Setting(
        _whole(1), "Pictures worked on at once by one process.", "the machine's cores"
    ),
    "knowledge.embedder": Setting(
        _text,
        "What embeds knowledge: a local embedder, or a model of this file whose endpoint does.",
        "universal",
    ),
    "knowledge.passage_tokens": Setting(_whole(32), "Most tokens of a passage.", "320"),
    "knowledge.overlap": Setting(_whole(), "Tokens that two parts of one long text share.", "40"),
    "knowledge.allow_private_addresses": Setting(
        _truth, "Whether documents may be fetched from private and loopback addresses.", "false"
    ),
    "knowledge.retrievers": Setting(
        _named_objects,
        "LangChain or LlamaIndex retrievers that are searched as knowledge bases, by name.",
        "none",
    ),
    "tools.allow": Setting(
        _beginnings, "How addresses begin that the tool http_get may read.", "none"
    ),
    "tools.allow_private": Setting(
        _truth, "Whether these may be private and loopback addresses.", "false"
    ),
    "tools.functions": Setting(
        _objects, "Own tools: typed Python functions, as package.module:name.", "none"
    ),
    "tools.runnables": Setting(
        _named_objects, "LangChain Runnables that the step langchain may name.", "none"
    ),
    "tools.turns": Setting(_whole(1), "How often a model with tools is asked, at most.", "8"),
    "tools.tokens": Setting(_whole(1), "Tokens after which no tool is called any more.", "60000"),
    "tools.seconds": Setting(
        _number(0, above=True), "Seconds after which no tool is called any more.", "180"
    ),
    "ray.address": Setting(
        _text, "Ray's cluster: auto, HOST:PORT or ray://HOST:PORT.", "one on this machine"
    ),
    "ray.workers": Setting(_whole(1), "Workers of a run.", "as many as the cluster has room for"),
    "ray.cpus": Setting(_number(0, above=True), "Processors that each asks its node for.", "1"),
    "ray.gpus": Setting(
        _number(0), "GPUs that each asks for where a step runs a diffusion model itself.", "1"
    ),
    "retention.answers": Setting(
        _whole(1), "Days after which `retain` deletes models' replies; results stay.", "kept"
    ),
    "retention.chats": Setting(
        _whole(1), "Days after its last turn `retain` deletes a conversation.", "kept"
    ),
    "retention.deliveries": Setting(
        _whole(1), "Days after which `retain` deletes messages that webhooks got.", "kept"
    ),
    "prices.USE": Setting(
        _price_table, "Price of a model by its `use`, for all aliases; as `price` below.", "known"
    ),
    "models.ALIAS.use": Setting(
        _text, "Vendor and model, such as openai:gpt-4.1-mini, or local.", "required"
    ),
    "models.ALIAS.base_url": Setting(
        _urls, "Address of a compatible server; several spread the load.", "the vendor's"
    ),
    "models.ALIAS.api_key_env": Setting(
        _key_names, "Variables that hold the keys; none needed on loopback.", "the vendor's"
    ),
    "models.ALIAS.rpm": Setting(_whole(1), "Requests a minute the account allows.", "none"),
    "models.ALIAS.tpm": Setting(_whole(1), "Tokens a minute the account allows.", "none"),
    "models.ALIAS.enqueued_tokens": Setting(
        _whole(1), "Input tokens the account allows in batches that are not done.", "none"
    ),
    "models.ALIAS.concurrency": Setting(_whole(1), "Most calls in flight at once.", "adapts"),
    "models.ALIAS.timeout": Setting(_number(0, above=True), "Seconds one attempt may take.", "120"),
    "models.ALIAS.fallback": Setting(_texts, "Models to try when this one cannot.", "none"),
    "models.ALIAS.headers": Setting(
        _headers, "Extra HTTP headers; ${NAME} takes a variable's value.", "none"
    ),
    "models.ALIAS.proxy": Setting(_proxy, "Proxy to go through.", "HTTPS_PROXY"),
    "models.ALIAS.price": Setting(
        _price_table,
        "{input, output, cached} per million tokens and per_call, in US dollars or in `currency`.",
        "known",
    ),
    "models.ALIAS.structured": Setting(
        _choice(*_STRUCTURED), f"How JSON is asked for: {', '.join(_STRUCTURED)}.", "auto"
    ),
    "models.ALIAS.temperature": Setting(_number(0, 2), "Sampling temperature.", "the model's"),
    "models.ALIAS.top_p": Setting(
        _number(0, 1, above=True), "Nucleus sampling's share of probability.", "the model's"
    ),
    "models.ALIAS.seed": Setting(_whole(), "Seed, where the vendor knows one.", "none"),
    "models.ALIAS.stop": Setting(_stops, "Texts that end a reply.", "none"),
    "models.ALIAS.effort": Setting(_text, "Reasoning effort, such as low or high.", "the model's"),
    "models.ALIAS.workflow": Setting(
        _text, "The workspace's file with a ComfyUI workflow: workflows/scene.json.", "none"
    ),
    "models.ALIAS.window": Setting(
        _whole(1024), "Tokens it reads and writes at most, for chats.", "32768; local: 4096"
    ),
    "models.ALIAS.tools": Setting(
        _truth,
        "Whether a chat lets it call tools; else it is given passages.",
        "true; local: false",
    ),
    "models.ALIAS.options": Setting(
        _options, "Settings handed to a model of pictures as they are, by its own names.", "none"
    ),
}
"""Every setting of `waremill.toml`. The reference is generated from it; ALIAS and USE stand for
names the user picks."""
