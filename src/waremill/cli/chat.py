"""The command `chat`: talk to a model about the catalogue and the shop's documents.

What a model writes goes to stdout as it comes, everything else to stderr. The line is read outside
of the event loop, so that the terminal's own editing works; each turn runs inside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from waremill.app import Workspace, chatting
from waremill.app.chatting import Asking, Live, Shown
from waremill.chat.events import CallEnded, Event
from waremill.cli.chat_screen import Screen
from waremill.cli.door import (
    INTERRUPTED,
    command,
    exit_code,
    print_json,
    print_table,
    workspace_at,
)
from waremill.errors import ConfigError, NotFound, WaremillError

KEYS = """\
/retry              ask the last question again
/edit TEXT          ask the last question otherwise; the old branch stays
/branch N           go to the branch that holds turn N; /turns lists them
/turns              list all turns with their numbers
/open N             show source N whole
/save               save the template drafted last, as a draft of the workspace's files
/export FILE        write the conversation, as .md or .jsonl
/title TEXT         rename the conversation
/cost               what the conversation cost
/quit               leave; so does Ctrl-D, or Ctrl-C twice"""


@command("chat", short_help="Talk about the catalogue and the shop's documents.")
@click.option(
    "--knowledge", metavar="NAME", multiple=True,
    help="Search this knowledge base; may be repeated (default: all).",
)  # fmt: skip
@click.option("--catalog", metavar="NAME", help="The catalogue (default: the only one).")
@click.option("--model", metavar="M", help="The model instead of the default one.")
@click.option("--resume", metavar="N|last", help="Go on with a conversation.")
@click.option("--list", "listing", is_flag=True, help="List the conversations.")
@click.option(
    "--export", "place", metavar="FILE", type=click.Path(dir_okay=False),
    help="Write the conversation of --resume to a file, .md or .jsonl.",
)  # fmt: skip
@click.option("--delete", "deleting", is_flag=True, help="Delete the conversation of --resume.")
def chat_command(folder: str | None, as_json: bool, resume: str | None, **given: Any) -> int:
    """Talk to a model about the catalogue and the shop's documents.

    Answers come with numbered citations. Ctrl-C stops a reply and keeps what came; a second one
    leaves. Type /help for what else there is. Where stdin is no terminal each line is a question.
    """

    def start() -> int:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            workspace = runner.run(workspace_at(folder).__aenter__())
            try:
                talk = _Talk(workspace, runner, as_json)
                if given["listing"]:
                    return runner.run(_list(workspace, as_json))
                if given["deleting"] or given["place"] is not None:
                    return talk.once(resume, given["place"])
                talk.asking = Asking(
                    knowledge=given["knowledge"] or None, catalog=given["catalog"],
                    model=given["model"],
                )  # fmt: skip
                return talk.hold(resume)
            finally:
                runner.run(_close(workspace))

    return exit_code(as_json, start)


async def _close(workspace: Workspace) -> None:
    from waremill.app import generating

    await chatting.close(workspace)
    await generating.close(workspace)
    await workspace.__aexit__(None, None, None)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    return uvloop.new_event_loop


async def _list(workspace: Workspace, as_json: bool) -> int:
    page = await chatting.listed(workspace, size=200)
    rows = [chatting.listed_document(workspace.settings, one) for one in page.rows]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows, ["id", "title", "turns", "model", "cost"])
    else:
        click.echo("no conversation yet; `waremill chat` begins one")
    return 0


class _Talk:
    """One sitting at the terminal: the conversation, and what is asked next."""

    def __init__(self, workspace: Workspace, runner: asyncio.Runner, as_json: bool) -> None:
        self._workspace = workspace
        self._runner = runner
        self._as_json = as_json
        self._typed = sys.stdin.isatty()
        self._screen = Screen(quiet=as_json)
        self._number: int | None = None
        self._live: Live | None = None
        self._failed = False
        self.asking = Asking()

    def once(self, name: str | None, place: str | None) -> int:
        """Export or delete one conversation."""
        if name is None:
            raise ConfigError("say which conversation: --resume N")
        found = self._runner.run(chatting.find_named(self._workspace, name))
        if place is not None:
            self._number = found.id
            self._export(place)
            if self._as_json:
                print_json({"id": found.id, "path": place})
            return 0
        self._runner.run(chatting.delete(self._workspace, found.id))
        if self._as_json:
            print_json({"id": found.id, "deleted": True})
        else:
            click.echo(f"conversation {found.id} is deleted")
        return 0

    def hold(self, resume: str | None) -> int:
        """Talk until the user leaves; give the exit code."""
        if resume is not None:
            found = self._runner.run(chatting.find_named(self._workspace, resume))
            self._number = found.id
            if not self._as_json:
                self._screen.earlier(self._shown().branch)
        self._screen.hello(self._typed)
        left = False
        while not left:
            try:
                line = self._read()
            except KeyboardInterrupt:
                self._screen.line("")
                break
            if line is None:
                break
            left = self._take(line)
        if self._as_json and self._number is not None:
            print_json(chatting.conversation_document(self._workspace.settings, self._shown()))
        elif self._number is not None and self._typed:
            self._screen.line(f"`waremill chat --resume {self._number}` goes on")
        return INTERRUPTED if left and self._interrupted else (1 if self._failed else 0)

    _interrupted = False

    def _read(self) -> str | None:
        if not self._typed:
            line = sys.stdin.readline()
            return line.rstrip("\n") if line else None
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - gives the prompt its editing and history
        try:
            return input(self._screen.prompt())
        except EOFError:
            self._screen.line("")
            return None

    def _take(self, line: str) -> bool:
        """Do what one line says; True to leave."""
        line = line.strip()
        if not line:
            return False
        word, _, rest = line.partition(" ")
        try:
            if word in ("/quit", "/exit"):
                return True
            if word.startswith("/") and self._typed:
                self._command(word, rest.strip())
                return False
            return self._ask(Asking(message=line))
        except WaremillError as error:
            if not self._typed and not self._as_json:
                raise
            self._failed = True
            self._screen.problem(str(error))
            return False

    def _command(self, word: str, rest: str) -> None:
        if word == "/help":
            self._screen.line(KEYS)
        elif word == "/retry":
            self._ask(Asking(retries=self._last()))
        elif word == "/edit":
            self._ask(Asking(message=rest, edits=self._last()))
        elif word == "/branch":
            number = self._need()
            self._runner.run(chatting.choose(self._workspace, number, _whole(rest)))
            self._screen.earlier(self._shown().branch)
        elif word == "/turns":
            self._screen.turns(self._shown())
        elif word == "/open":
            self._screen.open(self._shown().branch, _whole(rest))
        elif word == "/save":
            self._save()
        elif word == "/export":
            self._export(rest)
            self._screen.line(f"written: {rest}")
        elif word == "/title":
            self._runner.run(chatting.rename(self._workspace, self._need(), rest))
        elif word == "/cost":
            self._screen.cost(self._shown(), self._workspace)
        else:
            self._screen.line(f"there is no {word}; /help lists what there is")

    def _need(self) -> int:
        if self._number is None:
            raise ConfigError("nothing was asked yet")
        return self._number

    def _shown(self) -> Shown:
        return self._runner.run(chatting.show(self._workspace, self._need()))

    def _last(self) -> int:
        branch = self._shown().branch
        if not branch:
            raise ConfigError("nothing was asked yet")
        return branch[-1].id

    def _ask(self, asked: Asking) -> bool:
        """Have a reply written; True where the user wants to leave."""
        given = self.asking
        asking = Asking(
            asked.message, self._number, asked.edits, asked.retries, given.knowledge,
            given.catalog, given.model,
        )  # fmt: skip
        return self._runner.run(self._reply(asking))

    async def _reply(self, asking: Asking) -> bool:
        pressed = 0
        live: Live | None = None

        def hear(event: Event) -> None:
            call = self._screen.hear(event)
            if isinstance(event, CallEnded):  # permitted, refused, or out of time
                self._leave_keyboard()
            if call is not None and live is not None:
                self._answer(live, call)

        def stop() -> None:
            nonlocal pressed
            pressed += 1
            if live is not None:
                live.stop()

        with _on_interrupt(stop):
            live = await chatting.begin(self._workspace, asking, hear)
            self._number = live.conversation
            self._screen.begin()
            try:
                turn = await live.ended()
            finally:
                self._leave_keyboard()
        shown = await chatting.show(self._workspace, live.conversation)
        self._screen.end(turn, shown.branch, self._workspace)
        self._failed = self._failed or turn.state == "failed"
        self._interrupted = pressed > 1
        return pressed > 1

    def _answer(self, live: Live, call: Any) -> None:
        """Ask the user for permission; the reply waits for it. One call is asked about at a time.

        Once nobody waits for the answer any more, the next line that is typed is the next question.
        """
        if not self._typed:
            self._screen.line("not permitted: nobody is there to ask")
            live.permit(call.id, False)
            return

        def answer(allow: bool) -> None:
            with contextlib.suppress(NotFound):  # nobody waits for it any more
                live.permit(call.id, allow)

        def typed() -> None:
            self._leave_keyboard()
            answer(self._screen.allowed())

        loop = asyncio.get_running_loop()
        self._screen.ask(call)
        try:
            loop.add_reader(sys.stdin, typed)
        except NotImplementedError:  # Windows: there a thread reads
            asked = loop.run_in_executor(None, self._screen.allowed)
            asked.add_done_callback(lambda done: answer(not done.cancelled() and done.result()))

    def _leave_keyboard(self) -> None:
        """Wait for no answer at the keyboard."""
        if self._typed:
            with contextlib.suppress(NotImplementedError):  # Windows
                asyncio.get_running_loop().remove_reader(sys.stdin)

    def _save(self) -> None:
        """Save the template that was drafted last as a draft, as the console's editor does."""
        from waremill.app.editing import Editor

        drafts = [one for turn in self._shown().branch for one in turn.drafts]
        found = next((one for one in reversed(drafts) if one.kind == "template"), None)
        if found is None:
            raise ConfigError("no template was drafted in this conversation")
        path, text = f"templates/{found.body['name']}.yaml", str(found.body["text"])

        async def save() -> str:
            editor = Editor(self._workspace)
            opened = await editor.read(path)
            await editor.save_draft(path, text, opened.etag)
            return path

        self._screen.line(
            f"saved as a draft of {self._runner.run(save())}; the console approves it"
        )

    def _export(self, place: str) -> None:
        if not place:
            raise ConfigError("name a file that ends in .md or .jsonl")
        ending = Path(place).suffix.lower()
        if ending not in (".md", ".jsonl"):
            raise ConfigError("a conversation is written as .md or .jsonl")
        _, content = self._runner.run(
            chatting.export(
                self._workspace, self._need(), "jsonl" if ending == ".jsonl" else "markdown"
            )
        )
        try:
            Path(place).write_bytes(content)
        except OSError as error:
            raise ConfigError(f"“{place}” cannot be written: {error.strerror}") from None


def _whole(text: str) -> int:
    if not text.strip().isdigit():
        raise ConfigError("give a number")
    return int(text)


@contextlib.contextmanager
def _on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` for Ctrl-C while a reply is written."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGINT, stop)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)


__all__ = ["chat_command"]
