"""OpenAI's images API: what is sent, what is read, and what goes wrong."""

from __future__ import annotations

import random
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from tests.picture_servers import OpenAIImagesServer, data_url, png, png_head
from tests.providers.asking import KEY, chat, model, opened

from waremill.domain import ImageRequest, Price, Response, Usage
from waremill.errors import (
    AccessDenied,
    ConfigError,
    RateLimited,
    Rejected,
    SourceError,
    Unavailable,
)
from waremill.providers import open_provider, price_for, probe
from waremill.providers.openai_images import size_for

GPT = "openai-images:gpt-image-1.5"
OWN = "openai-images:own-model"
BOTTLE = png(32, 48, (10, 20, 30))


def wanted(**fields: Any) -> ImageRequest:
    return ImageRequest("a bottle on slate", **fields)


async def ask(
    server: OpenAIImagesServer, request: ImageRequest, use: str = GPT, **more: Any
) -> Response:
    async with opened(use, server.url, **more) as provider:
        return await provider(request)


async def test_words_become_a_picture_and_tokens_are_counted() -> None:
    async with OpenAIImagesServer(key=f"Bearer {KEY}") as server:
        response = await ask(server, wanted(negative="people", options={"quality": "high"}))
    (blob,) = response.blobs
    assert png_head(blob.content) == (1024, 1024, False)
    assert (response.usage.input, response.usage.output) == (50, 4160)
    assert response.request_id == "req_1"
    (body,) = server.bodies
    assert body == {
        "model": "gpt-image-1.5", "size": "1024x1024", "n": 1, "quality": "high",
        "prompt": "a bottle on slate\n\nThe picture must not show: people",
    }  # fmt: skip


async def test_another_server_is_asked_for_the_size_as_it_is_and_for_bytes() -> None:
    async with OpenAIImagesServer() as server:
        response = await ask(server, wanted(width=800, height=600), OWN)
    assert png_head(response.blobs[0].content) == (800, 600, False)
    assert server.bodies[0]["response_format"] == "b64_json"
    assert response.usage.output == 0


async def test_pictures_are_sent_as_a_form_with_a_mask_transparent_where_it_may_change() -> None:
    image = pytest.importorskip("PIL.Image", reason="needs the extra images")
    mask = image.new("L", (64, 96), 0)
    mask.paste(255, (0, 0, 64, 48))
    written = BytesIO()
    mask.save(written, "PNG")
    async with OpenAIImagesServer() as server:
        await ask(server, wanted(images=(data_url(BOTTLE),), mask=data_url(written.getvalue())))
        await ask(server, wanted(images=(data_url(BOTTLE), data_url(BOTTLE)), sample=1))
    first, second = server.bodies
    assert first["image"] == [BOTTLE]
    assert first["n"] == "1" and first["size"] == "1024x1024"
    sent = image.open(BytesIO(first["mask"][0]))
    assert sent.size == (32, 48)  # its picture's size
    assert sent.getpixel((16, 4))[3] == 0 and sent.getpixel((16, 44))[3] == 255
    assert second["image[]"] == [BOTTLE, BOTTLE] and "mask" not in second


async def test_a_mask_that_is_no_picture_is_said_before_anything_is_sent() -> None:
    pytest.importorskip("PIL.Image", reason="needs the extra images")
    async with OpenAIImagesServer() as server:
        with pytest.raises(SourceError, match="cannot be read"):
            await ask(server, wanted(images=(data_url(BOTTLE),), mask=data_url(b"no picture")))
        with pytest.raises(SourceError, match="stored file"):
            await ask(server, wanted(images=("https://shop.example/bottle.png",)))
    assert server.paths == []


async def test_a_link_is_followed_to_the_endpoints_own_host_only() -> None:
    async with OpenAIImagesServer(links="here", key=f"Bearer {KEY}") as server:
        response = await ask(server, wanted(width=64, height=64), OWN)
        assert png_head(response.blobs[0].content) == (64, 64, False)
        async with OpenAIImagesServer(links=server.url) as elsewhere:
            with pytest.raises(Unavailable, match="names a picture elsewhere"):
                await ask(elsewhere, wanted(width=64, height=64), OWN)
    assert sum(path.startswith("GET /made/") for path in server.paths) == 1


async def test_a_picture_of_another_size_is_given_as_it_came() -> None:
    async with OpenAIImagesServer() as server:
        server.size = (512, 768)
        response = await ask(server, wanted())
    assert png_head(response.blobs[0].content) == (512, 768, False)


async def test_a_policy_refusal_is_an_answer_with_the_outcome_refused() -> None:
    async with OpenAIImagesServer(["refused"]) as server:
        response = await ask(server, wanted())
    assert response.outcome == "refused" and "safety system" in response.text
    assert response.blobs == ()


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
    async with OpenAIImagesServer([fault]) as server:
        with pytest.raises(kind):
            await ask(server, wanted())
        assert (await ask(server, wanted())).blobs


async def test_a_slow_server_is_given_up_after_the_timeout() -> None:
    async with OpenAIImagesServer(["slow"], slow_seconds=2.0) as server:
        with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"):
            await ask(server, wanted(), timeout=0.2)


async def test_what_no_retry_can_mend_is_said_in_the_vendors_words() -> None:
    async with OpenAIImagesServer(key=f"Bearer {KEY}") as server:
        with pytest.raises(AccessDenied, match="does not know the model"):
            await ask(server, wanted(), "openai-images:gpt-image-0")
        with pytest.raises(Rejected, match="Unknown parameter"):
            await ask(server, wanted(options={"response_format": "b64_json"}))
        with pytest.raises(AccessDenied, match="refused the key"):
            await ask(server, wanted(), keys=("sk-anotherkey-0123456789",))
        with pytest.raises(ConfigError, match="“size” cannot be set in options"):
            await ask(server, wanted(options={"size": "auto"}))


async def test_text_is_refused_before_anything_is_sent() -> None:
    async with OpenAIImagesServer() as server, opened(GPT, server.url) as provider:
        with pytest.raises(ConfigError, match="makes pictures"):
            await provider(chat())
    assert server.paths == []


def test_a_key_is_needed_away_from_loopback() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        open_provider(model(GPT, keys=()))


async def test_a_check_makes_no_picture() -> None:
    async with OpenAIImagesServer(key=f"Bearer {KEY}") as server:
        good = await probe(model(GPT, server.url))
        unlisted = await probe(model("openai-images:other", server.url))
        denied = await probe(model(GPT, server.url, keys=("sk-anotherkey-0123456789",)))
    assert good.ok and unlisted.ok and unlisted.checks[-1].ok is None
    assert not denied.ok and denied.checks[-1].name == "access"
    assert server.calls == 0


def test_the_nearest_of_the_fixed_sizes_is_asked_for() -> None:
    assert size_for("gpt-image-1.5", 800, 800) == (1024, 1024)
    assert size_for("gpt-image-1-mini", 1200, 800) == (1536, 1024)
    assert size_for("chatgpt-image-latest", 750, 1000) == (1024, 1536)


def test_newer_models_are_asked_for_what_they_can_make() -> None:
    assert size_for("gpt-image-2", 1536, 864) == (1536, 864)
    rolled = random.Random(0)
    for _ in range(2000):
        asked = rolled.randint(16, 8000), rolled.randint(16, 8000)
        width, height = size_for("gpt-image-2", *asked)
        assert width % 16 == height % 16 == 0
        assert 655_360 <= width * height <= 8_294_400
        assert max(width, height) <= 3840 and max(width, height) <= 3 * min(width, height)


def test_pictures_are_priced_as_pictures() -> None:
    price = price_for(model(GPT), date(2026, 11, 1))
    assert price is not None
    # Pictures in at 8 USD and out at 32 USD a million tokens, where text is at 5 and 10.
    assert (price.input, price.output) == (8_000_000_000, 32_000_000_000)
    own = Price(0, 0, per_call=40_000_000)
    assert price_for(model(OWN, "https://pictures.example/v1"), date(2026, 11, 1)) is None
    assert price_for(model(OWN, "https://pictures.example/v1", price=own), date.today()) == own
    for use in ("automatic1111:base", "comfyui:scene", "forge:base"):
        near = price_for(model(use), date.today())
        assert near is not None and near.cost(Usage()) == 0
