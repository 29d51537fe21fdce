"""Which source each sentence of a reply stands on, for models too small to cite by themselves.

Small models cite whatever they were shown an example of. So they are not asked for citations, and
what looks like one is taken out: as soon as a sentence is whole it is compared with what the model
was given, by the rules of the check `grounded`, and the source that has its numbers, names and most
of its words is cited. A sentence that stands on none stays without a citation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from waremill.chat.citing import Citing
from waremill.chat.turns import Source
from waremill.checks import Rules
from waremill.checks.draft import Draft
from waremill.checks.grounded import verdicts
from waremill.domain import Passage

_ENDS = ".!?…"
_WIDE_ENDS = "。！？"
_CLOSING = "\"'”’»）)」』*_"
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:\w|\d+|ca|bzw|inkl|max|min|Nr|Dr|Mr|Mrs|Ms|No|vs|approx|incl|fl|oz|e\.g|i\.e)\.$"
)


class Attributing:
    """Reads a reply piece by piece and adds the citation to each sentence at its end."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._passages = tuple(
            Passage(str(one.number), one.document, one.text, one.place) for one in sources
        )
        self._sentence = ""
        self._own = Citing({})

    def anew(self) -> Attributing:
        """Give one that begins with the reply again, over the same sources."""
        other = Attributing(())
        other._passages = self._passages
        return other

    def feed(self, piece: str) -> str:
        """Take a piece; give it with the citations of the sentences that ended before it."""
        return self._feed(self._own.feed(piece))

    def end(self) -> str:
        """Give what is left, and the citation of the last sentence."""
        return self._feed(self._own.end()) + self._citation()

    def _feed(self, piece: str) -> str:
        shown: list[str] = []
        for sign in piece:
            if self._ended_before(sign):
                shown.append(self._citation())
            self._sentence += sign
            shown.append(sign)
        return "".join(shown)

    def _ended_before(self, sign: str) -> bool:
        if sign == "\n":
            return bool(self._sentence.strip())
        if sign in _CLOSING:
            return False
        said = self._sentence.rstrip(_CLOSING)
        if said.endswith(tuple(_WIDE_ENDS)):
            return True
        return sign.isspace() and said.endswith(tuple(_ENDS)) and not _ABBREVIATED.search(said)

    def _citation(self) -> str:
        sentence, self._sentence = self._sentence.strip(), ""
        if not sentence or not self._passages:
            return ""
        draft = Draft({"reply": sentence}, {}, passages=self._passages)
        numbers = {
            int(one.source)
            for one in verdicts(draft, Rules())
            if one.judgement == "supported" and one.source.isdigit()
        }
        cited = "".join(f"[{number}]" for number in sorted(numbers))
        return f" {cited}" if cited and sentence[-1].isascii() else cited


__all__ = ["Attributing"]
