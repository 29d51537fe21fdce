"""How a chat looks in a terminal: text as it comes, calls, drafts and sources below it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import orjson

from waremill.app import Workspace
from waremill.app.chatting import Shown, cost_of
from waremill.chat.events import (
    CallEnded,
    CallStarted,
    Cited,
    Drafted,
    Event,
    Noted,
    PermissionAsked,
    TextPiece,
)
from waremill.chat.exporting import sources_of
from waremill.chat.markup import printable
from waremill.chat.turns import Draft, Source, Turn
from waremill.domain import ToolCall
from waremill.errors import NotFound

LONGEST = 160
"""Characters of a call's arguments or result on one line."""


class Screen:
    """Draws on stdout and stderr; `quiet` says nothing, for whoever prints JSON at the end."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._written = ""
        self._fresh = True

    def line(self, text: str) -> None:
        """Say something beside the conversation."""
        if not self._quiet:
            self._break()
            click.echo(click.style(printable(text), dim=True), err=True)

    def problem(self, text: str) -> None:
        """Say what went wrong."""
        self._break()
        click.echo(f"waremill: {printable(text)}", err=True)

    def hello(self, typed: bool) -> None:
        """Say how to talk."""
        if typed:
            self.line("Ask about the catalogue and the documents. /help lists more, Ctrl-D leaves.")

    def prompt(self) -> str:
        """Give what stands before the line that is typed."""
        return "> "

    def begin(self) -> None:
        """Begin a reply."""
        self._written = ""
        self._fresh = True

    def hear(self, event: Event) -> ToolCall | None:
        """Show what happens; give a call the user is to be asked about."""
        match event:
            case TextPiece(text):
                self._written += text
                if not self._quiet:
                    sys.stdout.write(printable(text))
                    sys.stdout.flush()
                    self._fresh = text.endswith("\n")
            case CallStarted(call):
                self.line(f"… {call.name} {_short(call.arguments)}")
            case CallEnded(call, content, failed, _):
                if failed:
                    self.line(f"  {call.name}: {_short(content)}")
            case PermissionAsked(call, _):
                return call
            case Drafted(draft):
                self._draft(draft)
            case Noted(text):
                self.line(text)
            case Cited(_):
                pass  # the sources stand below the reply
        return None

    def ask(self, call: ToolCall) -> None:
        """Ask for permission."""
        self._break()
        # As short as it can be written: no blanks push what is asked about out of sight.
        try:
            shown = orjson.dumps(orjson.loads(call.arguments or "{}")).decode()
        except (ValueError, TypeError):  # it nests deeper than can be written
            shown = " ".join(call.arguments.split())
        sys.stderr.write(f"{call.name} {printable(shown)}\nMay it be called? [y/N] ")
        sys.stderr.flush()
        self._fresh = False

    def allowed(self) -> bool:
        """Read the answer: anything but yes is a no."""
        self._fresh = True
        try:
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        except (EOFError, ValueError):
            return False

    def end(self, turn: Turn, branch: Sequence[Turn], workspace: Workspace) -> None:
        """End a reply: what it cites, how long it took and what it cost."""
        if self._quiet:
            return
        if turn.reply.strip() != self._written.strip() and turn.reply:
            self._break()
            self.line("the reply was begun anew; this is all of it:")
            click.echo(printable(turn.reply))
            self._fresh = True
        self._break()
        if turn.error:
            self.problem(turn.error)
        sources = sources_of(branch, turn)
        cited = [one for one in sources if one.number in turn.cited]
        for one in cited:
            click.echo(f"[{one.number}] {printable(one.place)}")
        self.line(figures(turn, workspace))

    def earlier(self, branch: Sequence[Turn]) -> None:
        """Show the turns before."""
        for turn in branch:
            click.echo(f"> {printable(turn.question)}")
            click.echo(f"{printable(turn.reply)}\n")

    def turns(self, shown: Shown) -> None:
        """List all turns; those of the branch shown are marked."""
        here = {one.id for one in shown.branch}
        for one in shown.turns:
            mark = "*" if one.id in here else " "
            self.line(f"{mark} {one.id:>4}  below {one.parent or '–'}: {_short(one.question)}")

    def open(self, branch: Sequence[Turn], number: int) -> None:
        """Show a source whole."""
        known: dict[int, Source] = {}
        for turn in branch:
            known.update((one.number, one) for one in turn.sources)
        if number not in known:
            raise NotFound(f"there is no source {number} in this conversation")
        one = known[number]
        click.echo(click.style(f"[{number}] {printable(one.place)}  ({one.of})", bold=True))
        click.echo(printable(one.text))

    def cost(self, shown: Shown, workspace: Workspace) -> None:
        """Say what the conversation cost."""
        paid = cost_of(shown.sums, workspace.settings.per_usd)
        currency = workspace.settings.currency
        said = "not known in part" if paid is None else f"{paid:.6g} {currency}"
        self.line(f"{shown.sums.turns} turns, cost {said}")

    def _draft(self, draft: Draft) -> None:
        body = draft.body
        if self._quiet:
            return
        self._break()
        if draft.kind == "selection":
            click.echo(f"Selection: {body['count']:,} products where {printable(body['where'])}")
            for one in body["samples"]:
                click.echo(f"  {printable(one['key'])}  {printable(one['name'])}")
            click.echo(f"  {printable(body['command'])}")
        elif draft.kind == "template":
            click.echo(f"Template {body['name']} (/save keeps it as a draft):")
            click.echo(printable(str(body["text"]).rstrip()))
            for one in body["problems"]:
                place = "" if one["line"] is None else f"line {one['line']}: "
                self.line(f"{place}{one['message']}")
        else:
            cost = "not known" if body["cost"] is None else f"{body['cost']:.6g}"
            click.echo(
                f"Estimate of {body['pipeline']}: {body['items']:,} items, {cost} "
                f"{body['currency']}, {body['minutes']:g} min; nothing was started"
            )

    def _break(self) -> None:
        if not self._fresh and not self._quiet:
            sys.stdout.write("\n")
            sys.stdout.flush()
        self._fresh = True


def figures(turn: Turn, workspace: Workspace) -> str:
    """Write how a turn went: the first token, the whole, tokens, cost."""
    first = "no token" if turn.first is None else f"first token {turn.first:.2f} s"
    paid = cost_of(turn, workspace.settings.per_usd)
    cost = "cost not known" if paid is None else f"{paid:.6g} {workspace.settings.currency}"
    cached = f" ({turn.cached:,} cached)" if turn.cached else ""
    state = "" if turn.state == "complete" else f"{turn.state} · "
    return (
        f"{state}{turn.model} · {first}, {turn.seconds:.1f} s · {turn.input:,}{cached} + "
        f"{turn.output:,} tokens · {cost}"
    )


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


__all__ = ["Screen", "figures"]
