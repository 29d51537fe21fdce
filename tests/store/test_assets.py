"""Files by their content: written once and whole, in a folder or an object store."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs
from moto.server import ThreadedMotoServer

from waremill.domain import Asset
from waremill.errors import ConfigError, NotFound
from waremill.store.assets import Assets

PICTURE = b"\x89PNG the bytes of a picture"
NAME = hashlib.sha256(PICTURE).hexdigest()
REFERENCE = f"asset:{NAME}.png"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a bucket of a loopback S3 server."""
    import boto3

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="shop")
    s3fs.S3FileSystem.clear_instance_cache()  # one that another test's server answered
    try:
        yield "s3://shop/pictures"
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


def written(folder: Path) -> list[bytes]:
    """Every file below a folder."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_content_is_kept_under_its_hash_and_read_back(tmp_path: Path) -> None:
    assets = Assets(str(tmp_path / "files"))
    assert await assets.keep(PICTURE, "image/png") == REFERENCE
    assert await assets.read(REFERENCE) == PICTURE
    path = assets.path(REFERENCE)
    assert path is not None
    assert path.relative_to(tmp_path / "files").as_posix() == f"{NAME[:2]}/{NAME[2:4]}/{NAME}.png"


async def test_what_is_there_already_is_not_written_again_but_young_again(tmp_path: Path) -> None:
    """Retention goes by the time of a file; who keeps it anew may refer to it a moment later."""
    assets = Assets(str(tmp_path))
    await assets.keep(PICTURE, "image/png")
    path = assets.path(REFERENCE)
    assert path is not None
    os.utime(path, (1, 1))
    file = path.stat().st_ino
    await assets.keep(PICTURE, "image/png")
    assert path.stat().st_ino == file and path.stat().st_mtime > 1
    assert not list(assets.older(path.stat().st_mtime))
    assert list(assets.older(path.stat().st_mtime + 1)) == [REFERENCE]


async def test_many_writers_of_one_content_leave_one_whole_file(tmp_path: Path) -> None:
    content = os.urandom(1_000_000)
    stores = [Assets(str(tmp_path)) for _ in range(8)]
    kept = await asyncio.gather(*(one.keep(content, "image/webp") for one in stores))
    assert len(set(kept)) == 1
    assert written(tmp_path) == [content]


async def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is gone"):
        await Assets(str(tmp_path)).read(REFERENCE)


@pytest.mark.parametrize("text", ["", "asset:12.png", f"asset:{NAME}", f"asset:{NAME}.p/../g"])
async def test_what_is_no_reference_opens_nothing(tmp_path: Path, text: str) -> None:
    assert Asset.parse(text) is None
    with pytest.raises(NotFound, match="no reference"):
        await Assets(str(tmp_path)).read(text)


async def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="files cannot be kept in"):
        await Assets(str(tmp_path / "file" / "below")).keep(PICTURE, "image/png")


async def test_an_object_store_keeps_them_too(bucket: str) -> None:
    assets = Assets(bucket)
    assert await assets.keep(PICTURE, "image/png") == REFERENCE
    assert await assets.keep(PICTURE, "image/png") == REFERENCE
    assert await Assets(bucket).read(REFERENCE) == PICTURE
    with pytest.raises(NotFound):
        await assets.read(f"asset:{'0' * 64}.png")


def test_a_kind_of_url_nobody_knows_is_said() -> None:
    with pytest.raises(ConfigError, match="no URL we know"):
        Assets("nonsense-kind://shop")
