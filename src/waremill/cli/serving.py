"""The command `serve`: the REST API and the console, one process, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import signal
import socket
from collections.abc import Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from waremill.app import Workspace, open_workspace
from waremill.cli.door import command, exit_code, print_json
from waremill.errors import ConfigError

if TYPE_CHECKING:
    from uvicorn import Config

READERS = 4
"""Listings that are read at the same time."""
GRACE_SECONDS = 2
"""What is being answered when the server is told to end gets so long."""
EXTRA = ("argon2", "fastapi", "nicegui", "prometheus_client", "python_multipart", "uvicorn")


@command("serve", short_help="Serve the REST API and the console.")
@click.option(
    "--host",
    metavar="HOST",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; any but loopback needs accounts.",
)
@click.option("--port", metavar="N", type=click.IntRange(0, 65_535), default=8750,
              show_default=True, help="The port; 0 takes a free one.")  # fmt: skip
def serve_command(folder: str | None, as_json: bool, host: str, port: int) -> int:
    """Serve the REST API under /v1, its reference at /docs, and the console at /.

    Runs that are started there are worked by processes of their own, which live on when the server
    ends.
    """

    def start() -> int:
        require_extra()
        return _run(_serve(folder, as_json, host, port))

    return exit_code(as_json, start)


def require_extra() -> None:
    """Raise ConfigError, with the line that installs it, where the extra `web` is not here."""
    for name in EXTRA:
        try:
            importlib.import_module(name)
        except ImportError:
            raise ConfigError(
                "the server needs the extra `web`; install it with: pip install 'waremill[web]'"
            ) from None


async def _serve(folder: str | None, as_json: bool, host: str, port: int) -> int:
    import uvicorn

    from waremill.web import operations, security
    from waremill.web.server import create_app

    async with open_workspace(folder, readers=READERS) as workspace:
        await security.check_host(workspace, host, workspace.settings.server.hosts)
        with _listening(host, port) as listener:
            port = listener.getsockname()[1]
            app = create_app(workspace, host=host, port=port)
            operations.log_to()
            config = uvicorn.Config(
                app, log_config=None, access_log=False, server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS, ws_max_size=1024 * 1024,
                # Who called a trusted proxy is found out by the wall, which keeps the exact host.
                proxy_headers=False,
            )  # fmt: skip
            _say(workspace, as_json, _address(host, port))
            await _until_told(config, app.state.closing, listener)
    return 0


def _say(workspace: Workspace, as_json: bool, url: str) -> None:
    if as_json:
        print_json({"url": url, "workspace": str(workspace.settings.root)})
    click.echo(f"waremill: {url} serves {workspace.settings.root}; Ctrl-C ends it", err=True)


async def _until_told(config: Config, closing: asyncio.Event, listener: socket.socket) -> None:
    """Serve until a signal comes; streams are told to end before the server waits for them."""
    import uvicorn

    loop = asyncio.get_running_loop()

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(closing.set)
            super().handle_exit(sig, frame)

    # Uvicorn raises the signal again when it has ended; by then it has done its work.
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        await Server(config).serve(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listening(host: str, port: int) -> socket.socket:
    """Open the listening socket; raise ConfigError in one sentence where that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise ConfigError(f"“{host}” is no address of this machine; --host names one") from None
    with contextlib.ExitStack() as undo:
        listener = undo.enter_context(socket.socket(family, kind, protocol))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(2048)
        except PermissionError:
            raise ConfigError(f"port {port} needs rights you do not have; --port names another"
                              ) from None  # fmt: skip
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"port {port} is taken, perhaps by another `waremill serve`; "
                    "--port names another"
                ) from None
            raise ConfigError(f"“{host}” is no address of this machine; --host names one") from None
        undo.pop_all()
    return listener


def _address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host or "0.0.0.0"
    return f"http://{shown}:{port}/"


def _run(work: Coroutine[Any, Any, int]) -> int:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
