"""Folders and files somebody else made: what is read of them, and what must not be."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
from tests.app.test_knowing import look, opened, workspace, write
from tests.embedding_server import embedding_server

from waremill.app import Workspace, knowing
from waremill.errors import SourceError

__all__ = ["embedding_server", "opened", "workspace"]

TEXT = "Hold the home button for five seconds to reset the remote control."


async def test_a_link_gives_away_nothing_outside_of_its_folder(
    workspace: Workspace, tmp_path: Path
) -> None:
    write(tmp_path, {"private/salaries.txt": "The boss earns ten thousand a month."})
    folder = write(tmp_path / "sent", {"remote.md": TEXT, "sub/care.md": "Wipe it with a cloth."})
    (folder / "out.txt").symlink_to(tmp_path / "private" / "salaries.txt")
    (folder / "away").symlink_to(tmp_path / "private")
    (folder / "sub" / "again.md").symlink_to(folder / "remote.md")
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert done.problems == [
        ("out.txt", "the file is a link that leads out of the folder: add what it leads to by "
                    "itself"),
    ]  # fmt: skip
    found = {one.document for one in await look(workspace, "salaries of the boss")}
    assert found <= {"remote.md", "sub/care.md", "sub/again.md"}


async def test_a_folders_metadata_come_from_the_folder(
    workspace: Workspace, tmp_path: Path
) -> None:
    write(tmp_path, {"secrets.yaml": "token: abc"})
    folder = write(tmp_path / "sent", {"remote.md": TEXT})
    (folder / "_metadata.yaml").symlink_to(tmp_path / "secrets.yaml")
    with pytest.raises(SourceError, match="leads out of the folder"):
        await knowing.add_documents(workspace, "help", [str(folder)])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
async def test_a_file_whose_name_is_no_text_is_read_under_one_that_is(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = write(tmp_path / "sent", {"remote.md": TEXT})
    os.rename(folder / "remote.md", os.path.join(os.fsencode(folder), b"caf\xe9.md"))
    write(folder, {"what?.md": "Wipe it with a cloth."})
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert (done.new, done.problems) == (2, [])
    # Names of old archives are mostly in a code page of their time.
    assert (await look(workspace, "reset the remote"))[0].document == "café.md"


async def test_a_name_too_long_for_a_database_is_a_problem_of_its_document_alone(
    workspace: Workspace, tmp_path: Path
) -> None:
    some = random.Random(1)
    parts = ["".join(chr(some.randrange(0x4E00, 0x9FA5)) for _ in range(80)) for _ in range(14)]
    folder = write(tmp_path / "sent", {"remote.md": TEXT, "/".join([*parts, "a.md"]): TEXT})
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert done.new == 1
    assert [message for _, message in done.problems] == [
        "the document's name has more than 2,000 bytes: give it a shorter one"
    ]
    assert (await look(workspace, "reset the remote"))[0].document == "remote.md"


async def test_what_no_database_keeps_is_replaced_in_a_document(
    workspace: Workspace, tmp_path: Path
) -> None:
    front = 'title: "Care\\0\\uD800"\nbrand: "A\\0B"\nday: 2027-02-30'
    rows = '{"name": "remote", "text": "' + TEXT + '\\u0000 and wait"}\n'
    care = f"---\n{front}\n---\n# Care\n\nWipe."
    folder = write(tmp_path / "sent", {"rows.jsonl": rows, "care.md": care})
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert (done.new, done.problems) == (2, [])
    assert (await look(workspace, "reset the remote"))[0].document == "rows.jsonl"
