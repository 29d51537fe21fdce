"""`probe`: what works about a model, and why the rest does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.providers.asking import model
from tests.vendor import Reply, Vendor, openai_error

from waremill.providers import ProbeResult, probe

GPT = "openai:gpt-4.1-mini"


def states(result: ProbeResult) -> dict[str, bool | None]:
    return {check.name: check.ok for check in result.checks}


def detail(result: ProbeResult, name: str) -> str:
    return next(check.detail for check in result.checks if check.name == name)


@pytest.mark.parametrize("use", [GPT, "anthropic:claude-sonnet-4-5", "vllm:x"])
async def test_a_working_model_passes_every_check_with_few_tokens(use: str) -> None:
    async with Vendor() as vendor:
        result = await probe(model(use, vendor.url))
        assert vendor.calls == 2
        assert all(one.body["max_tokens"] <= 64 for one in vendor.requests)
    assert result.ok and all(states(result).values())
    assert result.seconds is not None and result.reported
    assert json.loads(json.dumps(result.as_json()))["alias"] == "writer"


async def test_a_missing_key_names_its_variable() -> None:
    result = await probe(model(GPT, keys=()))
    assert not result.ok and "OPENAI_API_KEY" in detail(result, "settings")


async def test_an_unreachable_endpoint_says_where() -> None:
    result = await probe(model(GPT, "http://127.0.0.1:9/v1"))
    assert not result.ok and "127.0.0.1:9" in detail(result, "reachable")


async def test_a_wrong_key_is_told_from_an_unknown_model() -> None:
    async with Vendor(keys=("right",)) as vendor:
        result = await probe(model(GPT, vendor.url))
    assert states(result) == {
        "settings": True,
        "reachable": True,
        "access": False,
        "structured": None,
    }


async def test_an_unknown_model_gets_a_suggestion_from_the_endpoints_list() -> None:
    async with Vendor(models=("gpt-4.1", "gpt-4.1-nano", "tts-1")) as vendor:
        result = await probe(model(GPT, vendor.url))
    assert not result.ok and "did you mean gpt-4.1" in detail(result, "model")
    async with Vendor(models=("zzz",)) as vendor:
        assert "it offers zzz" in detail(await probe(model(GPT, vendor.url)), "model")


async def test_a_model_without_schemas_still_answers_and_gets_advice() -> None:
    def reply(request: dict[str, Any], _: str) -> Reply | None:
        if "response_format" in request:
            return openai_error(400, "response_format json_schema is not supported")
        return None

    async with Vendor(reply=reply) as vendor:
        result = await probe(model(GPT, vendor.url))
    assert not result.ok and "structured" in detail(result, "structured")
    assert states(result)["access"] and states(result)["streaming"]


async def test_a_reply_that_ignores_the_schema_is_noticed() -> None:
    async with Vendor(reply=lambda *_: "Sure! Blue.") as vendor:
        result = await probe(model(GPT, vendor.url))
    assert not result.ok and "not JSON" in detail(result, "structured")
    async with Vendor(reply=lambda *_: {"color": 1}) as vendor:
        result = await probe(model(GPT, vendor.url))
    assert "does not keep the schema" in detail(result, "structured")


async def test_a_server_that_cannot_stream_is_noticed_and_still_usable() -> None:
    def reply(request: dict[str, Any], _: str) -> Reply | None:
        return openai_error(400, "stream is not supported") if request.get("stream") else None

    async with Vendor(reply=reply) as vendor:
        result = await probe(model(GPT, vendor.url))
    assert result.ok and states(result)["streaming"] is False


async def test_an_exhausted_account_and_a_busy_one_are_told_apart() -> None:
    async with Vendor(denied_after=0) as vendor:
        assert "no quota left" in detail(await probe(model(GPT, vendor.url)), "access")
    async with Vendor(rate_limited=1.0) as vendor:
        assert "limits the rate" in detail(await probe(model(GPT, vendor.url)), "access")


async def test_a_langchain_model_is_probed_too() -> None:
    result = await probe(model("langchain:tests.providers.chat_models:canned"))
    assert not result.ok and "does not keep the schema" in detail(result, "structured")
    assert states(result)["streaming"]
