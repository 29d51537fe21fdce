"""LangChain chat models as providers: real classes, opened by dotted path."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from tests.providers.asking import KEY, SCHEMA, chat, model, opened
from tests.providers.chat_models import Caller

from waremill.domain import CallMessage, ResultMessage, ToolCall, ToolSpec
from waremill.errors import (
    AccessDenied,
    ConfigError,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
)
from waremill.providers import open_provider

HERE = "langchain:tests.providers.chat_models:"


async def test_a_class_is_opened_by_its_dotted_path_and_its_usage_is_mapped() -> None:
    async with opened(HERE + "Parrot") as provider:
        response = await provider(chat("hello there"))
    assert response.text == "hello there" and response.outcome == "complete"
    assert response.model == "parrot-1"
    usage = response.usage
    assert (usage.input, usage.output, usage.cached, usage.reasoning) == (11, 7, 5, 2)


async def test_a_dot_may_stand_for_the_colon() -> None:
    async with opened("langchain:tests.providers.chat_models.Parrot") as provider:
        assert (await provider(chat("hello"))).text == "hello"


async def test_a_truncated_reply_says_so() -> None:
    async with opened(HERE + "Parrot") as provider:
        response = await provider(chat("x" * 50, max_tokens=10))
    assert response.outcome == "truncated" and response.text == "x" * 10


async def test_langchains_own_fakes_work_and_json_is_asked_for_in_words() -> None:
    async with opened(HERE + "canned") as provider:
        assert provider.structured == "text"  # type: ignore[attr-defined]
        response = await provider(chat(schema=SCHEMA))
    assert json.loads(response.text) == {"title": "Canned"}
    assert response.usage.input > 10  # estimated: the fake counts nothing
    async with opened(HERE + "generic") as provider:
        assert (await provider(chat())).text == "generic words"


async def test_a_model_that_takes_tools_gets_the_schema_as_one() -> None:
    async with opened(HERE + "Parrot") as provider:
        response = await provider(chat("hello", schema=SCHEMA))
    assert json.loads(response.text) == {"title": "hello"}


PRICE = ToolSpec("price", "Give a price.", {"type": "object", "properties": {"sku": {}}})
SHAPE = {"type": "object", "properties": {"title": {"type": "string"}}}


async def test_tools_are_bound_and_their_calls_and_results_told() -> None:
    Caller.heard.clear()
    request = replace(chat("How much is A?"), tools=(PRICE,))
    async with opened(HERE + "Caller") as provider:
        called = await provider(request)
        assert called.calls == (ToolCall("c1", "price", '{"sku":"A"}'),) and called.text == ""
        told = (CallMessage(called.calls), ResultMessage("c1", "price", "9.5", True))
        answered = await provider(replace(request, messages=(*request.messages, *told)))
    assert (answered.text, answered.calls) == ("It is 9.5.", ())
    _, _, messages = Caller.heard[-1]
    assert isinstance(messages[-2], AIMessage) and messages[-2].tool_calls[0]["args"] == {
        "sku": "A"
    }
    assert isinstance(messages[-1], ToolMessage) and messages[-1].status == "error"


async def test_a_reply_in_a_shape_is_one_more_tool() -> None:
    Caller.heard.clear()
    request = replace(chat("Eau", schema=SHAPE), tools=(PRICE,))
    async with opened(HERE + "Caller") as provider:
        assert [one.name for one in (await provider(request)).calls] == ["price"]
        due = await provider(replace(request, tool_choice="none"))
    assert json.loads(due.text) == {"title": "Eau"} and due.calls == ()
    assert [one[:2] for one in Caller.heard] == [
        (["price", "reply"], "any"), (["price", "reply"], "reply")
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["Parrot", "generic"])
async def test_streaming_emits_pieces(name: str) -> None:
    pieces: list[str] = []
    async with opened(HERE + name) as provider:
        response = await provider(chat("generic words"), pieces.append)
    assert "".join(pieces) == response.text == "generic words" and len(pieces) >= 2
    assert response.usage.output > 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("limited", RateLimited),
        ("broke", AccessDenied),
        ("wrong_key", AccessDenied),
        ("offline", Unavailable),
        ("puzzled", Rejected),
    ],
)
async def test_a_client_librarys_exceptions_are_sorted(
    name: str, kind: type[ProviderError]
) -> None:
    async with opened(HERE + name) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider(chat())
    assert type(caught.value) is kind
    assert "sk-abcdef" not in str(caught.value) and caught.value.__context__ is None


async def test_a_policy_error_is_an_answer_and_a_slow_model_times_out() -> None:
    async with opened(HERE + "policy") as provider:
        assert (await provider(chat())).outcome == "refused"
    async with opened(HERE + "slow", timeout=0.1) as provider:
        with pytest.raises(Unavailable):
            await provider(chat())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tests.providers.no_such_module:X", "cannot be imported"),
        ("tests.providers.chat_models:Nothing", "has no Nothing"),
        ("tests.providers.chat_models:not_a_model", "cannot be opened"),
        ("nosuchprovider:some-model", "writer"),
        ("no-such-model-4.1", "writer"),
        ("", "write langchain:"),
    ],
)
def test_a_name_that_opens_nothing_is_said_in_one_sentence(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        open_provider(model(f"langchain:{name}"))
    assert KEY not in str(caught.value)


def test_without_the_extra_the_install_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] in ("langchain", "langchain_core"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'pip install "waremill\[langchain\]"'):
        open_provider(model("langchain:openai:gpt-4.1"))


def test_langchain_is_not_imported_for_other_vendors() -> None:
    code = (
        "import sys; from waremill.domain import Model; from waremill.providers import "
        "open_provider; open_provider(Model('m', 'openai:x', keys=('k',))); "
        "print([m for m in sys.modules if m.startswith(('langchain', 'aiohttp'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
