"""The settings of one workspace, put together and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from waremill.domain import Model, Price
from waremill.errors import ConfigError, Where
from waremill.settings.document import Document
from waremill.settings.keeping import Retention
from waremill.settings.models import build_model, unknown_model, vendor_problem
from waremill.settings.table import SETTINGS
from waremill.settings.telemetry import Telemetry
from waremill.settings.workspace import (
    FILE_NAME,
    find_workspace,
    read_environment_file,
    workspace_files,
)

_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run unless the command says otherwise.

    `budget` is in the workspace's currency, `deadline` in minutes, `error_rate` a share of items.
    """

    budget: float | None = None
    deadline: float | None = None
    error_rate: float = 0.2
    concurrency: int = 64
    asks_again: int = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """How runs go through vendors' batch endpoints.

    `requests` and `megabytes` bound a batch below the vendor's own limits. `poll` is how many
    seconds lie between two looks at most. A request that was not answered goes into another batch
    `retries` times; `then` it is sent live or fails. `others` says what happens to steps whose
    model has no batches: the run is refused, or they are called live.
    """

    requests: int = 50_000
    megabytes: float = 100.0
    poll: float = 60.0
    retries: int = 2
    then: Literal["live", "fail"] = "live"
    others: Literal["refuse", "live"] = "refuse"


@dataclass(frozen=True, slots=True)
class Server:
    """How `waremill serve` is reached and what it may reach.

    `hosts` are the names a request may be sent to, besides the address that is served; `https`
    says that browsers reach it through a proxy that speaks it. `trusted_proxies` may say, in
    `proxy_header`, whom a request comes from.
    """

    hosts: tuple[str, ...] = ()
    https: bool = False
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    proxy_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    allow_private_webhooks: bool = False


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where pictures are kept and looked for, and how many are worked on at once.

    `storage` is a folder or a URL; `folders` are those besides the workspace that products may
    name pictures of.
    """

    storage: str
    folders: tuple[Path, ...] = ()
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How documents become passages, and what may be fetched.

    `embedder` is a local embedder's name or a model's alias (None: the default one). Lengths are
    tokens; None is the default. `retrievers` name other libraries' as `package.module:name`.
    """

    embedder: str | None = None
    passage_tokens: int | None = None
    overlap: int | None = None
    allow_private_addresses: bool = False
    retrievers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tools:
    """What tools may reach, and what bounds a model that calls them.

    `allow` are beginnings of addresses; `functions` and `runnables` name Python objects as
    `package.module:name`, the latter by the names steps know them by. After `tokens` or `seconds`
    no tool is called any more.
    """

    allow: tuple[str, ...] = ()
    allow_private: bool = False
    functions: tuple[str, ...] = ()
    runnables: Mapping[str, str] = field(default_factory=dict)
    turns: int = 8
    tokens: int = 60_000
    seconds: float = 180.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where runs on Ray are worked: the cluster's address (None: one is started on this machine for
    the run), how many workers (None: as many as it has room for), what each asks its node for.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """What may be imported by its name: a database, a REST address, a folder or a bucket.

    `url` is an SQLAlchemy URL with a table or a query, or an address; None where the `variable`
    that should hold it is not set, and for a `folder`. `auth` is a header's value from the
    environment; `lacks` names a variable that is needed and not set.
    """

    url: str | None = field(repr=False)
    variable: str | None = None
    folder: str | None = None
    pattern: str | None = None
    settle_seconds: float = 10.0
    key: str | None = None
    group: str | None = None
    catalog: str | None = None
    changed_column: str | None = None
    items: str | None = None
    paging: str = "none"
    page_param: str | None = None
    size_param: str | None = None
    page_size: int = 100
    next_field: str = "next"
    auth: str | None = field(default=None, repr=False)
    auth_header: str = "Authorization"
    rpm: int | None = None
    allow_private: bool = False
    lacks: str | None = None

    @property
    def kind(self) -> str | None:
        """`folder`, `rest`, or a database's dialect; None where the URL is missing."""
        if self.folder is not None:
            return "folder"
        if self.url is None:
            return None
        scheme = self.url.partition("://")[0].partition("+")[0].lower()
        return "rest" if scheme in ("http", "https") else scheme


@dataclass(frozen=True, slots=True)
class Publishing:
    """A channel that accepted content is published to, under the name the settings give it.

    `mapping` is a workspace file's path; `url` is an SQLAlchemy URL, None where the `variable` that
    should hold it is not set; `open_at_refused` is a share of rows.
    """

    name: str
    format: str
    mapping: str
    out: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    template: Path | None = None
    url: str | None = field(default=None, repr=False)
    variable: str | None = None
    table: str | None = None
    pictures_url: str | None = None
    staged: bool = False
    open_at_refused: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """A workspace's settings.

    `per_usd` units of `currency` are one US dollar; `prices` is by a model's `use`; `database` is
    an SQLAlchemy URL; `models_folder` keeps embedded models' files (None: a folder of the user's
    own); `hub` is the model hub's address where another one is set; `approvals` says whether a
    second person approves what is changed in the console (None: where there are accounts). Keys,
    and URLs that may hold a password, are not in the `repr`.
    """

    root: Path
    currency: str
    per_usd: float
    languages: tuple[str, ...]
    models: Mapping[str, Model]
    prices: Mapping[str, Price]
    limits: Limits
    batch: Batch
    server: Server
    sources: Mapping[str, Source]
    publish: Mapping[str, Publishing]
    pictures: Pictures
    knowledge: Knowledge
    tools: Tools
    retention: Retention
    telemetry: Telemetry
    ray: Cluster
    database: str = field(repr=False)
    models_folder: Path | None
    hub: str | None
    approvals: bool | None
    _missing: Mapping[str, tuple[str, ...]] = field(repr=False)
    _environment: Mapping[str, str] = field(repr=False, compare=False)

    def model(self, name: str) -> Model:
        """Give the model an alias stands for, or the one a literal `vendor:name` describes.

        Raises ConfigError, with a suggestion, for a name that is neither.
        """
        return self._resolve(name)[0]

    def missing_keys(self, name: str) -> tuple[str, ...]:
        """Name the variables that should hold the model's key or headers and are not set."""
        return self._resolve(name)[1]

    def files(self) -> Mapping[str, str]:
        """Give the workspace's files as a lazy mapping from POSIX path to text."""
        return workspace_files(self.root)

    def _resolve(self, name: str) -> tuple[Model, tuple[str, ...]]:
        if name in self.models:
            return self.models[name], self._missing[name]
        if problem := unknown_model(name, self.models):
            raise ConfigError(problem)
        return build_model(name, {"use": name}, self.prices, self._environment)


def load_settings(
    folder: Path | str | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Load the settings of the workspace that holds a folder (default: the current one).

    `environment` stands in for the process's environment; it goes before the workspace's `.env`.
    Raises ConfigError with file and, where possible, line.
    """
    root = find_workspace(Path.cwd() if folder is None else Path(folder))
    process = os.environ if environment is None else environment
    variables = {**read_environment_file(root / ".env"), **process}
    # A key pasted with a line break would break every request's headers.
    variables = {name: value.strip() for name, value in variables.items() if value.strip()}
    document = Document.read(root)
    top = document.values()
    currency, per_usd = _money(document, top)
    prices = {
        use: _price(document, ("prices", use), raw, (currency, per_usd))
        for use, raw in document.named("prices", SETTINGS["prices.USE"]).items()
    }
    models: dict[str, Model] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for alias, table in _model_tables(document).items():
        if "price" in table:
            place = ("models", alias, "price")
            table["price"] = _price(document, place, table["price"], (currency, per_usd))
        if "workflow" in table:
            table["workflow"] = _workflow(
                document, ("models", alias, "workflow"), table["workflow"]
            )
        models[alias], missing[alias] = build_model(alias, table, prices, variables)
    _check_fallbacks(document, models)
    return Settings(
        root=root,
        currency=currency,
        per_usd=per_usd,
        languages=top.get("languages", ("en", "zh", "de", "fr")),
        models=models,
        prices=prices,
        limits=Limits(**document.values("limits")),
        batch=Batch(**document.values("batch")),
        server=Server(**document.values("server")),
        sources=_sources(document, variables),
        publish=_publish(document, variables),
        pictures=_pictures(document),
        knowledge=Knowledge(**document.values("knowledge")),
        tools=Tools(**document.values("tools")),
        retention=Retention(**document.values("retention")),
        telemetry=Telemetry(**document.values("telemetry")),
        ray=Cluster(**document.values("ray")),
        database=_database(document, variables),
        models_folder=_folder(variables.get("WAREMILL_MODELS")),
        hub=variables.get("HF_ENDPOINT"),
        approvals=document.values("review").get("approvals"),
        _missing=missing,
        _environment=variables,
    )


def weights_place(folder: Path | str | None = None) -> tuple[Path | None, str | None]:
    """Give the models folder and the hub's address as set, also outside a workspace.

    `folder` is where to look for a workspace, whose `.env` counts too.
    """
    variables: Mapping[str, str] = os.environ
    with suppress(ConfigError):
        root = find_workspace(Path.cwd() if folder is None else Path(folder))
        variables = {**read_environment_file(root / ".env"), **os.environ}
    return _folder(variables.get("WAREMILL_MODELS") or None), variables.get("HF_ENDPOINT") or None


def _money(document: Document, top: Mapping[str, Any]) -> tuple[str, float]:
    currency, per_usd = top.get("currency", "USD"), top.get("per_usd", 1.0)
    if currency != "USD" and "per_usd" not in top:
        document.fail(
            ("currency",), f"“per_usd” is missing: how many {currency} does one US dollar buy?"
        )
    if currency == "USD" and per_usd != 1.0:
        document.fail(("per_usd",), "“per_usd” must be 1 while the currency is USD")
    return currency, per_usd


def _price(
    document: Document,
    place: tuple[str, ...],
    table: Mapping[str, Any],
    money: tuple[str, float],
) -> Price:
    mine, per_usd = money
    used = table.get("currency", "USD")
    if used not in ("USD", mine):
        allowed = "USD" if mine == "USD" else f"USD or {mine}"
        document.fail(place, f"“{'.'.join(place)}” must be in {allowed}")
    rate = _NANO / (1.0 if used == "USD" else per_usd)
    cached = table.get("cached")
    return Price(
        input=round(table["input"] * rate),
        output=round(table["output"] * rate),
        cached=None if cached is None else round(cached * rate),
        per_call=round(table.get("per_call", 0) * rate),
        source=FILE_NAME,
    )


def _model_tables(document: Document) -> dict[str, dict[str, Any]]:
    """Read every model's table; `default` is the embedded model unless the file says otherwise."""
    tables = {
        alias: document.values("models", alias, pattern=("models", "ALIAS"))
        for alias in document.table("models")
    }
    tables.setdefault("default", {"use": "local"})
    for alias, table in tables.items():
        place = ("models", alias, "use")
        if ":" in alias:
            document.fail(place[:2], f"a model's name must not hold a colon, as “{alias}” does")
        if "use" not in table:
            document.fail(place, f'“models.{alias}” names no model; add use = "vendor:model"')
        if problem := vendor_problem(table["use"]):
            document.fail(place, problem)
    return tables


def _workflow(document: Document, place: tuple[str, ...], name: str) -> str:
    """Give the text of the workflow a model names."""
    text = workspace_files(document.root).get(name)
    if text is None:
        document.fail(
            place, f"there is no file “{name}” in the workspace; workflows lie in workflows/"
        )
    return text


def _check_fallbacks(document: Document, models: Mapping[str, Model]) -> None:
    for alias, model in models.items():
        place = ("models", alias, "fallback")
        for name in model.fallback:
            if name not in models and (problem := unknown_model(name, models)):
                document.fail(place, problem)
        seen, waiting = {alias}, list(model.fallback)
        while waiting:
            name = waiting.pop()
            if name == alias:
                document.fail(place, f"“{alias}” falls back to itself, directly or through others")
            if name in models and name not in seen:
                seen.add(name)
                waiting.extend(models[name].fallback)


def _sources(document: Document, environment: Mapping[str, str]) -> dict[str, Source]:
    """Read what may be imported by name; an SQLite file and a folder are the workspace's."""
    found = {}
    for name in document.table("sources"):
        given = document.values("sources", name, pattern=("sources", "NAME"))
        if len(given.keys() & {"url", "url_env", "folder"}) != 1:
            document.fail(
                ("sources", name), f"“sources.{name}” needs one of url, url_env and folder"
            )
        variable, folder = given.pop("url_env", None), given.get("folder")
        url = given.pop("url", None) if variable is None else environment.get(variable)
        if folder is not None and "://" not in folder:
            given["folder"] = str(document.root / Path(folder).expanduser())
        auth = given.pop("auth_env", None)
        lacks = next(
            (one for one in (variable, auth) if one is not None and one not in environment), None
        )
        found[name] = Source(
            _in_workspace(document, url), variable, auth=environment.get(auth or ""), lacks=lacks,
            **given,
        )  # fmt: skip
    return found


def _in_workspace(document: Document, url: str | None) -> str | None:
    """Give a database's URL with a relative SQLite file in the workspace."""
    match = None if url is None else re.match(r"(sqlite(?:\+\w+)?:///)(?=[^/?:])", url)
    if url is None or match is None:
        return url
    return f"{match[1]}{document.root}/{url[match.end() :]}"


def _publish(document: Document, environment: Mapping[str, str]) -> dict[str, Publishing]:
    """Read the channels that are published to; files and an SQLite file are the workspace's."""
    found = {}
    for name in document.table("publish"):
        place = ("publish", name)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name):
            document.fail(place, "a channel's name is of small letters, digits, hyphens and dots")
        given = document.values(*place, pattern=("publish", "CHANNEL"))
        if "format" not in given:
            document.fail(place, f'“publish.{name}” needs a format; add format = "google-merchant"')
        if "url" in given and "url_env" in given:
            document.fail(place, f"“publish.{name}” needs one of url and url_env")
        variable = given.pop("url_env", None)
        url = given.pop("url", None) if variable is None else environment.get(variable)
        template = given.pop("template", None)
        (pictures,) = given.pop("pictures_url", (None,))[:1]
        found[name] = Publishing(
            name=name,
            mapping=given.pop("mapping", f"publish/{name}.yaml"),
            template=None if template is None else document.root / Path(template).expanduser(),
            url=_in_workspace(document, url),
            variable=variable,
            pictures_url=pictures,
            **given,
        )
    return found


def _pictures(document: Document) -> Pictures:
    given = document.values("pictures")
    storage = given.get("storage", ".waremill/files")
    if "://" not in storage:
        storage = str(document.root / Path(storage).expanduser())
    folders = (document.root / Path(one).expanduser() for one in given.get("folders", ()))
    return Pictures(storage, tuple(folders), given.get("threads", os.cpu_count() or 1))


def _folder(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser()


def _database(document: Document, environment: Mapping[str, str]) -> str:
    url = document.values("database").get("url")
    where = document.where(("database", "url"))
    if "WAREMILL_DATABASE_URL" in environment:
        url, where = environment["WAREMILL_DATABASE_URL"], Where("WAREMILL_DATABASE_URL")
    if url is None:
        return f"sqlite:///{document.root / '.waremill' / 'waremill.db'}"
    match = re.fullmatch(r"(sqlite|postgres(?:ql)?(?:\+psycopg)?)://(.*/.+)", url)
    if match is None:
        # The URL is not repeated: it may hold a password.
        raise ConfigError(
            "the database must be a URL such as sqlite:///file.db or postgresql://user@host/name",
            where,
        )
    scheme, rest = match.groups()
    if scheme != "sqlite":
        return f"postgresql+psycopg://{rest}"
    if not rest.startswith("/"):
        raise ConfigError("an SQLite URL has three slashes: sqlite:///file.db", where)
    return f"sqlite:///{document.root / rest[1:]}"  # a relative file is the workspace's
