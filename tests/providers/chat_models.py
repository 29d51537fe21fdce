"""Chat models of our own, opened by the LangChain tests by dotted path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import (
    FakeListChatModel,
    GenericFakeChatModel,
)
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable


class HttpProblem(Exception):
    """Shaped as client libraries shape their errors."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status_code = status
        self.body = {"code": code}


class Parrot(BaseChatModel):
    """Repeats the last message, with usage; takes a tool."""

    tool: str = ""
    problem: Any = None
    wait: float = 0.0
    max_tokens: int | None = None

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def bind_tools(self, tools: Any, **_: Any) -> Runnable[Any, AIMessage]:
        return self.model_copy(update={"tool": tools[0]["function"]["name"]})

    def _message(self, messages: list[BaseMessage]) -> AIMessage:
        limit = self.max_tokens
        if self.problem is not None:
            raise self.problem
        text = str(messages[-1].content)
        cut = limit is not None and len(text) > limit
        calls: list[Any] = []
        if self.tool:
            calls = [{"name": self.tool, "args": {"title": text}, "id": "1"}]
        return AIMessage(
            content="" if self.tool else text[:limit],
            tool_calls=calls,
            response_metadata={
                "model_name": "parrot-1",
                "finish_reason": "length" if cut else "stop",
            },
            usage_metadata={
                "input_tokens": 11,
                "output_tokens": 7,
                "total_tokens": 18,
                "input_token_details": {"cache_read": 5},
                "output_token_details": {"reasoning": 2},
            },
        )

    def _generate(self, messages: list[BaseMessage], *_: Any, **settings: Any) -> ChatResult:
        message = self._message(messages)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **settings: Any) -> ChatResult:
        await asyncio.sleep(self.wait)
        return self._generate(messages, **settings)

    async def _astream(
        self, messages: list[BaseMessage], *_: Any, **settings: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        whole = self._message(messages)
        words = str(whole.content).split(" ")
        for number, word in enumerate(words):
            last = number == len(words) - 1
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    content=word if last else word + " ",
                    usage_metadata=whole.usage_metadata if last else None,
                )
            )


class Caller(Parrot):
    """Calls the first tool it was bound with until it is told a result, then answers."""

    bound: list[str] = []  # noqa: RUF012 a pydantic field
    choice: str | None = None
    heard: ClassVar[list[tuple[list[str], str | None, list[BaseMessage]]]] = []

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **_: Any) -> Runnable[Any, Any]:
        names = [one["function"]["name"] for one in tools]
        return self.model_copy(update={"bound": names, "choice": tool_choice})

    def _message(self, messages: list[BaseMessage]) -> AIMessage:
        self.heard.append((self.bound, self.choice, messages))
        name = "reply" if messages[-1].type == "tool" or self.choice == "reply" else self.bound[0]
        if messages[-1].type == "tool" and "reply" not in self.bound:
            return AIMessage(content=f"It is {messages[-1].content}.")
        given = {"title": str(messages[-1].content)} if name == "reply" else {"sku": "A"}
        return AIMessage(content="", tool_calls=[{"name": name, "args": given, "id": "c1"}])


def canned() -> FakeListChatModel:
    return FakeListChatModel(responses=['{"title": "Canned"}'])


def generic() -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter([AIMessage(content="generic words")] * 3))


def limited() -> Parrot:
    return Parrot(problem=HttpProblem(429, "slow down"))


def broke() -> Parrot:
    return Parrot(problem=HttpProblem(429, "no money", "insufficient_quota"))


def wrong_key() -> Parrot:
    return Parrot(problem=HttpProblem(401, "Incorrect API key sk-abcdef123456789"))


def offline() -> Parrot:
    return Parrot(problem=ConnectionError("no route"))


def puzzled() -> Parrot:
    return Parrot(problem=ValueError("cannot take that"))


def policy() -> Parrot:
    return Parrot(problem=HttpProblem(400, "content filter", "content_filter"))


def slow() -> Parrot:
    return Parrot(wait=5.0)


not_a_model = {"a": 1}
