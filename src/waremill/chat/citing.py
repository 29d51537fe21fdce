"""Citations in a reply as it streams in: only what was really given can be cited.

A model cites by number, `[2]` or `[1, 3]`; models trained otherwise write `【2】` or `[^2]`. Each
is passed on as `[2]`, one bracket a number. A number nobody gave a source under is taken out, so
that whatever a reader sees in brackets opens. Code is left as it is: `row[0]` cites nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from waremill.chat.turns import Source

_BEGINNING = re.compile(r"`| ?[\[【]")
_RUN = re.compile(r"`+")
_NUMBER = r"\^?\d{1,3}"
_SEPARATOR = r"\s*[,，、;；]\s*"
_WHOLE = re.compile(rf" ?[\[【]\s*{_NUMBER}(?:{_SEPARATOR}{_NUMBER})*\s*[\]】]")
_PERHAPS = re.compile(r" ?[\[【][\s\d,，、;；^]*")
_LONGEST = 48
_FENCE = 3


class Citing:
    """Reads a reply piece by piece.

    `given` are the sources by number and may grow meanwhile. `cited` are the numbers that were
    cited, in order of first use, and `unknown` counts the citations that were taken out.
    """

    def __init__(self, given: Mapping[int, Source]) -> None:
        self._given = given
        self._held = ""
        self._code = 0
        self._last = ""
        self.cited: dict[int, None] = {}
        self.unknown = 0

    def feed(self, piece: str) -> str:
        """Take a piece; give what can be shown of all that came, a beginning bracket held back."""
        self._held += piece
        shown: list[str] = []
        while self._held and self._step(shown):
            pass
        return "".join(shown)

    def end(self) -> str:
        """Give what is still held back: nothing more comes."""
        held, self._held = self._held, ""
        return held

    def _step(self, shown: list[str]) -> bool:
        """Pass on the next part; False where more must come first."""
        found = _BEGINNING.search(self._held)
        if found is None:
            # A citation that is taken out takes the space before it with it.
            kept = len(self._held) - self._held.endswith(" ")
            shown.append(self._plain(self._held[:kept]))
            self._held = self._held[kept:]
            return False
        shown.append(self._plain(self._held[: found.start()]))
        self._held = self._held[found.start() :]
        if self._held[0] == "`":
            return self._backticks(shown)
        whole = None if self._code else _WHOLE.match(self._held)
        if whole is not None:
            shown.append(self._citation(whole[0]))
            self._held = self._held[whole.end() :]
            return True
        perhaps = not self._code and len(self._held) < _LONGEST
        if perhaps and _PERHAPS.fullmatch(self._held):
            return False
        size = 2 if self._held[0] == " " else 1
        shown.append(self._held[:size])
        self._held = self._held[size:]
        return True

    def _backticks(self, shown: list[str]) -> bool:
        run = _RUN.match(self._held)
        assert run is not None
        if run.end() == len(self._held):
            return False
        size = run.end()
        if not self._code:
            self._code = size
        elif size == self._code or (self._code >= _FENCE and size > self._code):
            self._code = 0
        shown.append(run[0])
        self._held = self._held[size:]
        return True

    def _plain(self, text: str) -> str:
        if "\n\n" in self._last + text and self._code < _FENCE:
            self._code = 0  # what begins inside a line ends with its paragraph
        self._last = text[-1:] or self._last
        return text

    def _citation(self, written: str) -> str:
        found: list[str] = []
        for number in map(int, re.findall(r"\d+", written)):
            if number in self._given:
                self.cited[number] = None
                found.append(f"[{number}]")
            else:
                self.unknown += 1
        space = " " if found and written[0] == " " else ""
        return space + "".join(found)


__all__ = ["Citing"]
