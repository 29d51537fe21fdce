"""Every way an endpoint fails, and the error that says what to do about it."""

from __future__ import annotations

import asyncio
import pickle
import socket
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from tests.providers.asking import KEY, SCHEMA, ask, chat, failure, model, opened
from tests.vendor import Reply, Vendor, anthropic_error, openai_error

from waremill.errors import (
    AccessDenied,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
)
from waremill.providers.failures import LONGEST_WORDS, Source, retry_after

GPT = "openai:gpt-4.1-mini"
QWEN = "dashscope:qwen-plus"
CLAUDE = "anthropic:claude-sonnet-4-5"


def error(status: int, message: str = "because", code: str | None = None, **more: Any) -> Reply:
    return openai_error(status, message, code=code, **more)


CASES: list[tuple[str, Reply, type[ProviderError]]] = [
    (GPT, error(429, "Rate limit reached", "rate_limit_exceeded"), RateLimited),
    (GPT, error(429, "You exceeded your current quota", "insufficient_quota"), AccessDenied),
    (QWEN, error(429, "You exceeded your current quota", "insufficient_quota"), RateLimited),
    (QWEN, error(400, "Access denied, account overdue", "Arrearage"), AccessDenied),
    (QWEN, error(403, "The free tier is exhausted", "AllocationQuota.FreeTierOnly"), AccessDenied),
    (GPT, error(401, "Incorrect API key provided", "invalid_api_key"), AccessDenied),
    (GPT, error(403, "Country not supported", "unsupported_country"), AccessDenied),
    (GPT, error(404, "The model `x` does not exist", "model_not_found"), AccessDenied),
    ("deepseek:x", error(402, "Insufficient Balance"), AccessDenied),
    ("deepseek:x", error(400, "Model Not Exist"), AccessDenied),
    ("google:x", error(400, "API key not valid. Please pass a valid API key."), AccessDenied),
    (GPT, error(400, "Unsupported parameter: 'temperature'"), Rejected),
    (GPT, error(413, "Request too large"), Rejected),
    (GPT, error(422, "Bad field"), Rejected),
    (GPT, error(408), Unavailable),
    (GPT, error(409), Unavailable),
    (GPT, error(500), Unavailable),
    (GPT, error(502), Unavailable),
    (GPT, error(503), Unavailable),
    (GPT, error(504), Unavailable),
    (GPT, error(529), Unavailable),
    (GPT, error(307, Location="http://elsewhere.example/"), AccessDenied),
    (CLAUDE, anthropic_error(429, "rate_limit_error", "slow down"), RateLimited),
    (CLAUDE, anthropic_error(529, "overloaded_error", "Overloaded"), Unavailable),
    (CLAUDE, anthropic_error(500, "api_error", "Internal"), Unavailable),
    (CLAUDE, anthropic_error(401, "authentication_error", "invalid x-api-key"), AccessDenied),
    (CLAUDE, anthropic_error(403, "permission_error", "no"), AccessDenied),
    (CLAUDE, anthropic_error(404, "not_found_error", "model: claude-x"), AccessDenied),
    (
        CLAUDE,
        anthropic_error(400, "invalid_request_error", "Your credit balance is too low"),
        AccessDenied,
    ),
    (CLAUDE, anthropic_error(400, "invalid_request_error", "max_tokens: too large"), Rejected),
    (CLAUDE, anthropic_error(413, "request_too_large", "too large"), Rejected),
]


@pytest.mark.parametrize(("use", "reply", "kind"), CASES)
async def test_a_status_becomes_the_error_that_says_what_to_do(
    use: str, reply: Reply, kind: type[ProviderError]
) -> None:
    async with Vendor(reply=lambda *_: reply) as vendor:
        caught = await failure(use, vendor)
    assert type(caught) is kind
    assert caught.status == reply.status
    assert caught.provider == use.partition(":")[0]
    assert caught.model == use.partition(":")[2]
    assert caught.request_id
    assert "\n" not in caught.message and len(caught.message) < LONGEST_WORDS + 200
    copy = pickle.loads(pickle.dumps(caught))
    assert type(copy) is kind and copy.message == caught.message and copy.status == caught.status


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("use", "reply"),
    [
        (GPT, error(400, "Flagged as potentially violating our usage policy", "invalid_prompt")),
        ("azure:x", error(400, "The response was filtered", "content_filter")),
        (QWEN, error(400, "Input data may contain inappropriate content.", "DataInspectionFailed")),
        (QWEN, error(400, "Output failed", "data_inspection_failed")),
        ("deepseek:x", error(400, "Content Exists Risk")),
        (
            CLAUDE,
            anthropic_error(
                400, "invalid_request_error", "Output blocked by content filtering policy"
            ),
        ),
    ],
)
async def test_a_content_policy_error_is_an_answer_with_the_outcome_refused(
    use: str, reply: Reply, streamed: bool
) -> None:
    emit = (lambda _: None) if streamed else None
    async with Vendor(reply=lambda *_: reply) as vendor, opened(use, vendor.url) as provider:
        response = await provider(chat(), emit)
    assert response.outcome == "refused" and response.usage.input == 0
    assert response.text


@pytest.mark.parametrize("use", [GPT, CLAUDE])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", ["malformed", "cut"])
async def test_malformed_and_cut_replies_are_unavailable(
    use: str, streamed: bool, fault: str
) -> None:
    emit = (lambda _: None) if streamed else None
    shares: dict[str, Any] = {fault: 1.0}
    async with Vendor(**shares) as vendor:
        assert type(await failure(use, vendor, chat(schema=SCHEMA), emit)) is Unavailable


@pytest.mark.parametrize("use", [GPT, CLAUDE])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"ok"',
        b"<html><title>502 Bad Gateway</title></html>",
        b'{"choices": []}',
        b'{"choices": [{}], "content": 1}',
        b'{"choices": null}',
        b'{"choices": [{"message": 5}], "content": [5]}',
        b'{"content": []}',
    ],
)
async def test_a_200_that_is_no_reply_is_unavailable(use: str, body: bytes) -> None:
    async with Vendor(reply=lambda *_: Reply(body=body)) as vendor:
        assert type(await failure(use, vendor)) is Unavailable


async def test_an_error_in_a_200_is_sorted_by_its_own_code() -> None:
    body = {"error": {"message": "Provider returned error", "code": 429}}
    async with Vendor(reply=lambda *_: Reply(body=body)) as vendor:
        assert type(await failure(GPT, vendor)) is RateLimited


async def test_a_server_that_never_answers_times_out() -> None:
    async with Vendor(silent=1.0) as vendor:
        started = time.monotonic()
        caught = await failure(GPT, vendor, timeout=0.2)
    assert type(caught) is Unavailable and "within 0.2 s" in caught.message
    assert time.monotonic() - started < 2


async def test_nothing_listening_is_unavailable_and_says_where() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with opened(GPT, f"http://127.0.0.1:{port}/v1") as provider:
        with pytest.raises(Unavailable, match=rf"could not be reached at 127.0.0.1:{port}"):
            await provider(chat())


async def test_a_proxy_that_does_not_answer_is_named_without_its_password() -> None:
    async with Vendor() as vendor:
        caught = await failure(GPT, vendor, proxy="http://user:hunter22@127.0.0.1:1")
    assert type(caught) is Unavailable and "proxy" in caught.message
    assert "hunter22" not in str(caught)


async def test_connections_the_server_closes_are_opened_anew() -> None:
    async with Vendor(close_after=1) as vendor, opened(GPT, vendor.url) as provider:
        done = 0
        for _ in range(6):
            try:
                await provider(chat())
                done += 1
            except Unavailable:
                continue
            await asyncio.sleep(0.01)
        assert done >= 5 and vendor.accepted >= 5


@pytest.mark.parametrize(("sent", "expected"), [(3, 3.0), ("1.5", 1.5), ("0", 0.0)])
async def test_retry_after_in_seconds_is_read(sent: Any, expected: float) -> None:
    async with Vendor(rate_limited=1.0, retry_after=sent) as vendor:
        caught = await failure(GPT, vendor)
    assert isinstance(caught, RateLimited) and caught.retry_after == expected


async def test_retry_after_as_a_date_is_read() -> None:
    async with Vendor(rate_limited=1.0, retry_after="date") as vendor:
        caught = await failure(GPT, vendor)
    assert isinstance(caught, RateLimited) and caught.retry_after is not None
    assert 0 <= caught.retry_after <= 2


def test_retry_after_has_other_spellings_and_nonsense_is_ignored() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    later = format_datetime(now + timedelta(seconds=30), usegmt=True)
    assert retry_after({"Retry-After": later}, now) == 30
    past = format_datetime(now - timedelta(seconds=30), usegmt=True)
    assert retry_after({"Retry-After": past}, now) == 0
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({"Retry-After": "nan"}) is None
    assert retry_after({}) is None


async def test_googles_wrapped_error_and_retry_delay_are_read() -> None:
    body = [
        {
            "error": {
                "code": 429,
                "message": "Resource has been exhausted",
                "status": "RESOURCE_EXHAUSTED",
                "details": [{"@type": "x", "retryDelay": "34s"}],
            }
        }
    ]
    async with Vendor(reply=lambda *_: Reply(status=429, body=body)) as vendor:
        caught = await failure("google:gemini-2.5-flash", vendor)
    assert isinstance(caught, RateLimited) and caught.retry_after == 34


@pytest.mark.parametrize("use", [GPT, CLAUDE])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
async def test_no_key_ever_leaks_through_an_error(use: str, status: int) -> None:
    echo = (
        f"Incorrect API key provided: {KEY}. Bearer {KEY} sk-other1234567 ?key=AIzaSyDabcdef01234"
    )
    async with Vendor(reply=lambda *_: error(status, echo)) as vendor:
        caught = await failure(use, vendor, headers={"X-Api-Token": "tokentoken99"})
    seen = [str(caught), repr(caught), repr(vars(caught)), pickle.dumps(caught).decode("latin-1")]
    seen.append("".join(traceback.format_exception(caught)))
    chain: BaseException | None = caught
    while chain is not None:
        seen.append(repr(chain) + repr(vars(chain)))
        chain = chain.__cause__ or chain.__context__
    for text in seen:
        assert KEY not in text and "sk-other1234567" not in text and "AIzaSy" not in text
        assert "tokentoken99" not in text
    assert "***" in caught.message


async def test_no_key_leaks_when_the_network_fails() -> None:
    async with Vendor(cut=1.0) as vendor:
        caught = await failure(GPT, vendor)
    assert caught.__context__ is None and caught.__cause__ is None
    assert KEY not in "".join(traceback.format_exception(caught))


async def test_a_key_never_shows_in_a_models_repr() -> None:
    assert KEY not in repr(model(GPT, "http://localhost/v1"))


async def test_long_words_of_a_vendor_are_shortened_to_one_line() -> None:
    async with Vendor(reply=lambda *_: error(400, "bad\n\n" * 500)) as vendor:
        caught = await failure(GPT, vendor)
    assert "\n" not in caught.message and len(caught.message) < LONGEST_WORDS + 60


async def test_a_rejected_schema_says_which_setting_helps() -> None:
    reply = error(400, "Invalid schema for response_format 'reply'")
    async with Vendor(reply=lambda *_: reply) as vendor:
        caught = await failure(GPT, vendor, chat(schema=SCHEMA))
    assert type(caught) is Rejected and "structured" in caught.message


async def test_our_own_mistakes_are_not_called_the_endpoints() -> None:
    async with Vendor() as vendor:
        with pytest.raises(TypeError):
            await ask(GPT, vendor, chat(options={"temperature": object()}))


def test_cleaning_keeps_ordinary_words() -> None:
    clean = Source("openai", "x", ("abcdef",)).clean
    assert (
        clean("the key-value task-force keeps sk8ters") == "the key-value task-force keeps sk8ters"
    )
    assert clean("abcdef and https://u:pw@h/x?key=s3cret&b") == "*** and https://***@h/x?key=***&b"
