"""Diffusion in this process: real pipelines of random numbers, so the pictures show nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from tests.calls.asking import desk
from tests.picture_servers import data_url, png, png_head
from tests.providers.asking import chat, model

from waremill.calls import images_of
from waremill.domain import Blob, ImageRequest, Model, Provider
from waremill.errors import AccessDenied, ConfigError, Rejected
from waremill.providers import open_provider, probe
from waremill.providers.diffusion import INSTALL, _engines, _thread
from waremill.providers.local import let_idle_threads_sleep
from waremill.store.assets import Assets
from waremill.store.database import Database

HERE = find_spec("torch") is not None and find_spec("diffusers") is not None
WANTED = pytest.mark.skipif(
    not HERE, reason="PyTorch and diffusers are not here: `make test-diffusion` runs these"
)
START = png(48, 32, (220, 30, 30))


def marked(test: Any) -> Any:
    """A test that needs PyTorch."""
    return pytest.mark.diffusion(WANTED(test))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny pipeline of each family."""
    let_idle_threads_sleep()
    from tests import tiny_pipelines

    folder = tmp_path_factory.mktemp("pipelines")
    tiny_pipelines.stable_diffusion(folder / "sd")
    tiny_pipelines.stable_diffusion(folder / "sd-masks", channels=9)
    tiny_pipelines.stable_diffusion(folder / "sd-checked", checker=True)
    tiny_pipelines.stable_diffusion_xl(folder / "sdxl")
    tiny_pipelines.flux(folder / "flux")
    return folder


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Provider]:
    provider = open_provider(model(f"diffusers:{folder}", keys=()))
    try:
        yield provider
    finally:
        await provider.aclose()


def wanted(**fields: Any) -> ImageRequest:
    return ImageRequest("a bottle on slate", width=48, height=32, **{"steps": 3, **fields})


async def made(provider: Provider, request: ImageRequest) -> bytes:
    response = await provider(request)
    (blob,) = response.blobs
    assert response.outcome == "complete" and blob.media_type == "image/png"
    return blob.content


def half_white(width: int = 48, height: int = 32) -> bytes:
    """A mask whose left half may change."""
    from PIL import Image

    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (0, 0, width // 2, height))
    out = BytesIO()
    mask.save(out, "PNG")
    return out.getvalue()


@marked
@pytest.mark.parametrize("family", ["sd", "sdxl", "flux"])
async def test_words_become_a_picture_and_the_same_request_the_same_one(
    tiny: Path, family: str
) -> None:
    async with opened(tiny / family) as provider:
        first = await made(provider, wanted(guidance=4.0))
        again = await made(provider, wanted(guidance=4.0))
        others = [await made(provider, wanted(sample=1)), await made(provider, wanted(take=1))]
    assert png_head(first) == (48, 32, False)
    assert first == again
    assert len({first, *others}) == 3
    async with opened(tiny / family) as provider:  # loaded anew
        assert await made(provider, wanted(guidance=4.0)) == first


@marked
@pytest.mark.parametrize("family", ["sd", "sdxl", "flux"])
async def test_a_picture_to_start_from_is_repainted(tiny: Path, family: str) -> None:
    other = png(96, 64, (20, 30, 200))  # twice the size that is asked for
    async with opened(tiny / family) as provider:
        red = await made(provider, wanted(images=(data_url(START),), strength=0.7, steps=6))
        blue = await made(provider, wanted(images=(data_url(other),), strength=0.7, steps=6))
        less = await made(provider, wanted(images=(data_url(START),), strength=0.4, steps=6))
    assert png_head(red) == png_head(blue) == (48, 32, False)
    assert len({red, blue, less}) == 3


@marked
@pytest.mark.parametrize("family", ["sd", "sd-masks", "sdxl", "flux"])
async def test_a_mask_says_where_a_picture_changes(tiny: Path, family: str) -> None:
    start = data_url(START)
    async with opened(tiny / family) as provider:
        left = await made(
            provider, wanted(images=(start,), mask=data_url(half_white()), strength=0.9)
        )
        everywhere = await made(
            provider,
            wanted(images=(start,), mask=data_url(png(48, 32, (255, 255, 255))), strength=0.9),
        )
    assert png_head(left) == (48, 32, False)
    assert left != everywhere


@marked
async def test_what_a_mask_protects_is_the_original_again_after_it_was_repainted(
    tiny: Path,
) -> None:
    import numpy as np
    from PIL import Image

    from waremill.images.compositing import recreated
    from waremill.images.picture import Picture

    def decoded(content: bytes) -> Picture:
        return Picture(np.asarray(Image.open(BytesIO(content)).convert("RGB")))

    async with opened(tiny / "sd") as provider:
        painted = await made(
            provider,
            wanted(images=(data_url(START),), mask=data_url(half_white()), strength=0.9),
        )
    original, mask = decoded(START), decoded(half_white())
    whole = recreated(original, decoded(painted), mask, feather=2)
    right = np.s_[:, 24:]
    assert (decoded(painted).pixels[right] != original.pixels[right]).any()
    assert (whole.picture.pixels[right] == original.pixels[right]).all()
    assert (whole.picture.pixels[:, :20] == decoded(painted).pixels[:, :20]).all()


@marked
async def test_a_pipeline_for_masks_wants_one(tiny: Path) -> None:
    async with opened(tiny / "sd-masks") as provider:
        with pytest.raises(Rejected, match="made for masks"):
            await provider(wanted())


@marked
async def test_what_the_safety_checker_objects_to_is_refused(tiny: Path) -> None:
    async with opened(tiny / "sd-checked") as provider:
        response = await provider(wanted())
    assert response.outcome == "refused" and response.blobs == ()
    assert "safety checker" in response.text


@marked
async def test_settings_are_the_pipelines_own_and_others_are_said(tiny: Path) -> None:
    async with opened(tiny / "sd") as provider:
        plain = await made(provider, wanted())
        rescaled = await made(provider, wanted(options={"guidance_rescale": 0.9}))
        with pytest.raises(Rejected, match="has no setting “sampler_name”"):
            await provider(wanted(options={"sampler_name": "Euler a"}))
        with pytest.raises(ConfigError, match="“generator” cannot be set"):
            await provider(wanted(options={"generator": 1}))
        with pytest.raises(Rejected, match="refused the request"):
            await provider(wanted(images=(data_url(START),), strength=0.01))
    assert plain != rescaled


@marked
async def test_sizes_are_brought_to_what_the_pipeline_can_make(tiny: Path) -> None:
    async with opened(tiny / "sd") as provider:
        odd = await made(provider, ImageRequest("a bottle", width=53, height=39, steps=2))
    assert png_head(odd) == (48, 32, False)


@marked
async def test_text_is_refused(tiny: Path) -> None:
    async with opened(tiny / "sd") as provider:
        with pytest.raises(ConfigError, match="makes pictures"):
            await provider(chat())


@marked
async def test_cancelling_stops_at_the_next_step(tiny: Path) -> None:
    async with opened(tiny / "sd") as provider:
        await made(provider, wanted())
        clock = asyncio.get_running_loop().time
        started = clock()
        await made(provider, wanted(steps=10))
        ten = clock() - started
        long = asyncio.create_task(provider(wanted(steps=990)))
        await asyncio.sleep(ten / 5)
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)
        started = clock()
        await made(provider, wanted(steps=10))  # waits for the thread to be free
        assert clock() - started < 20 * ten


@marked
async def test_a_pipeline_whose_loading_nobody_waits_for_is_let_go(tiny: Path) -> None:
    async with opened(tiny / "sd") as provider:
        first = asyncio.create_task(provider(wanted()))
        await asyncio.sleep(0.05)  # it has asked for the pipeline, which loads on another thread
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    await asyncio.get_running_loop().run_in_executor(_thread, int)  # once it has loaded
    assert _engines == {}


@marked
async def test_the_identity_is_the_files_wherever_they_lie(tiny: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(tiny / "sd", copied)
    one, other = (model(f"diffusers:{folder}") for folder in (tiny / "sd", copied))
    assert open_provider(one).identity == open_provider(other).identity
    weights = next((copied / "unet").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert open_provider(one).identity != open_provider(other).identity


@marked
async def test_pickles_and_code_are_never_loaded(tiny: Path, tmp_path: Path) -> None:
    import torch

    pickled = tmp_path / "pickled"
    shutil.copytree(tiny / "sd", pickled)
    next((pickled / "unet").glob("*.safetensors")).unlink()
    torch.save({}, pickled / "unet" / "diffusion_pytorch_model.bin")
    async with opened(pickled) as provider:
        with pytest.raises(ConfigError, match="as a pickle"):
            await provider(wanted())
    assert not (await probe(model(f"diffusers:{pickled}"))).ok
    coded = tmp_path / "coded"
    shutil.copytree(tiny / "sd", coded)
    ran = tmp_path / "ran"
    (coded / "unet" / "mine.py").write_text(f"open({str(ran)!r}, 'w')\nclass Mine: ...\n")
    index = json.loads((coded / "model_index.json").read_text())
    index["unet"] = ["mine", "Mine"]
    (coded / "model_index.json").write_text(json.dumps(index))
    async with opened(coded) as provider:
        with pytest.raises(AccessDenied, match="cannot be loaded"):
            await provider(wanted())
    assert not ran.exists()


@marked
async def test_a_broken_file_of_weights_is_said(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny / "sd", broken)
    next((broken / "vae").glob("*.safetensors")).write_bytes(b"not weights")
    async with opened(broken) as provider:
        with pytest.raises(AccessDenied, match="cannot be loaded"):
            await provider(wanted())


@marked
async def test_a_picture_is_made_once_and_its_replay_needs_no_pipeline(
    tiny: Path, tmp_path: Path, database: Database
) -> None:
    assets = Assets(str(tmp_path / "files"))
    start = await assets.keep(START, "image/png")
    mask = await assets.keep(half_white(), "image/png")
    request = wanted(images=(start,), mask=mask, strength=0.8)
    painter = Model("painter", f"diffusers:{tiny / 'sd'}")
    async with desk(database, painter, assets=assets) as one:
        fresh = await one.ask(request, "painter")
        moved = shutil.move(tiny / "sd" / "unet", tmp_path / "unet")
        try:
            again = await one.ask(request, "painter")
        finally:
            shutil.move(moved, tiny / "sd" / "unet")
    (reference,) = images_of(fresh.response.text)
    assert again.replayed and again.response == fresh.response
    assert png_head(await assets.read(reference)) == (48, 32, False)


@marked
async def test_a_check_says_where_the_files_are(tiny: Path) -> None:
    found = await probe(model(f"diffusers:{tiny / 'flux'}"))
    assert found.ok and str(tiny / "flux") in found.checks[-1].detail


def test_without_the_extra_the_install_line_is_said() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from waremill.domain import Model\n"
        "from waremill.errors import ConfigError\n"
        "from waremill.providers import open_provider\n"
        "try: open_provider(Model('painter', 'diffusers:somebody/something'))\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"model “painter” needs diffusers and PyTorch: {INSTALL}\n"


def test_a_blob_keeps_its_bytes_out_of_messages() -> None:
    assert "PNG" not in repr(Blob("image/png", START))
