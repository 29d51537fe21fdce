"""Every setting of `waremill.toml`: how it is read, what it is for, and its default.

Pure: reads no file and no environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from waremill.settings.values import (
    beginnings,
    choice,
    currency,
    database_url,
    headers,
    hosts,
    key_names,
    languages,
    named_objects,
    networks,
    number,
    objects,
    options,
    price_table,
    proxy,
    share,
    source_url,
    stops,
    targets,
    text,
    texts,
    truth,
    url,
    urls,
    variable,
    whole,
)

_STRUCTURED = ("auto", "schema", "tool", "object", "text")
_PAGING = ("none", "page", "offset", "cursor", "link")
_PROXY_HEADERS = ("x-forwarded-for", "forwarded")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: how its value is read, what it is for, and what holds when it is absent."""

    read: Callable[[Any], Any] = field(repr=False)
    description: str
    default: str


SETTINGS: Mapping[str, Setting] = {
    "currency": Setting(currency, "Currency that costs are shown in (ISO 4217).", "USD"),
    "per_usd": Setting(number(0, above=True), "How many units of it one US dollar buys.", "1"),
    "languages": Setting(languages, "Languages the copy may be in.", '["en", "zh", "de", "fr"]'),
    "database.url": Setting(
        text, "SQLAlchemy URL of the database, sqlite or postgresql.", "SQLite in .waremill/"
    ),
    "limits.budget": Setting(number(0), "Most a run may spend, in the currency.", "none"),
    "limits.deadline": Setting(number(0, above=True), "Most minutes a run may take.", "none"),
    "limits.error_rate": Setting(
        number(0, 1, above=True), "Share of failed items that pauses a run.", "0.2"
    ),
    "limits.concurrency": Setting(whole(1), "Items worked on at once by one process.", "64"),
    "limits.asks_again": Setting(
        whole(), "How often an invalid answer is asked for again before review.", "2"
    ),
    "batch.requests": Setting(whole(1), "Most requests of one batch.", "50000"),
    "batch.megabytes": Setting(number(0, above=True), "Most megabytes of one batch.", "100"),
    "batch.poll": Setting(
        number(0, above=True), "Most seconds between two looks at a batch.", "60"
    ),
    "batch.retries": Setting(
        whole(), "How often a request that a batch left unanswered goes into another one.", "2"
    ),
    "batch.then": Setting(
        choice("live", "fail"), "What happens to it afterwards: it is sent live, or fails.", "live"
    ),
    "batch.others": Setting(
        choice("refuse", "live"),
        "What a batch run does with a model without batches: it is refused, or called live.",
        "refuse",
    ),
    "review.approvals": Setting(
        truth,
        "Whether what is changed in the console waits for a second person's approval.",
        "true where there are accounts",
    ),
    "server.hosts": Setting(
        hosts, "Names the server is reached by, besides its address, as shop.example:8750.", "none"
    ),
    "server.https": Setting(
        truth, "Whether browsers reach the server over https, through a proxy.", "false"
    ),
    "server.trusted_proxies": Setting(
        networks,
        "Addresses or networks of the proxies whose word on who calls is taken, as 10.0.0.0/8.",
        "none",
    ),
    "server.proxy_header": Setting(
        choice(*_PROXY_HEADERS),
        f"The header in which they name the caller: {' or '.join(_PROXY_HEADERS)}.",
        _PROXY_HEADERS[0],
    ),
    "server.allow_private_webhooks": Setting(
        truth, "Whether webhooks may go to private and loopback addresses.", "false"
    ),
    "sources.NAME.url": Setting(
        source_url,
        "What may be imported by its name: a database, with ?table=NAME or ?query=SELECT …, or a "
        "REST address that gives JSON.",
        "in url_env",
    ),
    "sources.NAME.url_env": Setting(
        variable, "The variable that holds the URL, where it has a password.", "none"
    ),
    "sources.NAME.folder": Setting(
        text,
        "Instead of a URL, a folder or bucket (s3://bucket/folder) whose new and changed files are "
        "imported.",
        "none",
    ),
    "sources.NAME.pattern": Setting(text, "Which files of it, such as *.xlsx.", "all readable"),
    "sources.NAME.settle_seconds": Setting(
        number(0), "How long a local file must have been left alone.", "10"
    ),
    "sources.NAME.key": Setting(text, "The column that tells products apart.", "the catalogue's"),
    "sources.NAME.group": Setting(text, "The column that joins SKUs to one product.", "none"),
    "sources.NAME.catalog": Setting(text, "The catalogue.", "the only one"),
    "sources.NAME.changed_column": Setting(
        text,
        "Of a database: a column that grows with every change; what it had before is not read.",
        "all is read",
    ),
    "sources.NAME.items": Setting(
        text, "Of REST: where the list of items stands, such as data.products.", "the longest"
    ),
    "sources.NAME.paging": Setting(
        choice(*_PAGING), "Of REST: how the next page is asked for.", "none"
    ),
    "sources.NAME.page_param": Setting(
        text, "The parameter with the page, offset or cursor.", "as paging is called"
    ),
    "sources.NAME.size_param": Setting(text, "The parameter with the page's size.", "none"),
    "sources.NAME.page_size": Setting(whole(1), "Items a page.", "100"),
    "sources.NAME.next_field": Setting(
        text, "Where the next cursor stands in a page, such as meta.next.", "next"
    ),
    "sources.NAME.auth_env": Setting(
        variable, "The variable with the header's value, such as Bearer ….", "none"
    ),
    "sources.NAME.auth_header": Setting(text, "The header it goes into.", "Authorization"),
    "sources.NAME.rpm": Setting(whole(1), "Most requests a minute.", "none"),
    "sources.NAME.allow_private": Setting(
        truth, "Whether the address may be private or loopback.", "false"
    ),
    "publish.CHANNEL.format": Setting(
        text, "What is written: a format of publishing, such as google-merchant.", "required"
    ),
    "publish.CHANNEL.mapping": Setting(
        text, "The workspace's file that says what goes where.", "publish/CHANNEL.yaml"
    ),
    "publish.CHANNEL.out": Setting(
        texts,
        "The files it writes, one a target; {target} in a name stands for the target.",
        "named with the command",
    ),
    "publish.CHANNEL.targets": Setting(
        targets, "The targets that are published, in the order of the files.", "all of the run"
    ),
    "publish.CHANNEL.template": Setting(
        text, "The marketplace's own workbook that is filled (format workbook).", "none"
    ),
    "publish.CHANNEL.url": Setting(
        database_url, "The database that is written to (format sql).", "in url_env"
    ),
    "publish.CHANNEL.url_env": Setting(
        variable, "The variable that holds the URL, where it has a password.", "none"
    ),
    "publish.CHANNEL.table": Setting(text, "The table that is written to (format sql).", "none"),
    "publish.CHANNEL.pictures_url": Setting(
        urls, "The web address under which the folder of pictures can be read.", "none"
    ),
    "publish.CHANNEL.staged": Setting(
        truth, "Whether it is published in stages only: 1%, 10%, all.", "false"
    ),
    "publish.CHANNEL.open_at_refused": Setting(
        share,
        "Share of refused rows up to which the next stage is published at once, as 0.02 or 2%.",
        "a person opens it",
    ),
    "pictures.storage": Setting(
        text,
        "Where pictures are kept: a folder, or a URL such as s3://bucket/folder.",
        ".waremill/files",
    ),
    "pictures.folders": Setting(
        texts, "Folders besides the workspace whose pictures products may name.", "none"
    ),
    "pictures.threads": Setting(
        whole(1), "Pictures worked on at once by one process.", "the machine's cores"
    ),
    "knowledge.embedder": Setting(
        text,
        "What embeds knowledge: a local embedder, or a model of this file whose endpoint does.",
        "universal",
    ),
    "knowledge.passage_tokens": Setting(whole(32), "Most tokens of a passage.", "320"),
    "knowledge.overlap": Setting(whole(), "Tokens that two parts of one long text share.", "40"),
    "knowledge.allow_private_addresses": Setting(
        truth, "Whether documents may be fetched from private and loopback addresses.", "false"
    ),
    "knowledge.retrievers": Setting(
        named_objects,
        "LangChain or LlamaIndex retrievers that are searched as knowledge bases, by name.",
        "none",
    ),
    "tools.allow": Setting(
        beginnings, "How addresses begin that the tool http_get may read.", "none"
    ),
    "tools.allow_private": Setting(
        truth, "Whether these may be private and loopback addresses.", "false"
    ),
    "tools.functions": Setting(
        objects, "Own tools: typed Python functions, as package.module:name.", "none"
    ),
    "tools.runnables": Setting(
        named_objects, "LangChain Runnables that the step langchain may name.", "none"
    ),
    "tools.turns": Setting(whole(1), "How often a model with tools is asked, at most.", "8"),
    "tools.tokens": Setting(whole(1), "Tokens after which no tool is called any more.", "60000"),
    "tools.seconds": Setting(
        number(0, above=True), "Seconds after which no tool is called any more.", "180"
    ),
    "ray.address": Setting(
        text, "Ray's cluster: auto, HOST:PORT or ray://HOST:PORT.", "one on this machine"
    ),
    "ray.workers": Setting(whole(1), "Workers of a run.", "as many as the cluster has room for"),
    "ray.cpus": Setting(number(0, above=True), "Processors that each asks its node for.", "1"),
    "ray.gpus": Setting(
        number(0), "GPUs that each asks for where a step runs a diffusion model itself.", "1"
    ),
    "telemetry.traces": Setting(
        url, "An OTLP/HTTP collector that traces of items go to, as http://collector:4318.", "none"
    ),
    "telemetry.sample": Setting(number(0, 1), "The share of items that is traced.", "0.01"),
    "retention.answers": Setting(
        whole(1), "Days after which `retain` deletes models' replies; results stay.", "kept"
    ),
    "retention.chats": Setting(
        whole(1), "Days after its last turn `retain` deletes a conversation.", "kept"
    ),
    "retention.deliveries": Setting(
        whole(1), "Days after which `retain` deletes messages that webhooks got.", "kept"
    ),
    "retention.runs": Setting(
        whole(1),
        "Days after a run's end `retain` deletes what it made that is neither the newest, nor the "
        "last accepted, nor marked; counts and costs stay.",
        "kept",
    ),
    "retention.calls": Setting(
        whole(1), "Days after a run's end `retain` deletes its calls' lines; sums stay.", "kept"
    ),
    "retention.batches": Setting(
        whole(1), "Days after a run's end `retain` deletes what is known of its batches.", "kept"
    ),
    "retention.pictures": Setting(
        whole(1), "Days after which `retain` deletes stored pictures nothing refers to.", "kept"
    ),
    "retention.logs": Setting(
        whole(1), "Days after which `retain` deletes log files of runs a server started.", "kept"
    ),
    "prices.USE": Setting(
        price_table, "Price of a model by its `use`, for all aliases; as `price` below.", "known"
    ),
    "models.ALIAS.use": Setting(
        text, "Vendor and model, such as openai:gpt-4.1-mini, or local.", "required"
    ),
    "models.ALIAS.base_url": Setting(
        urls, "Address of a compatible server; several spread the load.", "the vendor's"
    ),
    "models.ALIAS.api_key_env": Setting(
        key_names, "Variables that hold the keys; none needed on loopback.", "the vendor's"
    ),
    "models.ALIAS.rpm": Setting(whole(1), "Requests a minute the account allows.", "none"),
    "models.ALIAS.tpm": Setting(whole(1), "Tokens a minute the account allows.", "none"),
    "models.ALIAS.enqueued_tokens": Setting(
        whole(1), "Input tokens the account allows in batches that are not done.", "none"
    ),
    "models.ALIAS.concurrency": Setting(whole(1), "Most calls in flight at once.", "adapts"),
    "models.ALIAS.timeout": Setting(number(0, above=True), "Seconds one attempt may take.", "120"),
    "models.ALIAS.fallback": Setting(texts, "Models to try when this one cannot.", "none"),
    "models.ALIAS.headers": Setting(
        headers, "Extra HTTP headers; ${NAME} takes a variable's value.", "none"
    ),
    "models.ALIAS.proxy": Setting(proxy, "Proxy to go through.", "HTTPS_PROXY"),
    "models.ALIAS.price": Setting(
        price_table,
        "{input, output, cached} per million tokens and per_call, in US dollars or in `currency`.",
        "known",
    ),
    "models.ALIAS.structured": Setting(
        choice(*_STRUCTURED), f"How JSON is asked for: {', '.join(_STRUCTURED)}.", "auto"
    ),
    "models.ALIAS.temperature": Setting(number(0, 2), "Sampling temperature.", "the model's"),
    "models.ALIAS.top_p": Setting(
        number(0, 1, above=True), "Nucleus sampling's share of probability.", "the model's"
    ),
    "models.ALIAS.seed": Setting(whole(), "Seed, where the vendor knows one.", "none"),
    "models.ALIAS.stop": Setting(stops, "Texts that end a reply.", "none"),
    "models.ALIAS.effort": Setting(text, "Reasoning effort, such as low or high.", "the model's"),
    "models.ALIAS.workflow": Setting(
        text, "The workspace's file with a ComfyUI workflow: workflows/scene.json.", "none"
    ),
    "models.ALIAS.window": Setting(
        whole(1024), "Tokens it reads and writes at most, for chats.", "32768; local: 4096"
    ),
    "models.ALIAS.tools": Setting(
        truth,
        "Whether a chat lets it call tools; else it is given passages.",
        "true; local: false",
    ),
    "models.ALIAS.options": Setting(
        options, "Settings handed to a model of pictures as they are, by its own names.", "none"
    ),
}
"""Every setting of `waremill.toml`. The reference is generated from it; ALIAS and USE stand for
names the user picks."""
