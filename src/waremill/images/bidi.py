"""The order in which letters of right-to-left and left-to-right scripts stand in a line.

The Unicode Bidirectional Algorithm (UAX #9, revision 48): `levels` resolves a paragraph, `runs`
reorders one of its lines. Text in, numbers out; fonts and pixels are not known here. Rule names in
the comments are the annex's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

_DEEPEST = 125
_ISOLATES = ("LRI", "RLI", "FSI")
_EMBEDDINGS = {"LRE": "N", "RLE": "N", "LRO": "L", "RLO": "R"}
_REMOVED = (*_EMBEDDINGS, "PDF", "BN")
_NEUTRAL = ("B", "S", "WS", "ON", *_ISOLATES, "PDI")
_OPENING = "([{༺༼᚛⁅⁽₍⌈⌊⟦⟨⟪⟬⟮⦃⦅⧼⸢⸤⸦⸨〈《「『【〔〖〘〚（［｛｟｢"
_CLOSING = ")]}༻༽᚜⁆⁾₎⌉⌋⟧⟩⟫⟭⟯⦄⦆⧽⸣⸥⸧⸩〉》」』】〕〗〙〛）］｝｠｣"
_PAIRS = dict(zip(_OPENING, _CLOSING, strict=True))
_MOST_OPEN = 63


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of a line that reads one way, `start` to `stop` of the text; leftward if odd."""

    start: int
    stop: int
    level: int


@dataclass(slots=True)
class _Sequence:
    """An isolating run sequence (BD13): the places of its characters, and what borders on it."""

    places: list[int] = field(default_factory=list)
    before: str = "L"
    after: str = "L"


def base_level(text: str) -> int:
    """Give 1 for a paragraph whose first strong letter reads leftward, else 0 (P2, P3)."""
    depth = 0
    for character in text:
        kind = _kind(character)
        if kind in _ISOLATES:
            depth += 1
        elif kind == "PDI":
            depth = max(0, depth - 1)
        elif depth == 0 and kind in ("L", "R", "AL"):
            return int(kind != "L")
    return 0


def levels(text: str, base: int) -> list[int]:
    """Give the level of every character of a paragraph; even ones read rightward, odd leftward.

    A character the algorithm removes (X9) has its neighbour's level.
    """
    kinds = [_kind(character) for character in text]
    partners = _partners(kinds)
    found = _explicit(kinds, partners, base)
    for sequence in _sequences(kinds, found, partners, base):
        _resolve(text, kinds, found, sequence)
    last = base
    for i, kind in enumerate(_kind(character) for character in text):
        if kind in _REMOVED:
            found[i] = last
        last = found[i]
    return found


def runs(text: str, resolved: Sequence[int], base: int, start: int, stop: int) -> list[Run]:
    """Give the runs of a line from `start` to `stop` in the order they stand, left to right.

    White space at the line's end takes the paragraph's level (L1).
    """
    line = list(resolved[start:stop])
    trailing = True
    for i in range(stop - 1, start - 1, -1):
        kind = _kind(text[i])
        if kind in ("S", "B"):
            trailing = True
        elif kind not in ("WS", *_ISOLATES, "PDI", *_REMOVED):
            trailing = False
            continue
        if trailing:
            line[i - start] = base
    found: list[Run] = []
    for i, level in enumerate(line):
        if found and found[-1].level == level:
            found[-1] = Run(found[-1].start, start + i + 1, level)
        else:
            found.append(Run(start + i, start + i + 1, level))
    for level in range(max(line, default=0), 0, -1):  # L2
        i = 0
        while i < len(found):
            j = i
            while j < len(found) and found[j].level >= level:
                j += 1
            found[i:j] = found[i:j][::-1]
            i = j + 1
    return found


def _kind(character: str) -> str:
    return unicodedata.bidirectional(character) or "L"


def _partners(kinds: Sequence[str]) -> dict[int, int]:
    """Match isolate initiators with their PDI, both ways (BD9); unmatched ones are left out."""
    found: dict[int, int] = {}
    waiting: list[int] = []
    for i, kind in enumerate(kinds):
        if kind in _ISOLATES:
            waiting.append(i)
        elif kind == "PDI" and waiting:
            found[waiting[-1]] = i
            found[i] = waiting.pop()
    return found


@dataclass(slots=True)
class _Stack:
    """The embeddings and isolates that are open (X1): level, override and whether it isolates."""

    entries: list[tuple[int, str, bool]]
    isolates: int = 0
    overflowing_isolates: int = 0
    overflowing_embeddings: int = 0

    @property
    def level(self) -> int:
        return self.entries[-1][0]

    @property
    def override(self) -> str:
        return self.entries[-1][1]

    def open(self, kind: str, leftward: bool) -> None:
        """Enter an embedding, an override or an isolate (X2–X5c)."""
        isolating = kind in _ISOLATES
        deeper = self.level + (1 if (self.level % 2 == 0) == leftward else 2)
        overflows = self.overflowing_isolates or self.overflowing_embeddings
        if deeper <= _DEEPEST and not overflows:
            self.isolates += isolating
            self.entries.append((deeper, _EMBEDDINGS.get(kind, "N"), isolating))
        elif isolating:
            self.overflowing_isolates += 1
        elif not self.overflowing_isolates:
            self.overflowing_embeddings += 1

    def close_isolate(self) -> None:
        """Leave the last isolate and what was opened in it (X6a)."""
        if self.overflowing_isolates:
            self.overflowing_isolates -= 1
        elif self.isolates:
            self.overflowing_embeddings = 0
            while not self.entries[-1][2]:
                self.entries.pop()
            self.entries.pop()
            self.isolates -= 1

    def close_embedding(self) -> None:
        """Leave the last embedding or override, but no isolate (X7)."""
        if self.overflowing_isolates:
            return
        if self.overflowing_embeddings:
            self.overflowing_embeddings -= 1
        elif not self.entries[-1][2] and len(self.entries) > 1:
            self.entries.pop()


def _explicit(kinds: list[str], partners: dict[int, int], base: int) -> list[int]:
    """Assign levels from embeddings, overrides and isolates (X1–X8), overriding kinds in place."""
    found = [base] * len(kinds)
    stack = _Stack([(base, "N", False)])
    for i, kind in enumerate(kinds):
        if kind == "PDI":
            stack.close_isolate()
        found[i] = stack.level
        override = stack.override
        if kind in _ISOLATES or kind in _EMBEDDINGS:
            leftward = kind in ("RLE", "RLO", "RLI")
            if kind == "FSI":
                leftward = _first_strong_leftward(kinds, i + 1, partners.get(i, len(kinds)))
            stack.open(kind, leftward)
        elif kind == "PDF":
            stack.close_embedding()
        elif kind == "B":
            found[i] = base
        if override != "N" and kind not in (*_REMOVED, "B"):
            kinds[i] = override
    return found


def _first_strong_leftward(kinds: Sequence[str], start: int, stop: int) -> bool:
    depth = 0
    for kind in kinds[start:stop]:
        if kind in _ISOLATES:
            depth += 1
        elif kind == "PDI":
            depth = max(0, depth - 1)
        elif depth == 0 and kind in ("L", "R", "AL"):
            return kind != "L"
    return False


def _sequences(
    kinds: Sequence[str], found: Sequence[int], partners: dict[int, int], base: int
) -> list[_Sequence]:
    """Gather level runs into isolating run sequences, with what stands at their ends (X10)."""
    kept = [i for i, kind in enumerate(kinds) if kind not in _REMOVED]
    level_runs: list[list[int]] = []
    for i in kept:
        if level_runs and found[level_runs[-1][-1]] == found[i]:
            level_runs[-1].append(i)
        else:
            level_runs.append([i])
    starts = {run[0]: run for run in level_runs}
    sequences: list[_Sequence] = []
    position = {place: n for n, place in enumerate(kept)}
    for run in level_runs:
        if run[0] in partners and partners[run[0]] < run[0]:
            continue  # continues the run that holds its initiator
        places = list(run)
        while places[-1] in partners and partners[places[-1]] > places[-1]:
            places += starts.get(partners[places[-1]], [])
        level = found[places[0]]
        first, last = position[places[0]], position[places[-1]]
        before = found[kept[first - 1]] if first else base
        open_end = kinds[places[-1]] in _ISOLATES and places[-1] not in partners
        after = found[kept[last + 1]] if last + 1 < len(kept) and not open_end else base
        sequences.append(_Sequence(places, _way(max(level, before)), _way(max(level, after))))
    return sequences


def _way(level: int) -> str:
    return "R" if level % 2 else "L"


def _resolve(text: str, kinds: list[str], found: list[int], sequence: _Sequence) -> None:
    """Resolve one sequence's kinds and write its levels (W1–W7, N0–N2, I1–I2)."""
    places = sequence.places
    level = found[places[0]]
    kind = [kinds[i] for i in places]
    _resolve_weak(kind, sequence.before)
    _resolve_brackets(text, kind, sequence, level)
    _resolve_neutral(kind, sequence, level)
    for n, i in enumerate(places):
        if level % 2 == 0:
            found[i] = level + {"R": 1, "L": 0}.get(kind[n], 2)
        else:
            found[i] = level + (0 if kind[n] == "R" else 1)


def _resolve_weak(kind: list[str], before: str) -> None:
    strong = previous = before
    for n, one in enumerate(kind):
        if one == "NSM":  # W1
            kind[n] = one = "ON" if previous in (*_ISOLATES, "PDI") else previous
        previous = one
        if one in ("L", "R", "AL"):
            strong = one
        elif one == "EN" and strong == "AL":  # W2
            kind[n] = "AN"
    kind[:] = ["R" if one == "AL" else one for one in kind]  # W3
    for n in range(1, len(kind) - 1):  # W4
        left, right = kind[n - 1], kind[n + 1]
        if left == right and (
            (kind[n] == "ES" and left == "EN") or (kind[n] == "CS" and left in ("EN", "AN"))
        ):
            kind[n] = left
    n = 0
    while n < len(kind):  # W5
        end = n
        while end < len(kind) and kind[end] == "ET":
            end += 1
        if end > n:
            beside = (n and kind[n - 1] == "EN") or (end < len(kind) and kind[end] == "EN")
            kind[n:end] = ["EN" if beside else "ON"] * (end - n)
        n = max(end, n + 1)
    strong = before
    for n, one in enumerate(kind):
        if one in ("ES", "CS"):  # W6
            kind[n] = "ON"
        elif one in ("L", "R"):
            strong = one
        elif one == "EN" and strong == "L":  # W7
            kind[n] = "L"


def _resolve_brackets(text: str, kind: list[str], sequence: _Sequence, level: int) -> None:
    """Give both brackets of a pair one direction (N0)."""
    own = _way(level)
    for first, last in _bracket_pairs(text, kind, sequence.places):
        inside = {_strong(one) for one in kind[first + 1 : last]} - {""}
        if own in inside:
            way = own
        elif inside:
            context = next((s for s in map(_strong, reversed(kind[:first])) if s), sequence.before)
            way = context if context != own else own
        else:
            continue
        for end in (first, last):
            kind[end] = way
            for n in range(end + 1, len(kind)):
                if _kind(text[sequence.places[n]]) != "NSM":
                    break
                kind[n] = way


def _strong(kind: str) -> str:
    """Give the direction a kind counts as where neutrals are resolved; digits count as R."""
    return "R" if kind in ("R", "EN", "AN") else "L" if kind == "L" else ""


def _bracket_pairs(text: str, kind: list[str], places: list[int]) -> list[tuple[int, int]]:
    """Match brackets, by where they stand in the sequence (BD16)."""
    waiting: list[tuple[str, int]] = []
    found: list[tuple[int, int]] = []
    for n, i in enumerate(places):
        character = text[i]
        if kind[n] != "ON":
            continue
        if character in _PAIRS:
            if len(waiting) == _MOST_OPEN:
                break
            waiting.append((_PAIRS[character], n))
        elif character in _CLOSING:
            for depth in range(len(waiting) - 1, -1, -1):
                if waiting[depth][0] == character:
                    found.append((waiting[depth][1], n))
                    del waiting[depth:]
                    break
    return sorted(found)


def _resolve_neutral(kind: list[str], sequence: _Sequence, level: int) -> None:
    n = 0
    while n < len(kind):
        end = n
        while end < len(kind) and kind[end] in _NEUTRAL:
            end += 1
        if end > n:
            left = _strong(kind[n - 1]) if n else sequence.before
            right = _strong(kind[end]) if end < len(kind) else sequence.after
            kind[n:end] = [left if left == right else _way(level)] * (end - n)  # N1, N2
        n = max(end, n + 1)
