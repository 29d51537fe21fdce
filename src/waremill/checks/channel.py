"""The check `channel`: every field keeps to what the target's channel demands."""

from __future__ import annotations

import re
from collections import Counter

from waremill.checks.draft import Draft, Rules, check
from waremill.domain import Finding
from waremill.rules.channel import FieldRule

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
# For repetition: neither the units of numbers (50ml) nor parts of model names (P20).
_REPEATED = re.compile(r"(?<![\w.])[^\W\d_]{2,}(?:['’-][^\W\d_]+)*(?![\d_])")
_CAPITALS = re.compile(r"(?<!\w)[^\W\d_a-zß-öø-ÿ]{2,}(?!\w)")
_NOT_COUNTED = frozenset(
    # Articles, conjunctions and prepositions, which Amazon's rule on repeated words leaves out.
    # So do units.
    "ml cl l g kg mg oz fl lb cm mm m in ft w kw v mah "  # noqa: SIM905  # reads better
    "a an the and or nor but so yet for of in on at to by with from as into over under off per "
    "der die das den dem des ein eine einen einem einer eines und oder aber für von vom im in an "
    "am auf mit zu zum zur aus bei nach über unter als wie "
    "le la les un une des du de d l et ou mais pour par sur sous dans en avec sans au aux à "
    "el los las una unos unas y o u e con sin por para del al lo "
    "il gli i uno della del dei delle da di con per su tra fra "
    "het een van voor met op te bij naar uit o os as um uma do da dos das no na nos nas com".split()
)


@check("channel")
def channel(draft: Draft, rules: Rules) -> list[Finding]:
    """Check lengths, banned characters and phrases, repeated words and CAPITALS.

    Length is in characters and in UTF-8 bytes, of each text of a list. Repetition counts words of
    two letters or more; articles, conjunctions and prepositions do not count (Amazon, “Product
    title requirements and guidelines”). Words of up to four capitals that stand so in the source
    (DKNY, SPF) are no shouting, and one capital word alone never is.
    """
    if draft.target is None or draft.target.channel is None:
        return []
    shop = rules.channels.get(draft.target.channel)
    if shop is None:
        return []
    found: list[Finding] = []
    end = -1
    for name, text in draft.texts:
        start = end + 1
        end = start + len(text)
        rule = shop.rule(name, draft.category)
        if rule is None:
            continue
        _lengths(shop.name, name, text, rule, found)
        if rule.banned_pattern is not None and (match := rule.banned_pattern.search(text)):
            _banned(shop.name, name, match.group(), found)
        if rule.phrases is not None:
            for _, first, last in rule.phrases.find_folded(draft.folded[start:end]):
                _banned(shop.name, name, text[first:last], found)
        if rule.max_repeats is not None:
            _repeats(name, text, rule.max_repeats, found)
        if rule.max_capitals is not None:
            _capitals(draft, name, text, rule.max_capitals, found)
    return found


def _lengths(shop: str, name: str, text: str, rule: FieldRule, found: list[Finding]) -> None:
    limit = rule.max_chars
    if limit is not None and len(text) > limit:
        message = f"the text has {len(text)} characters and {shop} allows {limit}; shorten it"
        found.append(Finding(name, "channel", "error", message, text[limit:]))
    limit = rule.max_bytes
    # A character takes at most four bytes, so most texts need no encoding.
    if limit is not None and len(text) * 4 > limit:
        size = len(text.encode(errors="replace"))
        if size > limit:
            message = f"the text has {size} bytes and {shop} allows {limit}; shorten it"
            found.append(Finding(name, "channel", "error", message, text))


def _banned(shop: str, name: str, evidence: str, found: list[Finding]) -> None:
    what = "the character “{}”" if len(evidence) == 1 else "“{}”"
    message = f"{shop} does not allow {what.format(evidence)}; leave it out"
    found.append(Finding(name, "channel", "error", message, evidence))


def _repeats(name: str, text: str, limit: int, found: list[Finding]) -> None:
    text = text.lower()
    words = _LETTERS.findall(text)
    if len(words) - len(set(words)) < limit:
        return
    words = _REPEATED.findall(text)
    for word, count in Counter(words).items():
        if count > limit and word not in _NOT_COUNTED:
            message = f"“{word}” stands {count} times; at most {limit} are allowed"
            found.append(Finding(name, "channel", "error", message, word))


def _capitals(draft: Draft, name: str, text: str, limit: float, found: list[Finding]) -> None:
    shouted = [word for word in _CAPITALS.findall(text) if word.isupper()]
    shouted = [word for word in shouted if len(word) > 4 or word not in draft.source_text]
    words = [word for word in _WORD.findall(text) if len(word) > 1]
    if len(shouted) > 1 and len(shouted) > limit * len(words):
        message = (
            f"{len(shouted)} of {len(words)} words are in CAPITALS; write them in normal letters"
        )
        found.append(Finding(name, "channel", "error", message, " ".join(shouted)))
