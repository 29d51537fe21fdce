"""Which names the server answers to, and from which pages a browser may send it something.

An exact list of `Host` values is what keeps a foreign name that resolves to this machine out (DNS
rebinding); an exact `Origin` is what keeps foreign pages from acting as the user.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from starlette.datastructures import Headers

from waremill.app import Workspace
from waremill.app.accounts import Accounts
from waremill.errors import ConfigError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Say whether a host, as one binds to it, is this machine's own."""
    bare = host.strip("[]")
    if bare.casefold() == "localhost":
        return True
    try:
        return ip_address(bare.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_any(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return host == ""


def allowed_hosts(host: str, port: int, extra: Collection[str] = ()) -> frozenset[str]:
    """Give every `Host` header the server answers to, in lower case.

    The bound host, localhost, 127.0.0.1 and [::1], each with the port (and without it, where the
    port is 80 or 443); and `extra`, the `hosts` setting: an entry with a port as it is, one
    without a port also with the bound port.
    """
    names = [*LOOPBACK_NAMES]
    if not _is_any(host):
        bare = host.strip("[]").casefold()
        names.append(f"[{bare}]" if ":" in bare else bare)
    found = {f"{name}:{port}" for name in names}
    if port in _DEFAULT_PORTS.values():
        found.update(names)
    for entry in (one.strip().casefold() for one in extra):
        found.add(entry)
        if not _has_port(entry):
            found.add(f"{entry}:{port}")
    return frozenset(found - {""})


def _has_port(entry: str) -> bool:
    return entry.rpartition("]")[2].startswith(":") or (entry.count(":") == 1)


async def check_host(workspace: Workspace, host: str, hosts: Collection[str] = ()) -> None:
    """Raise ConfigError where the server must not listen on a host.

    Anything but loopback needs accounts, and so does what a proxy lets others reach; an address
    that stands for all of them needs the names it is reached by, in `hosts`.
    """
    proxied = bool(workspace.settings.server.trusted_proxies)
    if is_loopback(host) and not proxied:
        return
    if not await Accounts(workspace).any_accounts():
        raise ConfigError(
            "others can reach it through a proxy (`trusted_proxies` in [server]), so it needs"
            " accounts; `waremill user add NAME` makes the first"
            if proxied
            else f"others can reach {host or 'all addresses'}, so it needs accounts;"
            " `waremill user add NAME` makes the first, or serve on 127.0.0.1"
        )
    if _is_any(host) and not hosts:
        raise ConfigError(
            f"{host or 'all addresses'} is no name a browser asks for; list the names it is"
            " reached by under `hosts` in [server]"
        )


def host_of(headers: Headers) -> str | None:
    """Give the one `Host` a request names, in lower case; None for none or several."""
    found = headers.getlist("host")
    return found[0].strip().casefold() if len(found) == 1 else None


def name_of(host: str) -> str:
    """Give a `Host` without its port."""
    return host if not _has_port(host) else host.rpartition(":")[0]


def origin_problem(headers: Headers, host: str, *, secure: bool, required: bool) -> str | None:
    """Say in one sentence why a request may come from a foreign page; None where it does not.

    The `Origin` must be the very scheme, host and port of the request; behind TLS only a loopback
    name may also be plain http. `required` is for what browsers always send one with.
    """
    origins = headers.getlist("origin")
    if len(origins) > 1:
        return "the request has more than one Origin"
    if not origins:
        site = headers.get("sec-fetch-site", "same-origin")
        if required or site not in ("same-origin", "none"):
            return "the request does not come from a page of this server"
        return None
    schemes = ["https"] if secure else ["http"]
    if name_of(host) in LOOPBACK_NAMES:
        schemes = ["http", "https"]
    allowed = {f"{scheme}://{_without_default(host, scheme)}" for scheme in schemes}
    if origins[0].strip().casefold() not in allowed:
        return "the request comes from a page of another origin"
    return None


def _without_default(host: str, scheme: str) -> str:
    """Give a host as browsers write it in an Origin: without the scheme's own port."""
    return host.removesuffix(f":{_DEFAULT_PORTS[scheme]}") if _has_port(host) else host
