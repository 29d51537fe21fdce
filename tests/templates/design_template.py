"""The design's example template, word for word, and the files around it."""

from __future__ import annotations

from typing import Any

import orjson

TEMPLATE = """\
name: selling-points
description: Title and three selling points for a product page
instruction: |
  You write product copy in {{ language }} for shoppers in {{ market }}.     # target.* and params are always there
context: {knowledge: brand-guides, query: "{{ brand }} {{ category }}", top: 3}   # optional, retrieved per product
input:                         # which attributes go in, how they are called, what is required
  - name: {required: true}
  - brand
  - notes: {label: Fragrance notes, max_chars: 400}
requirements:                  # static or rule-driven; `when` is a Jinja expression
  - Use only facts from the input.
  - {text: "Name the volume in ml.", when: volume_ml}
  - {include: claims-cosmetics, when: "market in ['DE', 'FR']"}
examples: {from: examples/selling-points.jsonl, top: 3, by: similarity}      # few-shot, optional
reasoning: brief               # none | brief | full: a rationale field before the answer
output:                        # the output indicator: JSON Schema and a typed result; `{from: schema}` takes the category's schema
  title: {type: string, max_chars: 60}
  selling_points: {type: array, items: {type: string, max_chars: 80}, min: 3, max: 3, write: fill}   # write: fill | replace
checks: [language, grounded-numbers, channel, glossary]
"""  # noqa: E501

_POINTS = ["Quiet woods for evenings", "Made in small batches", "A bottle made to be refilled"]
EXAMPLES: list[dict[str, Any]] = [
    {"key": "A1", "input": {"name": "Hwyl", "brand": "Aesop", "notes": "Cypress; Frankincense"}},
    {"key": "A2", "input": {"name": "Rozu", "brand": "Aesop", "notes": "Rose; Shiso; Guaiac"}},
    {"key": "A3", "input": {"name": "No 5", "brand": "Chanel", "notes": "Aldehydes; Jasmine"}},
    {"key": "A4", "input": {"name": "昆仑煮雪", "brand": "观夏", "notes": "雪松, 冷杉, 圣木"}},
    {"key": "A5", "input": {"name": "颐和金桂", "brand": "观夏", "notes": "桂花, 茶, 雪松"}},
]
FILES: dict[str, str] = {
    "templates/selling-points.yaml": TEMPLATE,
    "templates/includes/claims-cosmetics.md": "Promise no effect on health.\n",
    "examples/selling-points.jsonl": "\n".join(
        orjson.dumps(
            {**one, "output": {"title": one["input"]["name"], "selling_points": _POINTS}}
        ).decode()
        for one in EXAMPLES
    ),
}
PRODUCT = {
    "name": "Tacit Eau de Parfum",
    "brand": "Aesop",
    "notes": "Yuzu; Basil; Vetiver",
    "volume_ml": 50,
    "category": "Perfume",
}


def template_file(body: str, name: str = "t", **others: str) -> dict[str, str]:
    """A workspace of one template and the files given as `path__with__slashes`."""
    return {f"templates/{name}.yaml": body, **others}
