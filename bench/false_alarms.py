"""Measure the checks: how often correct copy raises an alarm, how often wrong copy is caught.

    python bench/false_alarms.py [--data ../shared/data] [-o FILE.md]

Correct copy is real text whose source holds everything it says: retailers' perfume descriptions and
Chinese titles with their own row as the source, and copy written by hand (conversions, number
words, translations) in ten languages. Wrong copy is the same with one seeded change. Alarms are
findings of severity “error”; warnings are counted beside.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from waremill import checks, rules
from waremill.checks import DEFAULT, Draft, Rules
from waremill.domain import Target

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "zh", "ja", "ko", "ru")
EXAMPLE = ROOT / "src" / "waremill" / "example" / "perfume"


@dataclass(frozen=True)
class Copy:
    """One text with its source, from a named set."""

    origin: str
    draft: Draft


def read_hand_written() -> Iterator[Copy]:
    for entry in yaml.safe_load((ROOT / "tests/checks/correct_copy.yaml").read_text()):
        target = Target.parse(entry["target"])
        draft = Draft(entry["values"], entry["source"], target, category="Perfume")
        yield Copy("written by hand", draft)


def read_real(data: Path) -> Iterator[Copy]:
    with (data / "catalogues-beauty/perfume_descriptions_open.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if len(row["description"]) > 40:
                values = {"title": f"{row['brand']} {row['name']}", "text": row["description"]}
                yield Copy("perfume descriptions (en)", Draft(values, row, Target("en", "US")))
                for sentence in re.split(r"(?<=[.!?])\s+", row["description"]):
                    draft = Draft({"text": sentence}, row, Target("en", "US"))
                    yield Copy("their sentences (en)", draft)
    with (data / "catalogues-beauty/taobao_cosmetics_zh_open.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            source = {("listing" if name == "title" else name): v for name, v in row.items()}
            draft = Draft({"title": row["title"]}, source, Target("zh", "CN"))
            yield Copy("taobao titles (zh)", draft)
    for line in (data / "catalogues-general/openbg_products_zh_open.jsonl").open():
        row = json.loads(line)
        source = {"listing": row["title"]}
        for name, value in row["attributes"]:
            source[name] = f"{source[name]}, {value}" if name in source else value
        yield Copy("openbg titles (zh)", Draft({"title": row["title"]}, source, Target("zh", "CN")))


def _notes(path: Path, name: str) -> Iterator[str]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for column, value in row.items():
                if column.lower().startswith(name) and value:
                    yield from re.split(r"[,;|]", value)


def workspace(data: Path) -> Rules:
    """The example workspace's rules, with public lists of bad words as forbidden terms."""
    files = {
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in EXAMPLE.rglob("*")
        if path.suffix in (".yaml", ".csv")
    }
    for path in (data / "safety-inputs/ldnoobw").glob("*.txt"):
        files[f"forbidden/{path.name}"] = path.read_text()
    words = (data / "safety-inputs/zh_ad_law_words_open.txt").read_text()
    files["forbidden/zh-CN.txt"] = words
    # The example's glossary with its ingredients marked as facts.
    glossary = rules.load_glossary(files)
    notes = {
        note.strip().casefold()
        for name in ("top", "middle", "base")
        for note in _notes(data / "catalogues-beauty/perfume_notes_open.csv", name)
    }
    terms = (replace(t, fact=t.source.casefold() in notes) for t in glossary.terms)
    glossary = rules.Glossary(tuple(terms))
    return Rules(
        rules.load_channels(files),
        glossary,
        rules.load_forbidden(files),
        LANGUAGES,
        rules.load_schemas(files),
    )


def false_alarms(copies: list[Copy], setting: Rules) -> list[str]:
    lines = ["| check | texts | drafts | alarms | rate | warnings |", "|---|---|---|---|---|---|"]
    for name in checks.names():
        check = checks.get(name)
        for origin in dict.fromkeys(copy.origin for copy in copies):
            drafts = [copy.draft for copy in copies if copy.origin == origin]
            if origin.startswith("their sentences") and name != "language":
                continue
            if name == "channel":
                drafts = [on_channel(draft) for draft in drafts]
            alarms = warnings = 0
            for draft in drafts:
                severities = {finding.severity for finding in check(draft, setting)}
                alarms += "error" in severities
                warnings += severities == {"warning"}
            rate = f"{alarms / len(drafts):.1%}"
            lines.append(f"| {name} | {origin} | {len(drafts)} | {alarms} | {rate} | {warnings} |")
    return lines


def on_channel(draft: Draft) -> Draft:
    """The draft's title as one for Amazon; texts stay out, they were written for no channel."""
    assert draft.target is not None
    title = {"title": draft.values["title"]}
    return replace(draft, values=title, target=replace(draft.target, channel="amazon"))


def bare_facts(copies: list[Copy], setting: Rules) -> list[str]:
    """Human copy against name, brand and notes only: what people add of their own knowledge."""
    lines = ["| check | drafts | with errors | with warnings only |", "|---|---|---|---|"]
    drafts = [
        replace(copy.draft, source={k: copy.draft.source[k] for k in ("name", "brand", "notes")})
        for copy in copies
        if copy.origin == "perfume descriptions (en)"
    ]
    for name in ("grounded-numbers", "grounded-names"):
        severities = [{f.severity for f in checks.get(name)(draft, setting)} for draft in drafts]
        errors = sum("error" in found for found in severities)
        warnings = sum(found == {"warning"} for found in severities)
        lines.append(f"| {name} | {len(drafts)} | {errors} | {warnings} |")
    return lines


def show(copies: list[Copy], setting: Rules, name: str, limit: int = 25) -> Iterator[str]:
    check = checks.get(name)
    for copy in copies:
        draft = on_channel(copy.draft) if name == "channel" else copy.draft
        for finding in check(draft, setting):
            if limit:
                limit -= 1
                yield f"{copy.origin}: {finding.severity} {finding.evidence!r}: {finding.message}"


Change = Callable[[Draft, random.Random], dict[str, Any] | None]


def _in_text(draft: Draft, chance: random.Random, words: str) -> dict[str, Any]:
    field = "text" if isinstance(draft.values.get("text"), str) else "title"
    text = str(draft.values[field])
    gap = chance.choice([m.start() for m in re.finditer(r"(?<=[a-z，。]) |$", text)])
    return {**draft.values, field: f"{text[:gap]} {words}{text[gap:]}"}


def change_number(draft: Draft, chance: random.Random) -> dict[str, Any] | None:
    for field, text in draft.values.items():
        numbers = list(re.finditer(r"\d+", text)) if isinstance(text, str) else []
        if numbers:
            match = chance.choice(numbers)
            while (new := str(chance.randint(2, 9999))) in draft.source_text:
                pass
            return {**draft.values, field: text[: match.start()] + new + text[match.end() :]}
    return None


def change_unit(draft: Draft, chance: random.Random) -> dict[str, Any] | None:
    for field, text in draft.values.items():
        if isinstance(text, str) and (match := re.search(r"\d ?(ml|毫升)\b", text)):
            return {**draft.values, field: text[: match.start(1)] + "kg" + text[match.end(1) :]}
    return None


def untranslate(setting: Rules) -> Change:
    """Write a glossary term as the source does."""

    def change(draft: Draft, chance: random.Random) -> dict[str, Any] | None:
        assert draft.target is not None
        text = draft.values.get("text")
        if not isinstance(text, str) or draft.target.language == "en":
            return None
        for term in setting.glossary.matching(draft.source_text, draft.target):
            for spelling in term.accepted(draft.target):
                pattern = re.compile(re.escape(spelling) + r"\w*", re.IGNORECASE)
                if spelling != term.source and pattern.search(text):
                    return {"text": pattern.sub(f" {term.source} ", text)}
        return None

    return change


def add_ingredient(setting: Rules) -> Change:
    """Name an ingredient the product does not have."""

    def change(draft: Draft, chance: random.Random) -> dict[str, Any] | None:
        assert draft.target is not None
        facts = [term for term in setting.glossary.terms if term.fact]
        for term in chance.sample(facts, len(facts)):
            if not any(s.casefold() in draft.folded_source for s in term.spellings):
                return _in_text(draft, chance, term.translation(draft.target) or term.source)
        return None

    return change


def insert(words: str) -> Change:
    return lambda draft, chance: _in_text(draft, chance, words)


def swap_language(sources: list[Draft]) -> Change:
    def change(draft: Draft, chance: random.Random) -> dict[str, Any] | None:
        others = [o for o in sources if o.target and o.target.language != draft.target.language]  # type: ignore[union-attr]
        other = chance.choice(others)
        return {"text": other.values["text"]} if "text" in other.values else None

    return change


def detection(copies: list[Copy], setting: Rules, seed: int) -> list[str]:
    chance = random.Random(seed)
    written = [copy.draft for copy in copies if copy.origin == "written by hand"]
    kinds: list[tuple[str, str, Change]] = [
        ("grounded-numbers", "a number changed", change_number),
        ("grounded-numbers", "ml written as kg", change_unit),
        ("grounded-numbers", "“for 36 hours” added", insert("for 36 hours")),
        ("language", "text of another language", swap_language(written)),
        ("grounded-names", "“by Maison Lavernay” added", insert("by Maison Lavernay")),
        ("grounded-names", "an ingredient added", add_ingredient(setting)),
        ("glossary", "a term left untranslated", untranslate(setting)),
        ("no-placeholders", "“[brand]” added", insert("[brand]")),
        ("no-placeholders", "“{{ name }}” added", insert("{{ name }}")),
        ("no-placeholders", "“TODO” added", insert("TODO")),
        ("no-markup", "“<b>new</b>” added", insert("<b>new</b>")),
        ("no-markup", "“**new**” added", insert("**new**")),
        ("no-urls", "a web address added", insert("www.example.com/shop")),
        ("no-urls", "a telephone number added", insert("+49 30 1234567")),
    ]
    lines = ["| check | change | drafts | caught | rate |", "|---|---|---|---|---|"]
    for name, what, change in kinds:
        check = checks.get(name)
        tried = caught = 0
        for copy in copies:
            if copy.origin.startswith("their sentences"):
                continue
            values = change(copy.draft, chance)
            if values is None:
                continue
            if "Lavernay" in what and copy.draft.target.language in ("de", "zh", "ja", "ko"):  # type: ignore[union-attr]
                continue
            tried += 1
            found = check(replace(copy.draft, values=values), setting)
            caught += any(finding.severity == "error" for finding in found)
        lines.append(f"| {name} | {what} | {tried} | {caught} | {caught / max(tried, 1):.1%} |")
    return lines


def speed(setting: Rules) -> list[str]:
    """CPU of one draft (a title, two sentences, six attributes), the best of many batches."""
    source = {
        "name": "Rozu Eau de Parfum", "brand": "Aesop", "notes": "rose, shiso, guaiac, bergamot",
        "volume_ml": 50, "gender": "unisex", "year": 2020,
    }  # fmt: skip
    values = {
        "title": "Aesop Rozu Eau de Parfum 50 ml – Rose & Shiso",
        "text": "Rozu by Aesop opens with bright bergamot and lush green rose, lifted by shiso. A "
        "warm trail of guaiac wood makes this 2020 scent a quiet companion for long evenings.",
    }
    target = Target.parse("en-US@amazon")

    def best(names: tuple[str, ...]) -> float:
        lowest = 1.0
        for _ in range(60):
            start = time.process_time()
            for _ in range(50):
                checks.run_checks(names, Draft(values, source, target, {}, "Perfume"), setting)
            lowest = min(lowest, (time.process_time() - start) / 50)
        return lowest * 1e6

    lines = ["| checks | µs of CPU per draft |", "|---|---|"]
    lines.append(f"| the default set | {best(DEFAULT):.0f} |")
    for name in checks.names():
        lines.append(f"| {name} alone | {best((name,)):.0f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", help="list what a check finds in the correct copy")
    parser.add_argument("-o", "--output", type=Path)
    chosen = parser.parse_args()
    if not chosen.data.is_dir():
        sys.exit(f"{chosen.data}: the real data are not here")
    setting = workspace(chosen.data)
    copies = [*read_hand_written(), *read_real(chosen.data)]
    if chosen.show:
        print("\n".join(show(copies, setting, chosen.show)))
        return
    parts = [
        "## False alarms on correct copy", "", *false_alarms(copies, setting), "",
        "## Human copy against bare facts (no false alarms: people add what they know)", "",
        *bare_facts(copies, setting), "",
        f"## Wrong copy caught (seed {chosen.seed})", "",
        *detection(copies, setting, chosen.seed), "",
        "## Cost", "", *speed(setting), "",
    ]  # fmt: skip
    page = "\n".join(parts)
    print(page)
    if chosen.output:
        chosen.output.write_text(page)


if __name__ == "__main__":
    main()
