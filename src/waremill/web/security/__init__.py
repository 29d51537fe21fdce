"""The wall around everything that is served: who calls, from which page, and how much.

One ASGI middleware stands before all routes, pages and sockets. It refuses a foreign `Host` or
`Origin`, finds out who calls, bounds bodies, and writes the headers every answer has. What a caller
may do is decided in the application, never here.
"""

from waremill.web.security.callers import COOKIE, Caller, actor_now, cookie_name
from waremill.web.security.gate import UPLOADS, install
from waremill.web.security.headers import PAGE_POLICY, STRICT_POLICY
from waremill.web.security.hosts import allowed_hosts, check_host, is_loopback
from waremill.web.security.proxies import Proxies
from waremill.web.security.redirects import login_address, safe_next

__all__ = [
    "COOKIE",
    "PAGE_POLICY",
    "STRICT_POLICY",
    "UPLOADS",
    "Caller",
    "Proxies",
    "actor_now",
    "allowed_hosts",
    "check_host",
    "cookie_name",
    "install",
    "is_loopback",
    "login_address",
    "safe_next",
]
