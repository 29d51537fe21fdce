"""Uploads: whose they are, how much they may be together, and what a full disk says."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from tests.workspaces import make_workspace

from waremill.app import Workspace, open_workspace, uploading
from waremill.app.acting import Actor
from waremill.app.uploading import KEPT_SECONDS, Uploads
from waremill.errors import ConfigError, LimitReached, NotFound

Usage = namedtuple("Usage", "total used free")
MEGABYTE = 1024**2


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    async with open_workspace(make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")) as opened:
        yield opened


def uploads(workspace: Workspace, name: str = "ann") -> Uploads:
    """The uploads of an operator."""
    return Uploads(workspace.acting(Actor(name, {1: "operator"})))


def left(workspace: Workspace) -> list[Path]:
    """The files that are kept of all uploads."""
    return list((workspace.settings.root / uploading.UPLOADS).glob("*/*"))


def test_a_users_uploads_are_bounded_together(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "MOST_A_USER", 3 * MEGABYTE)
    own = uploads(workspace)
    first = own.keep("a.csv", BytesIO(b"x" * 2 * MEGABYTE))
    with pytest.raises(ConfigError, match="delete some, or wait: each is kept for a day"):
        own.keep("b.csv", BytesIO(b"x" * (MEGABYTE + 1)))
    assert len(left(workspace)) == 1, "nothing of it is left"
    uploads(workspace, "bob").keep("b.csv", BytesIO(b"x" * 2 * MEGABYTE))
    own.keep("c.csv", BytesIO(b"x" * MEGABYTE))
    own.drop(first.id)
    own.keep("b.csv", BytesIO(b"x" * (MEGABYTE + 1)))


def test_a_user_may_have_so_many_uploads(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "MOST_FILES", 2)
    own = uploads(workspace)
    for name in ("a.csv", "b.csv"):
        own.keep(name, BytesIO(b"x"))
    with pytest.raises(ConfigError, match="you may have 2 uploads"):
        own.keep("c.csv", BytesIO(b"x"))
    for folder in left(workspace):
        os.utime(folder, (0, folder.stat().st_mtime - KEPT_SECONDS - 60))
    own.keep("c.csv", BytesIO(b"x"))
    assert len(left(workspace)) == 1, "old ones make room"


def test_some_of_the_disk_stays_free(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    least = uploading.LEAST_FREE
    for free, more in ((least - 1, 1), (least + MEGABYTE - 1, MEGABYTE)):
        usage = Usage(10 * least, 9 * least, free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, usage=usage: usage)
        with pytest.raises(LimitReached, match="less than 1 GB left; nothing was kept") as caught:
            uploads(workspace).keep("a.csv", BytesIO(b"x" * more))
        assert caught.value.limit == "disk" and not left(workspace)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_plainly(workspace: Workspace, number: int) -> None:
    class Full(BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(number, os.strerror(number))

    with pytest.raises(LimitReached, match="the server's disk is full") as caught:
        uploads(workspace).keep("a.csv", Full())
    assert caught.value.limit == "disk" and not left(workspace)


def test_an_upload_is_its_senders_alone(workspace: Workspace) -> None:
    kept = uploads(workspace).keep("a.csv", BytesIO(b"sku\n1\n"))
    assert uploads(workspace).find(kept.id).path.read_bytes() == b"sku\n1\n"
    with pytest.raises(NotFound):
        uploads(workspace, "bob").find(kept.id)
    with pytest.raises(ConfigError, match="the file is empty"):
        uploads(workspace).keep("a.csv", BytesIO())
