"""Real text in any amount: sentences of the data beside the repository, and runs of them.

The sets' passages come first, then product copy; every piece is once in the list. So many more
than the sets have are had by taking two to six adjoining sentences as a piece of its own, as
overlapping passages do.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.question_sets import DATA, question_sets

_SENTENCE = re.compile(r"[^。！？!?\n.;；]+[。！？!?.;；]*")
_SHORTEST, _LONGEST = 12, 600
_COPY = (
    "catalogues-beauty/perfume_descriptions_open.csv",
    "catalogues-beauty/sephora_cosmetics_open.csv",
    "catalogues-beauty/taobao_cosmetics_zh_open.csv", "catalogues-beauty/perfume_notes_open.csv",
    "catalogues-general/openbg_products_zh_open.csv", "catalogues-general/abt_buy/tableA.csv",
    "catalogues-general/abt_buy/tableB.csv", "catalogues-general/openfoodfacts_open.csv",
    "catalogues-general/spree_products.csv",
    "attribute-extraction/oa-mine_train.jsonl", "attribute-extraction/ae-110k_train.jsonl",
    "attribute-extraction/wdc_pave_train.jsonl", "attribute-extraction/lenovo_ner_en.jsonl",
)  # fmt: skip
_PLACE = DATA.parent


def real_pieces(most: int) -> list[str]:
    """Give at most so many different pieces of real text, always the same in the same order."""
    texts = [one.plain for chosen in question_sets() for one in chosen.entries]
    texts += [text for name in _COPY for text in _texts(_PLACE / name)]
    apart = [[one.strip() for one in _SENTENCE.findall(text) if one.strip()] for text in texts]
    found: dict[str, None] = {}
    for length in (1, 2, 3, 4, 5, 6):
        for sentences in apart:
            for start in range(len(sentences) - length + 1):
                piece = " ".join(sentences[start : start + length])
                if _SHORTEST <= len(piece) <= _LONGEST:
                    found.setdefault(piece)
                    if len(found) == most:
                        return list(found)
    return list(found)


def _texts(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows: Any = map(json.loads, file) if path.suffix == ".jsonl" else csv.DictReader(file)
        for row in rows:
            said = [str(one) for one in row.values() if isinstance(one, str) and " " in one.strip()]
            said += [one for one in row.values() if isinstance(one, str) and one[:1] >= "一"]
            yield "\n".join(dict.fromkeys(said))


__all__ = ["real_pieces"]
