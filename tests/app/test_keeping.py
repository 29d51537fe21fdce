"""Which pictures a product may name: those people put into the workspace, nothing of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.picture_servers import png
from tests.workspaces import make_workspace

import waremill as library
from waremill.app.keeping import Bringer, storage_at
from waremill.errors import SourceError

PICTURE = png(20, 20)


async def test_stored_pictures_and_hidden_folders_are_named_by_nobody(tmp_path: Path) -> None:
    more = '[pictures]\nstorage = "kept"\nfolders = ["../photos"]\n'
    root = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", model=more)
    (tmp_path / "photos").mkdir()
    hidden = root / ".waremill" / "uploads"
    hidden.mkdir(parents=True)
    for place in (root / "a.png", tmp_path / "photos" / "b c.png", hidden / "d.png"):
        place.write_bytes(PICTURE)
    (tmp_path / "photos" / "link.png").symlink_to(hidden / "d.png")
    async with library.open(root) as workspace:
        storage = storage_at(workspace.settings.pictures.storage)
        kept = storage.path(await storage.keep(PICTURE, "image/png"))
        assert kept is not None
        bring = Bringer(workspace.settings)
        for name in ("a.png", "b c.png", "b%20c.png", str(root / "a.png")):
            assert await bring(name) == (PICTURE, "image/png")
        names = (
            kept.relative_to(root).as_posix(), str(kept), ".waremill/uploads/d.png", "link.png",
            "../shop/.waremill/uploads/d.png", "x/../.waremill/uploads/d.png",
        )  # fmt: skip
        for name in names:
            with pytest.raises(SourceError, match="there is no picture"):
                await bring(name)
