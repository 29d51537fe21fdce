"""When two answers say the same, without a model: the same words in the same order.

Case, width, punctuation, articles and a leading yes do not count; everything else does, numbers and
“not” above all. Two entries too many annoy, one that is wrong for a product costs a customer, so
what is only alike stays apart.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LEFT_OUT = frozenset(
    """
    a an the it its this that these those is are yes
    der die das den dem des ein eine einen einem einer es ist sind ja dieser diese dieses
    le la les l un une il elle ils elles est sont oui ce cet cette ces
    el los las uno unos unas es son sí este esta estos estas
    lo gli i uno è sono sì questo questa questi queste
    o os as um uma é são sim isso het de een
    是的
    """.split()  # noqa: SIM905
)
"""Words that an answer has or has not and says the same: articles, pronouns for it, is, yes."""
WHOLE = 5
"""Words from which an answer says it all, whatever was asked; “No, never.” does not."""
WHOLE_CHARACTERS = 12
"""The same in characters, of scripts without spaces."""


def words_of(text: str) -> list[str]:
    """Give the words and numbers that count, in order; a run of Chinese is one word."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [one for one in _WORD.findall(folded) if one not in _LEFT_OUT]


def meaning_of(text: str) -> tuple[bytes, bool]:
    """Give what an answer is compared by, and whether it says it all by itself."""
    words = words_of(text)
    said = " ".join(words)
    wide = sum(one >= "\u3040" for one in said)
    mark = blake2b(said.encode(), digest_size=16).digest()
    return mark, len(words) >= WHOLE or wide >= WHOLE_CHARACTERS
