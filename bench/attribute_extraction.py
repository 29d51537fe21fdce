"""Attribute extraction with the embedded model on labelled offers: F1 and invented values.

    python -m bench.attribute_extraction [--rows 40] [--category NAME] [--model local] [DATA]

Each line of the data has `input` (a title), `category` and `target_scores` (attribute → value,
`n/a` where the title has none). Some rows are worked examples in the prompt, others are the trial;
no row is both. What a row does not label is not compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import waremill

DATA = Path(__file__).resolve().parents[2] / "shared/data/attribute-extraction/ae-110k_train.jsonl"
EXAMPLES = 60
LEAST_SHARE = 0.15


def main() -> None:
    """Build a workspace of one category, run a trial with gold, print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="?", type=Path, default=DATA)
    parser.add_argument("--category", default="Shirts")
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--model", default="local")
    arguments = parser.parse_args()
    rows = labelled(arguments.data, arguments.category)
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measure(Path(folder), rows, arguments))
    show(result, arguments)


def labelled(path: Path, category: str) -> list[tuple[str, dict[str, str | None]]]:
    """Read a category's rows in a fixed random order: title, and value by field (None: absent)."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record.get("category") == category:
            gold = {
                field_name(name): None if "n/a" in values else next(iter(values))
                for name, values in record["target_scores"].items()
            }
            title = record.get("input") or ". ".join(
                record[name] for name in ("input_title", "input_description") if record.get(name)
            )
            rows.append((title[:400], gold))
    random.Random(0).shuffle(rows)
    return rows


def field_name(attribute: str) -> str:
    """Make an attribute's name a field's name."""
    return attribute.lower().replace(" ", "_").replace("(", "").replace(")", "")


async def measure(folder: Path, rows: list[Any], arguments: argparse.Namespace) -> Any:
    """Run the trial in a fresh workspace."""
    often = Counter(name for _, gold in rows for name in gold)
    fields = [name for name, count in often.items() if count >= LEAST_SHARE * len(rows)]
    write_workspace(folder, rows, fields, arguments)
    async with waremill.open(folder) as shop:
        await shop.import_catalog([folder / "offers.jsonl"], key="key")
        return await shop.trial("extract", size=arguments.rows, gold="gold/offers.jsonl")


def write_workspace(
    folder: Path, rows: list[Any], fields: list[str], arguments: argparse.Namespace
) -> None:
    """Write settings, template, examples, offers and gold."""
    for name in ("templates", "examples", "gold"):
        (folder / name).mkdir()
    (folder / "waremill.toml").write_text(f'[models.default]\nuse = "{arguments.model}"\n')
    output = "".join(f"  {name}: {{required: false, max_chars: 60}}\n" for name in fields)
    (folder / "templates/extract.yaml").write_text(
        "name: extract\n"
        "instruction: |\n"
        "  Copy the attributes out of the product title, word for word.\n"
        "  Write null for what the title does not say.\n"
        "input:\n  - title: {required: true}\n"
        "examples: {from: examples/offers.jsonl, top: 3, by: similarity}\n"
        f"output:\n{output}"
    )
    apart = min(EXAMPLES, len(rows) // 2)
    shown, tried = rows[:apart], rows[apart : apart + arguments.rows]
    examples = [
        {"input": {"title": title}, "output": {name: gold.get(name) for name in fields}}
        for title, gold in shown
    ]
    write_lines(folder / "examples/offers.jsonl", examples)
    offers = [{"key": f"offer-{n}", "title": title} for n, (title, _) in enumerate(tried)]
    write_lines(folder / "offers.jsonl", offers)
    gold = [
        {"key": f"offer-{n}", **{k: v for k, v in gold.items() if k in fields}}
        for n, (_, gold) in enumerate(tried)
    ]
    write_lines(folder / "gold/offers.jsonl", gold)


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def show(result: Any, arguments: argparse.Namespace) -> None:
    """Print one line a field."""
    print(f"{arguments.data.name}, {arguments.category}, {arguments.rows} rows, {arguments.model}")
    print("| field | compared | right (95 %) | precision | recall | F1 | invented (95 %) |")
    print("|---|---|---|---|---|---|---|")
    for line in result.accuracy:
        right, low, high, count = line["correct"]
        invented = "–"
        if line["invented"]:
            share, least, most, absent = line["invented"]
            invented = f"{share:.0%} ({least:.0%}–{most:.0%}) of {absent}"
        ratios = " | ".join(_ratio(line[name]) for name in ("precision", "recall", "f1"))
        print(
            f"| {line['field']} | {count} | {right:.0%} ({low:.0%}–{high:.0%}) | {ratios} "
            f"| {invented} |"
        )
    status = result.status
    print(
        f"{status.done} done, {status.failed} failed, {status.calls} calls, {status.seconds:.0f} s"
    )


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
