"""What every command shares: its options, how it runs, how its errors end, how it prints."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click
import orjson

from waremill.app import Workspace, open_workspace
from waremill.errors import LimitReached, ProviderError, UserError

F = TypeVar("F", bound=Callable[..., Any])
Work = Callable[[Workspace], Awaitable[int | None]]
BUG = 70
INTERRUPTED = 130
PAUSED = 3
USER_ERROR = 2


def common(command: F) -> F:
    """Give a command the options every command takes."""
    command = click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
    )(command)
    return click.option(
        "-C", "folder", metavar="DIR", default=None,
        help="The workspace (default: the nearest one upward).",
    )(command)  # fmt: skip


class _Interrupted(Exception):
    """A command was stopped at once; its text says what goes on from there."""


def exit_code(as_json: bool, work: Callable[[], int | None]) -> int:
    """Do a command's work and turn what goes wrong into one sentence and an exit code."""
    try:
        return work() or 0
    except UserError as error:
        return _say(as_json, error, USER_ERROR)
    except (LimitReached, ProviderError) as error:
        return _say(as_json, error, PAUSED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except _Interrupted as stopped:
        click.echo(f"interrupted; {stopped}", err=True)
        return INTERRUPTED
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:
        traceback.print_exc()
        return _say(as_json, error, BUG)


def _say(as_json: bool, error: BaseException, code: int) -> int:
    message = str(error) if code != BUG else f"this is our bug: {type(error).__name__}: {error}"
    if as_json:
        print_json({"error": {"type": type(error).__name__, "message": message, "exit": code}})
    click.echo(f"waremill: {message}", err=True)
    return code


def with_workspace(
    folder: str | None, as_json: bool, work: Work, interrupted: str | None = None
) -> int:
    """Open the workspace, do the work in an event loop, and give the exit code.

    The first Ctrl-C stops a run after the calls in flight; the second one, or the first where no
    run is worked, at once: `interrupted` says what is left then, of a command that works no run.
    """

    def start() -> int | None:
        async def inside() -> int | None:
            async with workspace_at(folder) as workspace:
                with _signals(workspace, interrupted):
                    return await work(workspace)

        return run_loop(inside())

    return exit_code(as_json, start)


def workspace_at(folder: str | None) -> Workspace:
    """Give the workspace that holds a folder, which shows on stderr what is waited for."""
    opened = open_workspace(folder)
    opened.on_download = _download
    opened.on_index = _index
    return opened


def run_loop(work: Coroutine[Any, Any, int | None]) -> int | None:
    """Run a command's work in an event loop; Ctrl-C cancels it."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _download(done: int, total: int) -> None:
    """Show how much of a model's file is here, a line each 5 % where stderr is no terminal."""
    share = done / total if total else 1.0
    text = f"fetching the model: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
    if sys.stderr.isatty():
        click.echo(f"\r{text}", nl=done >= total, err=True)
    elif done >= total or int(share * 20) != int(max(done - 1_048_576, 0) / max(total, 1) * 20):
        click.echo(text, err=True)


def _index(done: int, total: int) -> None:
    """Show how many products are ready for a search."""
    text = f"embedding products: {done:,} of {total:,}"
    if sys.stderr.isatty():
        click.echo(f"\r{text}", nl=done >= total, err=True)
    elif done >= total > 0:
        click.echo(text, err=True)


@contextlib.contextmanager
def _signals(workspace: Workspace, interrupted: str | None) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    pressed = 0
    left = interrupted

    def stop() -> None:
        nonlocal pressed, left
        pressed += 1
        worked = workspace.interrupt()
        if worked:
            left = "`waremill resume last` goes on"
        if pressed == 1 and worked:
            click.echo(
                "\nstopping after the calls in flight; press Ctrl-C again to stop at once", err=True
            )
        elif task is not None:
            task.cancel()

    names = (signal.SIGINT, signal.SIGTERM)
    with contextlib.suppress(NotImplementedError):  # Windows
        for name in names:
            loop.add_signal_handler(name, stop)
    try:
        yield
    except asyncio.CancelledError:
        if left is None:
            raise
        raise _Interrupted(left) from None
    finally:
        with contextlib.suppress(NotImplementedError):
            for name in names:
                loop.remove_signal_handler(name)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.buffer.write(
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
    )
    sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as a table that fits the terminal; long cells are cut."""
    import shutil

    width = shutil.get_terminal_size((120, 20)).columns
    cells = [[_short(row.get(name)) for name in columns] for row in rows]
    sizes = [
        min(max([_wide(name), *(_wide(line[i]) for line in cells)], default=0), 48)
        for i, name in enumerate(columns)
    ]
    while sum(sizes) + 2 * len(sizes) > width and max(sizes) > 12:
        sizes[sizes.index(max(sizes))] -= 1
    for line in [list(columns), ["─" * size for size in sizes], *cells]:
        click.echo(
            "  ".join(_fit(cell, size) for cell, size in zip(line, sizes, strict=True)).rstrip()
        )


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    return " ".join(str(value).split())


def _wide(text: str) -> int:
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _fit(text: str, size: int) -> str:
    if _wide(text) <= size:
        return text + " " * (size - _wide(text))
    kept = ""
    for character in text:
        if _wide(kept + character) > size - 1:
            break
        kept += character
    return kept + "…" + " " * (size - 1 - _wide(kept))


def command(name: str, **settings: Any) -> Callable[[Callable[..., int]], click.Command]:
    """Make a command whose function returns the exit code."""

    def make(function: Callable[..., int]) -> click.Command:
        @functools.wraps(function)
        def run(**options: Any) -> None:
            raise click.exceptions.Exit(function(**options))

        declare: Callable[[Any], click.Command] = click.command(name, **settings)
        return declare(common(run))

    return make
