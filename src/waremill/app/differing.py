"""The difference of two texts by lines, in bounded time whatever the texts are.

It reads and writes nothing. A file may have 256 KB, so that it is called on a thread all the same.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

MOST_COMPARED_LINES = 2_000
"""Differing lines, of both texts together, that are matched with each other."""
MOST_PAIRS = 50_000
"""Pairs of equal lines from which on lines that repeat often are no anchors any more."""
_Opcode: TypeAlias = tuple[Literal["replace", "delete", "insert", "equal"], int, int, int, int]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a difference: ' ' stands in both, '-' in the old text, '+' in the new one.

    `old` and `new` are line numbers from 1; '…' stands for lines left out that stand in both.
    """

    mark: Literal[" ", "-", "+", "…"]
    text: str
    old: int | None = None
    new: int | None = None


def diff_lines(old: str, new: str, *, around: int = 3) -> tuple[DiffLine, ...]:
    """Give the difference of two texts by lines, with so many equal lines around.

    Where more than 2,000 lines are left between an equal beginning and an equal end, they are one
    replaced block: matching them with each other would take minutes.
    """
    before, after = old.splitlines(), new.splitlines()
    found: list[DiffLine] = []
    last = 0
    for group in _grouped(_opcodes(before, after), around):
        if group[0][1] > last:
            found.append(DiffLine("…", ""))
        last = group[-1][2]
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                pairs = zip(range(i1, i2), range(j1, j2), strict=True)
                found += [DiffLine(" ", before[i], i + 1, j + 1) for i, j in pairs]
            else:
                found += [DiffLine("-", before[i], i + 1) for i in range(i1, i2)]
                found += [DiffLine("+", after[j], None, j + 1) for j in range(j1, j2)]
    if found and last < len(before):
        found.append(DiffLine("…", ""))
    return tuple(found)


def _opcodes(before: Sequence[str], after: Sequence[str]) -> list[_Opcode]:
    """Say how one list of lines becomes the other: what is equal, replaced, deleted, inserted."""
    shorter = min(len(before), len(after))
    head = 0
    while head < shorter and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < shorter - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old_end, new_end = len(before) - tail, len(after) - tail
    found: list[_Opcode] = []
    if head:
        found.append(("equal", 0, head, 0, head))
    found += _middle(before[head:old_end], after[head:new_end], head)
    if tail:
        found.append(("equal", old_end, len(before), new_end, len(after)))
    return found


def _middle(before: Sequence[str], after: Sequence[str], head: int) -> list[_Opcode]:
    """Compare what is left between an equal head and an equal tail."""
    if not before and not after:
        return []
    if len(before) + len(after) > MOST_COMPARED_LINES:
        return [("replace", head, head + len(before), head, head + len(after))]
    often = Counter(after)
    pairs = sum(count * often[line] for line, count in Counter(before).items())
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=pairs > MOST_PAIRS)
    return [
        (tag, i1 + head, i2 + head, j1 + head, j2 + head)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
    ]


def _grouped(opcodes: Sequence[_Opcode], around: int) -> list[list[_Opcode]]:
    """Leave out the equal lines that are further than `around` from any change."""
    groups: list[list[_Opcode]] = []
    group: list[_Opcode] = []
    for number, (tag, i1, i2, j1, j2) in enumerate(opcodes):
        if tag != "equal":
            group.append((tag, i1, i2, j1, j2))
            continue
        size = i2 - i1
        after = 0 if number == 0 else min(around, size)
        before = 0 if number == len(opcodes) - 1 else min(around, size)
        if group and after + before >= size:
            group.append((tag, i1, i2, j1, j2))
            continue
        if group:
            group.append((tag, i1, i1 + after, j1, j1 + after))
            groups.append(group)
        group = [(tag, i2 - before, i2, j2 - before, j2)]
    if any(tag != "equal" for tag, *_ in group):
        groups.append(group)
    return groups


__all__ = ["DiffLine", "diff_lines"]
