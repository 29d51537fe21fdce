"""The check `no-placeholders`: nothing is left to be filled in, and no assistant speaks."""

from __future__ import annotations

import re

from waremill.checks.draft import Draft, Rules, check
from waremill.domain import Finding

_SLOT = (
    r"(?:your |the |product |brand |insert |add |shop |store |company |customer )?"
    r"(?:product|brand|name|title|price|volume|size|colou?r|notes?|ingredients?|category|model|year|"
    r"number|company|store|shop|link|url|text|description|date|feature|benefit|value|language|market|"
    r"marke|produktname|produkt|preis|größe|farbe|menge|jahr|"
    r"marque|nom du produit|produit|prix|taille|couleur|contenance|année)(?: name| here)?"
)
_CHINESE_SLOT = (
    r"(?:此处|在此|请)?(?:填写|插入|输入)?"
    r"(?:品牌名?|产品名?称?|商品名?称?|名称|价格|容量|颜色|年份|型号|规格|链接)"
)
# All is bounded: without that, a text of opening brackets alone takes quadratic time.
_BRACKETS = re.compile(
    rf"\[(?:{_SLOT}|[a-z]+(?:_[a-z0-9]+)+|x+|\.\.\.|…|insert[^\]]{{0,200}}|{_CHINESE_SLOT})\]"
    rf"|【(?:{_CHINESE_SLOT}|{_SLOT})】"
)
_BRACES = re.compile(r"\{\{.{0,300}?\}\}|\{%.{0,300}?%\}|\$?\{[^\W\d][\w.\- ]{0,40}\}")
_PERCENT = re.compile(r"%\([a-z_]\w*\)[sd]|(?<![\d\s%])%s\b|(?<!\S)%[sd]\b")
_WORDS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("ipsum",), re.compile(r"\blorem ipsum\b|\bipsum dolor\b")),
    (("todo", "tbd", "tba", "fixme"), re.compile(r"(?<![\w-])(?:TODO|TBD|TBA|FIXME)(?![\w-])")),
    (("xx",), re.compile(r"(?<![\w-])(?:XXX+|xxx+|XX ?(?:ml|g|€|%))(?![\w-])")),
    (("n/a",), re.compile(r"(?<![\w/])n/a(?![\w/])")),
    (
        ("insert ",),
        re.compile(r"\binsert (?:(?:your|the|a|an|product|brand) )?[\w ]{0,30}\bhere\b"),
    ),
    (("einfügen", "einsetzen"), re.compile(r"\bhier [\w -]{0,30}(?:einfügen|einsetzen)\b")),
    (("insére",), re.compile(r"\binsére[rz] [\w' -]{1,30}\bici\b")),
    (("插入", "填写"), re.compile(r"(?:此处|在此|这里)(?:插入|填写)|请(?:插入|填写)")),
    (("___",), re.compile(r"_{3,}")),
)
_ASSISTANT: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (
        (" ai", " ki", " ia", "'ia", "model", "modèle de l"),
        re.compile(
            r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b|"
            r"\bi(?:'m| am) an? (?:ai|(?:large )?language model)\b|"
            r"\bals (?:eine? )?(?:ki|sprachmodell)\b|"
            r"\ben tant qu(?:e |')(?:une? )?(?:ia|intelligence artificielle|modèle de langage)\b|"
            r"\bcomo (?:una |un )?(?:ia|modelo de lenguaje)\b|\bin quanto ia\b"
        ),
    ),
    (
        ("作为", "我是"),
        re.compile(r"(?:作为|我是)(?:一个|一名|一款)?(?:ai|人工智能|语言模型|大模型)"),
    ),
    (
        ("i can", "sorry", "unable"),
        re.compile(
            r"\bi(?: am|'m) sorry, (?:but )?i\b|\bi(?: cannot|'m unable to| can't) "
            r"(?:fulfil|assist|help|provide|create|generate|write)"
        ),
    ),
    (
        ("here is", "here's", "here are"),
        re.compile(
            r"^\W*(?:sure|certainly|of course)?\W*here(?:'s| is| are) (?:the|a|an|your|three|some) "
            r"(?:[\w-]+ ){0,4}(?:title|description|copy|json|translation|selling points?|text)\b",
            re.MULTILINE,
        ),
    ),
)  # fmt: skip
_PLACEHOLDER = "“{}” is a placeholder; write the fact itself or leave it out"
_MARKS = tuple(
    (mark, pattern, message)
    for group, message in (
        (_WORDS, _PLACEHOLDER),
        (_ASSISTANT, "the assistant speaks in “{}”; write only the copy"),
    )
    for marks, pattern in group
    for mark in marks
)
_WHOLE = frozenset(
    "n/a na null none nan undefined unknown - -- . ... … ? string text title description "  # noqa: SIM905  # reads better
    "无 未知 暂无 unbekannt inconnu".split(" ")
)


@check("no-placeholders")
def no_placeholders(draft: Draft, rules: Rules) -> list[Finding]:
    """Find slots left open and an assistant's own words.

    Slots are `[brand]`, `[product_name]`, `{{x}}`, `{name}`, `%s`, `XXX`, `TODO`, `N/A`, lorem
    ipsum, “insert … here” (also in German, French, Chinese) and texts that are nothing but “null”,
    “unknown” or “…”. Anything that stands so in the source is let through.
    """
    text = draft.folded
    found: list[Finding] = []
    if "[" in text or "【" in text:
        _report(draft, _BRACKETS, found)
    if "{" in text:
        _report(draft, _BRACES, found)
    if "%" in text:
        _report(draft, _PERCENT, found)
    for mark, pattern, message in _MARKS:
        if mark in text:
            _report(draft, pattern, found, message)
    for name, value in draft.texts:
        if len(value) < 12 and value.strip().lower() in _WHOLE and not found:
            message = f"“{value}” is no text; write one, or leave the field out"
            found.append(Finding(name, "no-placeholders", "error", message, value))
    return found


def _report(
    draft: Draft,
    pattern: re.Pattern[str],
    found: list[Finding],
    message: str = _PLACEHOLDER,
) -> None:
    cased = "TODO" in pattern.pattern or "XXX" in pattern.pattern
    if any(pattern.search(f.evidence if cased else f.evidence.lower()) for f in found):
        return
    for match in pattern.finditer(draft.text if cased else draft.folded):
        start, end = match.span()
        evidence = draft.text[start:end]
        if evidence and evidence.lower() in draft.folded_source:
            continue
        found.append(
            Finding(
                draft.field_at(start),
                "no-placeholders",
                "error",
                message.format(evidence.strip()),
                evidence,
            )
        )
        return
