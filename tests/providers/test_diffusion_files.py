"""A pipeline's files: safe ones alone, fetched from a hub and checked, named by their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from waremill.errors import ConfigError, NotFound
from waremill.providers import diffusion_files as files

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
}
CONTENT: dict[str, bytes] = {
    "model_index.json": json.dumps(INDEX).encode(),
    "README.md": b"# A pipeline",
    "run.py": b"print('code')",
    "unet/config.json": b'{"in_channels": 4}',
    "unet/diffusion_pytorch_model.safetensors": b"full" * 1000,
    "unet/diffusion_pytorch_model.fp16.safetensors": b"half" * 500,
    "unet/diffusion_pytorch_model.non_ema.safetensors": b"train" * 1000,
    "unet/diffusion_pytorch_model.bin": b"pickle",
    "tokenizer/vocab.json": b"{}",
    "tokenizer/merges.txt": b"#version: 0.2\n",
    "scheduler/scheduler_config.json": b"{}",
    "vae_decoder/model.onnx": b"another framework's",
}
WEIGHTS = "unet/diffusion_pytorch_model.fp16.safetensors"
EXPECTED = {
    "model_index.json", "unet/config.json", WEIGHTS, "tokenizer/vocab.json",
    "tokenizer/merges.txt", "scheduler/scheduler_config.json",
}  # fmt: skip


class Hub:
    """A hub with one repository, in the shape of the Hugging Face hub; two files a page."""

    def __init__(self) -> None:
        self.content = dict(CONTENT)
        self.listed = dict(CONTENT)
        self.fetched: list[str] = []
        self.url = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/api/models/shop/scene/tree/{revision}", self._tree)
        app.router.add_get("/shop/scene/resolve/{revision}/{path:.+}", self._file)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return runner

    async def _tree(self, request: web.Request) -> web.Response:
        first = int(request.query.get("from", "0"))
        rows: list[dict[str, Any]] = []
        for path, content in list(self.listed.items())[first : first + 2]:
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            row: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git}
            if path.endswith((".safetensors", ".bin", ".onnx")):
                sha256 = hashlib.sha256(content).hexdigest()
                row |= {"oid": "0" * 40, "lfs": {"oid": sha256, "size": len(content)}}
            rows.append(row)
        headers = {}
        if first + 2 < len(self.listed):
            following = f"{self.url}{request.path}?recursive=true&from={first + 2}"
            headers["Link"] = f'<{following}>; rel="next"'
        return web.json_response(rows, headers=headers)

    async def _file(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.fetched.append(path)
        return web.Response(body=self.content[path])


@pytest_asyncio.fixture
async def hub() -> AsyncIterator[Hub]:
    one = Hub()
    runner = await one.start()
    yield one
    await runner.cleanup()


def place(hub: Hub, folder: Path) -> dict[str, Any]:
    return {"folder": folder, "hub": hub.url, "root": folder}


async def fetched(hub: Hub, folder: Path, name: str = "shop/scene") -> files.Source:
    import asyncio

    where = place(hub, folder)
    source = files.source_of(name, where)
    await asyncio.to_thread(files.fetch, source, where)
    return source


async def test_a_repository_is_fetched_once_without_what_is_not_needed(
    hub: Hub, tmp_path: Path
) -> None:
    source = await fetched(hub, tmp_path)
    assert source.here and set(hub.fetched) == EXPECTED
    inside = {
        path.relative_to(source.folder).as_posix(): path.read_bytes()
        for path in source.folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix not in (".sha256",)
    }
    assert inside == {path: CONTENT[path] for path in EXPECTED}
    assert files.variant_of(source.folder) == "fp16"
    before = len(hub.fetched)
    await fetched(hub, tmp_path)
    assert len(hub.fetched) == before


async def test_a_revision_has_a_folder_of_its_own(hub: Hub, tmp_path: Path) -> None:
    one = await fetched(hub, tmp_path)
    other = await fetched(hub, tmp_path, "shop/scene@refs-1")
    assert one.folder != other.folder and other.revision == "refs-1"
    assert files.digest_of(one.folder) == files.digest_of(other.folder)


@pytest.mark.parametrize("path", [WEIGHTS, "tokenizer/vocab.json"])
async def test_other_content_than_the_hub_lists_is_not_kept(
    hub: Hub, tmp_path: Path, path: str
) -> None:
    hub.content[path] = hub.content[path][:-1] + b"!"
    with pytest.raises(NotFound):
        await fetched(hub, tmp_path)
    source = files.source_of("shop/scene", place(hub, tmp_path))
    assert not source.here and not (source.folder / path).exists()
    hub.content[path] = CONTENT[path]
    assert (await fetched(hub, tmp_path)).here


async def test_a_repository_of_pickles_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.listed = {path: text for path, text in CONTENT.items() if ".safetensors" not in path}
    with pytest.raises(ConfigError, match="“unet” are there as a pickle only"):
        await fetched(hub, tmp_path)
    assert "unet/diffusion_pytorch_model.bin" not in hub.fetched


async def test_what_is_no_pipeline_is_said(hub: Hub, tmp_path: Path) -> None:
    hub.listed = {"config.json": b"{}"}
    with pytest.raises(NotFound, match="no diffusers pipeline"):
        await fetched(hub, tmp_path)


async def test_a_hub_that_does_not_answer_is_said_with_the_way_out(
    hub: Hub, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match=r"answered 404.*diffusers:FOLDER"):
        await fetched(hub, tmp_path, "shop/other")
    hub.url = "http://127.0.0.1:1"
    with pytest.raises(NotFound, match="cannot be reached"):
        await fetched(hub, tmp_path)


def test_weights_in_pieces_keep_their_list_of_pieces() -> None:
    paths = [
        "model_index.json",
        *(f"transformer/model-0000{n}-of-00002.safetensors" for n in (1, 2)),
        "transformer/model.safetensors.index.json",
        "transformer/model.fp16.safetensors.index.json",
        "transformer/config.json",
    ]
    assert sorted(files.wanted(paths, {"transformer": "diffusers"})) == sorted(
        path for path in paths if ".fp16" not in path
    )


def folder_of(tmp_path: Path, index: object = INDEX) -> Path:
    folder = tmp_path / "pipeline"
    for path in EXPECTED:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(CONTENT[path])
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def test_a_folder_is_found_relative_to_the_workspace(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    where = {"folder": tmp_path / "models", "root": tmp_path}
    for name in ("pipeline", "./pipeline", str(folder)):
        source = files.source_of(name, where)
        assert source.folder == folder and source.here and source.repository is None
    for name in ("./nowhere", "nowhere", "/nowhere/at/all", "a/b/c"):
        with pytest.raises(NotFound, match="OWNER/NAME"):
            files.source_of(name, where)


def test_the_digest_is_of_every_file_that_counts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    first = files.digest_of(folder)
    (folder / "README.md").write_text("words")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"never loaded")
    assert files.digest_of(folder) == first
    (folder / "scheduler" / "scheduler_config.json").write_text('{"steps_offset": 1}')
    assert files.digest_of(folder) != first


def test_a_pickle_beside_safe_weights_is_fine_and_alone_is_not(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    files.require_safe(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ConfigError, match="as a pickle"):
        files.require_safe(folder)


@pytest.mark.parametrize("index", [{}, [], {"_class_name": ["mine.py", "Mine"]}])
def test_an_index_that_names_no_known_pipeline_is_refused(tmp_path: Path, index: object) -> None:
    with pytest.raises(ConfigError, match=r"names no pipeline"):
        files.components(folder_of(tmp_path, index))
