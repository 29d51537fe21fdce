"""`waremill chat`: streamed with sources, stopped by Ctrl-C, asking before anything changes."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from tests.app.talking import CARE
from tests.talker import talker_process
from tests.workspaces import COMMAND, Ended, make_workspace, perfumes, write_sheet
from tests.workspaces import waremill as waremill_alone
from tests.workspaces import waremill_here as waremill

from waremill.cli import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with products, a guide and a model that talks."""
    with talker_process() as url:
        root = make_workspace(tmp_path_factory.mktemp("chat") / "shop", url)
        (root / "knowledge" / "guide").mkdir(parents=True)
        (root / "knowledge" / "guide" / "care.md").write_text(CARE, encoding="utf-8")
        rows = [{**one, "top_notes": ""} for one in perfumes(5)]
        sheet = write_sheet(root / "perfumes.csv", rows)
        for given in (("import", str(sheet), "--key", "sku"), ("knowledge", "add", "guide")):
            ended = waremill_alone(root, *given)
            assert ended.code == 0, ended.err
        yield root


def typed(folder: Path, text: str, *options: str) -> Ended:
    """Run the command with lines on stdin."""
    done = CliRunner().invoke(cli, ["chat", "-C", str(folder), *options], input=text)
    return Ended(done.exit_code, done.stdout, done.stderr)


class Terminal:
    """The command in a terminal of its own: what is typed and what is seen."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, "chat", *options], cwd=folder, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, env={**os.environ, "TERM": "dumb"},
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def type(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def until(self, words: str) -> str:
        """Read until words are seen; give what was read, and forget it."""
        limit = time.monotonic() + 60
        while words not in self.seen:
            assert time.monotonic() < limit, self.seen
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._master, 65_536).decode(errors="replace")
                except OSError:  # the other side is closed
                    break
        assert words in self.seen, self.seen
        before, _, self.seen = self.seen.partition(words)
        return before + words

    def close(self) -> int:
        code = self.process.wait(timeout=30)
        os.close(self._master)
        return code


def test_lines_on_stdin_are_questions_and_their_sources_stand_below(folder: Path) -> None:
    ended = typed(folder, "What do the documents say about returns?\n")
    assert ended.code == 0, ended.err
    assert "The guide names **three** things [1]" in ended.out
    assert "[1] care › " in ended.out
    assert "first token" in ended.err and "USD" in ended.err
    listed = waremill(folder, "chat", "--list", "--json").json
    assert listed[0]["title"].startswith("What do the documents") and listed[0]["cost"] > 0


def test_a_draft_prints_the_line_that_runs_it(folder: Path) -> None:
    ended = typed(folder, "Draft those without notes, in French\n")
    assert "Selection: 5 products where missing(top_notes)" in ended.out, ended.err
    assert "waremill run PIPELINE --catalog perfumes --where 'missing(top_notes)'" in ended.out
    assert "--target fr-FR" in ended.out


def test_nothing_is_permitted_where_nobody_can_be_asked(folder: Path) -> None:
    ended = typed(folder, "save it\n", "--json")
    assert ended.code == 0, ended.err
    (turn,) = ended.json["turns"]
    assert [one["permitted"] for one in turn["steps"]] == [False]
    assert ended.json["branch"] == [turn["id"]]


def test_a_conversation_goes_on_is_written_and_deleted(folder: Path) -> None:
    first = typed(folder, "returns?\n", "--json").json
    again = typed(folder, "and then?\n", "--json", "--resume", str(first["id"])).json
    assert again["id"] == first["id"] and len(again["turns"]) == 2
    place = folder / "chat.jsonl"
    ended = waremill(folder, "chat", "--resume", "last", "--export", str(place))
    assert ended.code == 0, ended.err
    lines = place.read_bytes().splitlines()
    assert [orjson.loads(one)["question"] for one in lines] == ["returns?", "and then?"]
    assert waremill(folder, "chat", "--resume", str(first["id"]), "--delete").code == 0
    gone = waremill(folder, "chat", "--resume", str(first["id"]))
    assert (gone.code, gone.err) == (2, f"waremill: there is no conversation {first['id']}\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--resume", "x"), "is no conversation"), (("--delete",), "say which conversation"),
        (("--resume", "last", "--export", "chat.pdf"), ".md or .jsonl"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(folder: Path, options: tuple[str, ...], said: str) -> None:
    ended = waremill(folder, "chat", *options)
    assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1
    wrong = typed(folder, "hello\n", "--model", "nothing")
    assert wrong.code == 2 and "there is no model" in wrong.err


def test_at_a_terminal_a_reply_is_stopped_and_a_change_is_asked_about(folder: Path) -> None:
    terminal = Terminal(folder)
    terminal.until("> ")
    terminal.type("tell me a long story")
    terminal.until("the scent opened again")
    terminal.interrupt()
    assert "cost not known" in terminal.until("cost not known")
    terminal.until("> ")
    terminal.type("please save it")
    terminal.until("[y/N] ")
    terminal.type("y")
    terminal.until("The selection is saved.")
    terminal.until("> ")
    terminal.type("/edit returns?")
    terminal.until("[1] care")
    terminal.until("> ")
    terminal.type("/turns")
    turns = terminal.until("returns?")
    assert "please save it" in turns
    terminal.type("/open 1")
    terminal.until("(guide)")
    terminal.type("/quit")
    terminal.until("goes on")
    assert terminal.close() == 0


def test_a_question_that_was_interrupted_does_not_take_the_next_line(folder: Path) -> None:
    terminal = Terminal(folder)
    terminal.until("> ")
    terminal.type("please save it")
    terminal.until("[y/N] ")
    terminal.interrupt()
    terminal.until("stopped")
    terminal.until("> ")
    terminal.type("/turns")  # typed for the prompt, not for the call that is gone
    terminal.until("please save it")
    terminal.type("/quit")
    terminal.until("goes on")
    assert terminal.close() == 0
