"""AUTOMATIC1111's API: what is sent, what is read, and what goes wrong."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.picture_servers import WebUI, colour_of, data_url, png, png_head
from tests.providers.asking import chat, model, opened

from waremill.domain import ImageRequest, Response
from waremill.errors import AccessDenied, ConfigError, RateLimited, Rejected, Unavailable
from waremill.providers import probe

BOTTLE = png(32, 48, (10, 20, 30))
MASK = png(32, 48, (255, 255, 255))


def wanted(**fields: Any) -> ImageRequest:
    return ImageRequest("a bottle on slate", width=64, height=48, **fields)


async def ask(server: WebUI, request: ImageRequest, use: str = "automatic1111:base") -> Response:
    async with opened(use, server.url, keys=()) as provider:
        return await provider(request)


async def test_words_become_a_picture_of_the_size_asked_for() -> None:
    async with WebUI() as server:
        response = await ask(
            server, wanted(negative="people", steps=24, guidance=5.5, options={"seed": 7})
        )
    (blob,) = response.blobs
    assert blob.media_type == "image/png"
    assert png_head(blob.content) == (64, 48, False)
    assert blob.content == png(64, 48, colour_of("7"))
    assert (response.outcome, response.model, response.text) == ("complete", "base", "")
    (body,) = server.bodies
    assert body["prompt"] == "a bottle on slate" and body["negative_prompt"] == "people"
    assert (body["steps"], body["cfg_scale"], body["seed"]) == (24, 5.5, 7)
    assert body["override_settings"] == {"sd_model_checkpoint": "base"}
    assert server.paths == ["POST /sdapi/v1/txt2img"]


async def test_a_picture_to_start_from_and_a_mask_go_to_img2img() -> None:
    async with WebUI() as server:
        await ask(
            server,
            wanted(images=(data_url(BOTTLE),), mask=data_url(MASK), strength=0.6),
            "forge:inpaint",
        )
    (body,) = server.bodies
    assert base64.b64decode(body["init_images"][0]) == BOTTLE
    assert base64.b64decode(body["mask"]) == MASK
    assert body["denoising_strength"] == 0.6
    assert (body["inpainting_fill"], body["inpaint_full_res"]) == (1, False)
    assert server.loaded == "inpaint"
    assert server.paths == ["POST /sdapi/v1/img2img"]


async def test_settings_are_handed_on_and_the_request_goes_before_them() -> None:
    options = {"sampler_name": "Euler a", "steps": 10, "inpainting_fill": 2,
               "override_settings": {"CLIP_stop_at_last_layers": 2}}  # fmt: skip
    async with WebUI() as server:
        await ask(server, wanted(steps=30, options=options))
    (body,) = server.bodies
    assert (body["sampler_name"], body["steps"], body["inpainting_fill"]) == ("Euler a", 30, 2)
    assert body["override_settings"] == {
        "CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": "base",
    }  # fmt: skip
    assert "seed" in body


async def test_seeds_repeat_and_differ_by_sample_take_and_words() -> None:
    async with WebUI() as server:
        for fields in ({}, {}, {"sample": 1}, {"take": 1}, {"negative": "people"}):
            await ask(server, wanted(**fields))
    seeds = [body["seed"] for body in server.bodies]
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 4


async def test_the_grid_and_what_extensions_append_are_left_out() -> None:
    async with WebUI() as server:
        server.grid = True
        response = await ask(server, wanted(options={"batch_size": 2, "seed": 3}))
    assert [blob.content for blob in response.blobs] == [
        png(64, 48, colour_of("3")), png(64, 48, colour_of("4")),
    ]  # fmt: skip


async def test_another_checkpoint_than_asked_for_is_no_answer() -> None:
    async with WebUI() as server:
        with pytest.raises(AccessDenied, match=r"no checkpoint “other”: it took .* “base”"):
            await ask(server, wanted(), "automatic1111:other")
        listed = await ask(server, wanted(), "automatic1111:sdxl/base.safetensors [31e35c80fc]")
    assert listed.model == "base"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("rate_limited", RateLimited),
        ("unavailable", Unavailable),
        ("malformed", Unavailable),
        ("truncated", Unavailable),
        ("cut", Unavailable),
    ],
)
async def test_a_fault_becomes_the_error_that_says_what_to_do(
    fault: str, kind: type[Exception]
) -> None:
    async with WebUI([fault]) as server:
        with pytest.raises(kind):
            await ask(server, wanted())
        assert (await ask(server, wanted())).blobs


async def test_a_slow_server_is_given_up_after_the_timeout() -> None:
    async with (
        WebUI(["slow"], slow_seconds=2.0) as server,
        opened("automatic1111:base", server.url, keys=(), timeout=0.2) as provider,
    ):
        with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"):
            await provider(wanted())


async def test_a_field_the_server_cannot_read_is_rejected_in_its_words() -> None:
    async with WebUI() as server:
        with pytest.raises(Rejected, match="valid integer"):
            await ask(server, wanted(options={"seed": 1, "steps": "many"}))
        with pytest.raises(ConfigError, match="“prompt” cannot be set in options"):
            await ask(server, wanted(options={"prompt": "mine"}))


async def test_a_login_is_sent_as_the_server_wants_it() -> None:
    secret = "Basic " + base64.b64encode(b"shop:secret-word").decode()
    async with WebUI(key=secret) as server:
        async with opened("automatic1111:base", server.url, keys=("shop:secret-word",)) as right:
            assert (await right(wanted())).blobs
        async with opened("automatic1111:base", server.url, keys=("shop:other-words",)) as wrong:
            with pytest.raises(AccessDenied) as caught:
                await wrong(wanted())
    assert "other-words" not in str(caught.value)


async def test_text_is_refused_before_anything_is_sent() -> None:
    async with WebUI() as server, opened("automatic1111:base", server.url, keys=()) as provider:
        with pytest.raises(ConfigError, match="makes pictures"):
            await provider(chat())
    assert server.paths == []


async def test_a_check_makes_no_picture() -> None:
    async with WebUI() as server:
        one = model("automatic1111:base", server.url, keys=())
        other = model("automatic1111:none", server.url, keys=())
        good, bad = await probe(one), await probe(other)
    gone = await probe(one)
    assert good.ok and [check.name for check in good.checks] == ["settings", "reachable", "model"]
    assert not bad.ok and bad.checks[-1].detail == "it has base, inpaint"
    assert not gone.ok and gone.checks[-1].name == "reachable"
    assert server.calls == 0
