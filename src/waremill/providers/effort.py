"""How much a model thinks before it answers, and the tokens that takes.

A reply's `max_tokens` comes from the output contract and leaves no room for reasoning, and short
product copy gains little from it. So where the workspace sets no `effort`, models that would think
by default are asked to think as little as they can; `effort = "default"` leaves it to the vendor.
With an effort, an allowance is added to `max_tokens`. Must not build requests.

Sources, read 2026-11: OpenAI “Reasoning models” (effort by family), Google “OpenAI compatibility”
(reasoning_effort), Alibaba Cloud Model Studio “Deep thinking” (enable_thinking), DeepSeek “Thinking
Mode”, Anthropic “Effort” and “Adaptive thinking”.
"""

from __future__ import annotations

import re

from waremill.domain import Model

ALLOWANCE = {
    "none": 0,
    "minimal": 512,
    "low": 2_048,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
    "default": 8_192,
}
"""Tokens added to a reply's limit for thinking at each effort. The vendors publish no bounds; these
follow the thinking budgets Google documents for the same words (1,024, 8,192, 24,576), rounded up
for low."""

_LEAST: tuple[tuple[str, str, str], ...] = (
    ("openai|azure", r"gpt-5(-mini|-nano)?(-\d{4}-\d\d-\d\d)?$", "minimal"),
    ("openai|azure", r"gpt-5\.\d+(-(?!pro|codex|chat|cyber)[a-z]+)?(-\d{4}-\d\d-\d\d)?$", "none"),
    ("openai|azure", r"o[1-9](-|$)", "low"),
    ("google|vertex", r".*gemini-2\.5-flash", "none"),
    ("google|vertex", r".*gemini-2\.5-pro", "low"),
    ("google|vertex", r".*gemini-[3-9].*flash", "minimal"),
    ("google|vertex", r".*gemini-[3-9]", "low"),
    ("dashscope", r"qwen3|qwen-(plus|flash|turbo)", "none"),
    ("deepseek", r"deepseek-(flash|v[4-9])", "none"),
)


def effort_of(model: Model) -> str | None:
    """Give the effort to ask for: the workspace's, else the least the model allows; None for no
    word about it (models that do not think, or `default`).
    """
    given = model.options.get("effort")
    if given == "default":
        return None
    if given:
        return str(given)
    for vendors, pattern, least in _LEAST:
        if model.vendor in vendors.split("|") and re.match(pattern, model.name):
            return least
    return None


def reasoning_allowance(model: Model) -> int:
    """Give how many tokens a reply may take beyond its `max_tokens`, for thinking.

    What is reserved for a call must include it.
    """
    effort = "default" if model.options.get("effort") == "default" else effort_of(model)
    return ALLOWANCE.get(effort, ALLOWANCE["medium"]) if effort else 0
