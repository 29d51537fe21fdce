"""From a model's settings and the environment to a `Model`: keys, headers, proxy.

Pure: the environment is handed in. A missing key is noted, never an error here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from waremill.domain import Model, Price
from waremill.providers import vendors
from waremill.settings.names import suggestion

VENDORS: Mapping[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "dashscope": ("DASHSCOPE_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "vertex": ("VERTEX_ACCESS_TOKEN",),
    "azure": ("AZURE_OPENAI_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "openai-images": ("OPENAI_API_KEY",),
    "ollama": (),
    "vllm": (),
    "llamacpp": (),
    "local": (),
    "langchain": (),
    "automatic1111": (),
    "forge": (),
    "comfyui": (),
    "diffusers": (),
}
"""The variables each vendor's key is looked for in, first found wins. A vendor that a provider adds
and that is not listed here has none: its models name theirs in `api_key_env`."""

VARIABLES: Mapping[str, str] = {
    "WAREMILL_DATABASE_URL": "The database; goes before `database.url`.",
    "WAREMILL_MODELS": "The folder that keeps embedded models' files.",
    "HF_ENDPOINT": "The hub that model files are fetched from, instead of huggingface.co.",
    "HTTPS_PROXY": "Proxy for models without a `proxy` of their own (also in lower case).",
    "HTTP_PROXY": "The same, for endpoints whose base URL starts with http:.",
    "NO_PROXY": "Hosts reached without a proxy, separated by commas; `*` means all.",
    **{
        name: f"The key of models whose `use` starts with `{vendor}:`, unless `api_key_env` is set."
        for vendor, names in VENDORS.items()
        for name in names
    },
}
"""Every environment variable read, with one line on each; a `.env` file may set them too, and
the process's own environment goes before it."""

_OPTIONS = ("temperature", "top_p", "seed", "stop", "effort")


def build_model(
    alias: str,
    table: Mapping[str, Any],
    prices: Mapping[str, Price],
    environment: Mapping[str, str],
) -> tuple[Model, tuple[str, ...]]:
    """Make a model from its checked settings; also name the variables it lacks.

    `workflow` is the file's text here, no longer its name.
    """
    use = table["use"]
    urls: tuple[str, ...] = table.get("base_url", ())
    chosen = table.get("api_key_env")
    near = bool(urls) and all(map(_is_loopback, urls))
    # A vendor's key is not handed to whatever listens on loopback unless it is named for it.
    defaults = () if near else VENDORS.get(use.partition(":")[0], ())
    keys = tuple(environment[n] for n in (chosen or defaults) if n in environment)
    # Of a vendor's default variables one is enough; of those the user listed each is expected.
    expected = () if near else chosen or (() if keys else defaults[:1])
    absent = [name for name in expected if name not in environment]
    headers, absent_headers = _fill_headers(table.get("headers", {}), environment)
    simple = (
        *("rpm", "tpm", "concurrency", "timeout", "fallback", "structured", "workflow"),
        *("window", "tools", "enqueued_tokens"),
    )
    model = Model(
        alias=alias,
        use=use,
        base_urls=urls,
        keys=keys if chosen else keys[:1],
        headers=headers,
        proxy=table.get("proxy") or _proxy_for(use, urls, environment),
        price=table.get("price") or prices.get(use),
        options={
            **table.get("options", {}),
            **{name: table[name] for name in _OPTIONS if name in table},
        },
        **{name: table[name] for name in simple if name in table},
    )
    return model, (*absent, *absent_headers)


def _fill_headers(
    headers: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    filled: dict[str, str] = {}
    absent: list[str] = []
    for name, content in headers.items():
        wanted = re.findall(r"\$\{(\w+)\}", content)
        absent.extend(one for one in wanted if one not in environment)
        if all(one in environment for one in wanted):
            filled[name] = re.sub(r"\$\{(\w+)\}", lambda m: environment[m[1]], content)
    return filled, absent


def _proxy_for(use: str, urls: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    """Give the environment's proxy, unless every endpoint is near or excepted by NO_PROXY."""

    def variable(name: str) -> str | None:
        return environment.get(name) or environment.get(name.lower())

    if not urls:
        return variable("HTTPS_PROXY") if VENDORS.get(use.partition(":")[0], ()) else None
    excepted = [one.strip().lstrip("*.") for one in (variable("NO_PROXY") or "").split(",")]
    everything = "*" in (variable("NO_PROXY") or "").split(",")
    for url in urls:
        host = urlsplit(url).hostname or ""
        near = any(one and (host == one or host.endswith("." + one)) for one in excepted)
        if not (everything or near or _is_loopback(url)):
            return variable("HTTPS_PROXY" if url.startswith("https:") else "HTTP_PROXY")
    return None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def vendor_problem(use: str) -> str | None:
    """Say what is wrong with a `vendor:model`; None where it is usable."""
    vendor, _, name = use.partition(":")
    known = {**VENDORS, **vendors()}
    if vendor not in known:
        hint = suggestion(vendor, known) or "; known vendors: " + ", ".join(known)
        return f"there is no vendor “{vendor}”{hint}"
    if not name and vendor != "local":
        return f"“{use}” names no model; write {vendor}:MODEL"
    return None


def unknown_model(name: str, aliases: Collection[str]) -> str | None:
    """Say what is wrong with a model's name that is no alias; None where it is a usable literal."""
    if ":" in name or name == "local":
        return vendor_problem(name)
    known = f"; configured are {', '.join(sorted(aliases))}"
    return f"there is no model “{name}”{suggestion(name, aliases) or known}"
