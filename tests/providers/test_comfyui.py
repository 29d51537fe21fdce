"""ComfyUI: workflows are filled in, queued, waited for, and withdrawn when nobody waits."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from typing import Any

import pytest
from tests.picture_servers import Comfy, colour_of, data_url, png
from tests.providers.asking import chat, model, opened

from waremill.domain import ImageRequest, Response
from waremill.errors import ConfigError, ProviderError, RateLimited, Rejected, Unavailable
from waremill.providers import open_provider, probe
from waremill.providers.workflow import Workflow

BOTTLE = png(32, 48, (10, 20, 30))
MASK = png(32, 48, (255, 255, 255))
SCENE: dict[str, Any] = {
    "3": {"class_type": "KSampler",
          "inputs": {"seed": "{{seed}}", "steps": "{{steps}}", "cfg": 7.5, "model": ["4", 0],
                     "sampler_name": "{{sampler}}"}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "base.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "photo of {{prompt}}, sharp"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "w"}},
    "10": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
}  # fmt: skip
INPAINT: dict[str, Any] = {
    **SCENE,
    "1": {"class_type": "LoadImage", "inputs": {"image": "{{image}}"}},
    "2": {"class_type": "LoadImageMask", "inputs": {"image": "{{mask}}", "channel": "red"}},
}
OPTIONS = {"sampler": "euler"}


def wanted(**fields: Any) -> ImageRequest:
    return ImageRequest("a bottle", steps=20, **{"options": OPTIONS, **fields})


async def ask(
    server: Comfy, request: ImageRequest, nodes: dict[str, Any] = SCENE, **more: Any
) -> Response:
    workflow = json.dumps(nodes)
    async with opened("comfyui:scene", server.url, keys=(), workflow=workflow, **more) as provider:
        return await provider(request)


async def failure(server: Comfy, nodes: dict[str, Any] = SCENE, **more: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(server, wanted(), nodes, **more)
    return caught.value


@pytest.mark.parametrize("old", [False, True])
async def test_a_workflow_is_filled_in_and_its_saved_picture_comes_back(old: bool) -> None:
    async with Comfy(old=old) as server:
        response = await ask(server, wanted(options={**OPTIONS, "seed": 5}))
    (nodes,) = server.bodies
    assert nodes["3"]["inputs"] == {
        "seed": 5, "steps": 20, "cfg": 7.5, "model": ["4", 0], "sampler_name": "euler",
    }  # fmt: skip
    assert nodes["6"]["inputs"]["text"] == "photo of a bottle, sharp"
    # What was only previewed is left out.
    assert [blob.content for blob in response.blobs] == [png(64, 48, colour_of("59"))]
    assert response.request_id is not None


async def test_pictures_are_uploaded_under_the_hash_of_their_content() -> None:
    async with Comfy() as server:
        request = wanted(images=(data_url(BOTTLE),), mask=data_url(MASK))
        await ask(server, request, INPAINT)
        await ask(server, request, INPAINT)
    names = [f"waremill-{sha256(one).hexdigest()}.png" for one in (BOTTLE, MASK)]
    assert server.inputs == dict(zip(names, (BOTTLE, MASK), strict=True))
    assert [node["inputs"]["image"] for node in map(server.bodies[0].get, ("1", "2"))] == names


async def test_previews_are_given_where_nothing_is_saved() -> None:
    nodes = {number: node for number, node in SCENE.items() if number != "9"}
    async with Comfy() as server:
        response = await ask(server, wanted(options={**OPTIONS, "seed": 5}), nodes)
    assert [blob.content for blob in response.blobs] == [png(64, 48, colour_of("510"))]


async def test_what_the_workflow_and_the_request_lack_is_said_before_anything_is_sent() -> None:
    unseeded = {**SCENE, "3": {"class_type": "KSampler", "inputs": {"seed": 1}}}
    async with Comfy() as server:
        with pytest.raises(ConfigError, match=r"place “?.*sampler.*nothing for it; it has height"):
            await ask(server, wanted(options={"other": 1}))
        with pytest.raises(ConfigError, match=r"place .*image.*nothing"):
            await ask(server, wanted(), INPAINT)
        with pytest.raises(ConfigError, match=r"picture for .*mask.*no such place"):
            await ask(server, wanted(mask=data_url(MASK)))
        with pytest.raises(ConfigError, match=r"no .*seed.*would be the same"):
            await ask(server, wanted(sample=1), unseeded)
        await ask(server, wanted(), unseeded)
    assert server.calls == 1 and not server.inputs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ('{"nodes": [], "links": []}', "Export"),
        ('{"1": {"inputs": {}}}', "“1” is no node"),
        ("[]", "Export"),
        (json.dumps({"1": {"class_type": "KSampler", "inputs": {"seed": "{{seed}}"}}}), "prompt"),
    ],
)
def test_a_file_that_is_no_workflow_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_provider(model("comfyui:scene", workflow=text))


def test_a_model_without_a_workflow_says_what_it_needs() -> None:
    with pytest.raises(ConfigError, match=r"workflows/scene\.json"):
        open_provider(model("comfyui:scene"))


def test_the_workflow_is_part_of_the_identity_and_the_alias_is_not() -> None:
    one, same, other = (
        open_provider(model("comfyui:scene", workflow=json.dumps(nodes)))
        for nodes in (SCENE, SCENE, INPAINT)
    )
    assert one.identity == same.identity != other.identity
    assert "writer" not in one.identity


def test_a_products_words_never_stand_for_a_place() -> None:
    workflow = Workflow.read(json.dumps(SCENE))
    nodes = workflow.filled({"prompt": "{{seed}} {{x}}", "seed": 1, "steps": 2, "sampler": "{{p}}"})
    assert nodes["6"]["inputs"]["text"] == "photo of {{seed}} {{x}}, sharp"
    assert nodes["3"]["inputs"]["sampler_name"] == "{{p}}"


async def test_nodes_the_server_finds_wrong_are_named() -> None:
    nodes = {**SCENE, "3": {"class_type": "KSampler", "inputs": {"seed": "a{{seed}}"}}}
    async with Comfy() as server:
        error = await failure(server, nodes)
    assert isinstance(error, Rejected)
    assert "node 3 (KSampler): Failed to convert an input value to a INT value" in error.message


@pytest.mark.parametrize(
    ("ending", "kind", "words"),
    [
        ("error", Rejected, "failed in node KSampler: sizes of tensors must match"),
        ("out_of_memory", Unavailable, "ran out of memory"),
        ("interrupted", Unavailable, "was interrupted"),
        ("lost", Unavailable, "lost the prompt"),
    ],
)
async def test_how_a_prompt_ends_says_what_to_do(
    ending: str, kind: type[ProviderError], words: str
) -> None:
    async with Comfy(ending=ending) as server:
        error = await failure(server)
    assert type(error) is kind and words in error.message


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("rate_limited", RateLimited), ("unavailable", Unavailable), ("malformed", Unavailable),
     ("cut", Unavailable)],
)  # fmt: skip
async def test_a_fault_becomes_the_error_that_says_what_to_do(
    fault: str, kind: type[ProviderError]
) -> None:
    async with Comfy([fault]) as server:
        assert type(await failure(server)) is kind
        assert (await ask(server, wanted())).blobs


async def test_after_the_timeout_the_prompt_is_stopped() -> None:
    async with Comfy(work_seconds=30.0) as server:
        error = await failure(server, timeout=0.4)
        assert isinstance(error, Unavailable)
        assert "did not finish the picture within 0.4 s" in error.message
        assert len(server.interrupted) == 1


async def test_a_cancelled_request_leaves_the_queue_and_stops_nobody_elses() -> None:
    async with Comfy(work_seconds=30.0) as server:
        first = asyncio.create_task(ask(server, wanted()))
        while server.running is None:  # noqa: ASYNC110  the server has no event to wait for
            await asyncio.sleep(0.01)
        second = asyncio.create_task(ask(server, wanted(sample=1)))
        while not server.pending:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert not server.pending and not server.interrupted
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert len(server.interrupted) == 1


async def test_text_is_refused_before_anything_is_sent() -> None:
    async with Comfy() as server:
        workflow = json.dumps(SCENE)
        async with opened("comfyui:scene", server.url, workflow=workflow) as provider:
            with pytest.raises(ConfigError, match="makes pictures"):
                await provider(chat())
    assert server.paths == []


async def test_a_check_looks_for_the_nodes_and_makes_no_picture() -> None:
    odd = {**SCENE, "11": {"class_type": "Somebody's Node", "inputs": {}}}
    async with Comfy() as server:
        good = await probe(model("comfyui:scene", server.url, workflow=json.dumps(SCENE)))
        bad = await probe(model("comfyui:scene", server.url, workflow=json.dumps(odd)))
    assert good.ok
    assert not bad.ok and bad.checks[-1].detail == "the server has no Somebody's Node"
    assert server.calls == 0
