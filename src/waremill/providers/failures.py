"""From an endpoint's answer that is no reply to the error that says what to do about it.

Knows HTTP statuses, the error shapes of the vendors, and nothing else. Must not do any I/O. Every
message is one sentence with the vendor's own words, shortened, and never holds a key: whatever
looks like one is replaced before the text goes anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from waremill.errors import (
    AccessDenied,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    Unavailable,
)

LONGEST_WORDS = 300
"""Characters of a vendor's own words that are kept in a message."""

_KEY_LIKE = re.compile(
    r"(?i:bearer\s+)[\w.~+/=*-]{6,}|\b(?:sk|pk|rk|key|gsk|xai)[-_][\w*.-]{6,}|\bAIza[\w*-]{10,}"
    r"|\b(?:ya29|eyJ)[\w.*-]{10,}|(?<=[?&]key=)[^&\s\"']+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
_QUOTA = re.compile(
    r"insufficient[_ ](?:quota|balance|funds|credit)|exceeded your current quota|billing[_ ]"
    r"|credit balance|arrearage|overdue[ -]?payment|account is in good standing|payment required"
    r"|freetieronly|free (?:tier|quota) .{0,40}(?:exhausted|used up)",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"content[_ ](?:filter|policy|management)|responsibleaipolicy|data_?inspection_?failed"
    r"|moderation_blocked|content exists risk|inappropriate content|safety system"
    r"|prohibited_content"
    r"|content filtering policy|invalid_prompt.*usage policy|flagged as potentially violating",
    re.IGNORECASE,
)
_KEY_PROBLEM = re.compile(
    r"api[_ -]?key not valid|api_key_invalid|invalid[_ ]api[_ -]?key|incorrect api key"
    r"|unauthenticated|authentication",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model[_ ]not[_ ](?:found|exist|supported)|modelnotfound|deploymentnotfound"
    r"|model\b.{0,80}\b(?:does not exist|not exist|is not found|not found|unknown)"
    r"|unknown model|invalid model|no such model|unsupported model",
    re.IGNORECASE | re.DOTALL,
)
_SCHEMA_PROBLEM = re.compile(
    r"response_format|json_schema|output_config|structured output|invalid schema|guided",
    re.IGNORECASE,
)
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
# DashScope answers a burst over the tokens-per-minute limit with the code `insufficient_quota`
# and "You exceeded your current quota" (Model Studio, "Rate limits", read 2026-11): that passes.
_QUOTA_IS_RATE = frozenset({"dashscope"})


@dataclass(frozen=True, slots=True)
class Source:
    """Whom an error is about, and what must never be shown: `secrets` are replaced by ***."""

    vendor: str
    model: str
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Source({self.vendor}:{self.model})"

    def clean(self, text: str) -> str:
        """Give a text as one line without keys, shortened."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = _KEY_LIKE.sub("***", text)
        text = " ".join(text.split())
        return text if len(text) <= LONGEST_WORDS else text[: LONGEST_WORDS - 1] + "…"

    def unavailable(
        self, what: str, *, status: int | None = None, request_id: str | None = None, **more: Any
    ) -> Unavailable:
        """Make the error for whatever may pass by itself."""
        return Unavailable(
            self.clean(f"{self.vendor} {what}"),
            provider=self.vendor,
            model=self.model,
            status=status,
            request_id=request_id,
            **more,
        )


@dataclass(frozen=True, slots=True)
class Detail:
    """What an error body says: the words, and every code or type in it, joined for searching."""

    words: str
    codes: str
    status: int | None = None
    delay: float | None = None


def read_detail(body: bytes) -> Detail:
    """Find the words and codes in an error body of any vendor's shape, or in plain text."""
    try:
        data = orjson.loads(body)
    except ValueError:
        text = body[:2000].decode("utf-8", "replace")
        if "<html" in text.lower() or "<!doctype" in text.lower():
            title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
            text = title.group(1) if title else "an HTML page instead of JSON"
        return Detail(text.strip(), "")
    return detail_of(data)


def detail_of(data: Any) -> Detail:
    """Find the words and codes in a parsed error body."""
    if isinstance(data, list) and data:
        data = data[0]  # Google's compatible endpoint wraps the object in a list
    if not isinstance(data, dict):
        return Detail(str(data)[:LONGEST_WORDS], "")
    if isinstance(nodes := data.get("node_errors"), dict) and nodes:
        return Detail(_node_errors(nodes), "")
    error = data.get("error", data)
    if not isinstance(error, dict):
        # AUTOMATIC1111 names an exception, and says beside it what happened.
        more = str(data.get("detail") or data.get("errors") or "")
        return Detail(f"{error}: {more}" if more else str(error), str(data.get("code") or ""))
    words = error.get("message") or error.get("msg") or data.get("message") or error.get("detail")
    inner = error.get("innererror") or {}
    found = [error.get("code"), error.get("type"), error.get("status"), data.get("code")]
    if isinstance(inner, dict):
        found.append(inner.get("code"))
    delay: float | None = None
    details = error.get("details")
    for part in details if isinstance(details, list) else ():
        if isinstance(part, dict):
            found.append(part.get("reason"))
            delay = delay or _seconds(str(part.get("retryDelay") or "").removesuffix("s"))
    code = error.get("code")
    return Detail(
        str(words if words is not None else error)[:2000],
        " ".join(str(one) for one in found if one),
        code if isinstance(code, int) else None,
        delay,
    )


def _node_errors(nodes: Mapping[str, Any]) -> str:
    """Say what ComfyUI finds wrong with the nodes of a workflow."""
    found = []
    for number, node in nodes.items():
        for one in node.get("errors") or () if isinstance(node, dict) else ():
            words = ": ".join(str(one[part]) for part in ("message", "details") if one.get(part))
            found.append(f"node {number} ({node.get('class_type')}): {words}")
    return "; ".join(found)[:2000] or "the workflow's nodes are not valid"


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Read how many seconds to wait: `retry-after-ms`, or `Retry-After` as seconds or HTTP date."""
    milliseconds = _seconds(headers.get("retry-after-ms") or "")
    if milliseconds is not None:
        return milliseconds / 1000
    text = (headers.get("Retry-After") or "").strip()
    if not text:
        return None
    seconds = _seconds(text)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 86_400 else None


def error_for(
    source: Source,
    status: int,
    headers: Mapping[str, str],
    detail: Detail,
    request_id: str | None = None,
) -> ProviderError:
    """Name the error by what to do about it (see the tree in `waremill.errors`).

    A content-policy refusal comes back as `Refused`; providers turn it into a `Response` with the
    outcome `refused`.
    """
    about: dict[str, Any] = {
        "provider": source.vendor,
        "model": source.model,
        "status": status,
        "request_id": request_id,
    }
    everything = f"{detail.codes} {detail.words}"
    words = source.clean(detail.words) or "no reason given"

    def say(what: str) -> str:
        return f"{source.vendor} {what} ({status}): {words}"

    wait = retry_after(headers)
    wait = detail.delay if wait is None else wait
    if status == 429:
        if _QUOTA.search(everything) and source.vendor not in _QUOTA_IS_RATE:
            return AccessDenied(say("says the account has no quota left"), **about)
        return RateLimited(say("limits the rate"), retry_after=wait, **about)
    if status in (408, 409, 423, 425, 499) or status >= 500:
        return Unavailable(say("is unavailable"), retry_after=wait, **about)
    if status in (400, 403, 422, 451) and _POLICY.search(everything):
        return Refused(say("declined the request by its content policy"), **about)
    if status in (400, 402, 403) and _QUOTA.search(everything):
        return AccessDenied(say("says the account has no quota left"), **about)
    if status in (401, 402) or (status == 400 and _KEY_PROBLEM.search(everything)):
        return AccessDenied(say("refused the key"), **about)
    if status == 403:
        return AccessDenied(say("forbids this key the request"), **about)
    if status in (400, 404) and _NO_MODEL.search(everything):
        return AccessDenied(say(f"does not know the model “{source.model}”"), **about)
    if status in (404, 405) or 300 <= status < 400:
        return AccessDenied(say("has no such address; check base_url and the model"), **about)
    if _SCHEMA_PROBLEM.search(everything):
        hint = '; if the model takes no JSON schemas, set structured = "object" or "text"'
        return Rejected(say("rejected the request") + hint, **about)
    return Rejected(say("rejected the request"), **about)


def secrets_of(
    keys: Iterable[str], headers: Mapping[str, str], proxy: str | None
) -> tuple[str, ...]:
    """List what must never be shown, longest first: keys, header values, the proxy's password."""
    found = set(keys)
    for name, value in headers.items():
        if _SECRET_HEADER.search(name):
            found.update((value, *value.split()))
    if proxy and "@" in proxy:
        login = proxy.split("://")[-1].rpartition("@")[0]
        found.update((login, login.partition(":")[2]))
    return tuple(sorted((one for one in found if len(one) >= 6), key=len, reverse=True))
