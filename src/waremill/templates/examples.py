"""Few-shot examples: where they come from, and which of them suit one product.

The nearest are found by BM25 over character n-grams (two characters of Chinese, Japanese and
Korean, three of everything else), which needs no tokenizer and no language. The index is built
once, when it is first asked. An example of the very same product is never chosen: it would give
the answer away. Choice depends on the files and the product only, so it repeats exactly.
"""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from waremill.domain import Target
from waremill.templates.values import write_value

MOST_EXAMPLES = 20_000
_QUERY_CHARS = 2_000
_MOST_DENSE_CELLS = 4_000_000
"""Cells of the dense table: 16 MB of float32."""
_WORD = re.compile(r"\w+")
_FIRST_CJK = "\u2e80"


@dataclass(frozen=True, slots=True)
class Example:
    """One worked example: what went in, what came out.

    `key` is the product it was made from, `language` the language of its output where it says one.
    """

    input: Mapping[str, Any]
    output: Mapping[str, Any]
    key: str | None = None
    language: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the example as a JSON object, to be recorded and handed to `render` later."""
        record: dict[str, Any] = {"input": dict(self.input), "output": dict(self.output)}
        if self.key is not None:
            record["key"] = self.key
        if self.language is not None:
            record["language"] = self.language
        return record


def example_from(
    record: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str]
) -> Example:
    """Read one example: `{input: {…}, output: {…}}`, or one flat object with both kinds of names.

    `key` and `language` (or `target`) stand beside. Raises ValueError with a plain sentence.
    """
    if not isinstance(record, Mapping):
        raise ValueError("an example must be an object")
    given, made = record.get("input"), record.get("output")
    if isinstance(given, Mapping) and isinstance(made, Mapping):
        pass
    elif "input" in record or "output" in record:
        raise ValueError("`input` and `output` of an example must both be objects")
    else:
        made = {name: record[name] for name in outputs if name in record}
        taken = {*made, "key", "language", "target"} - set(inputs)
        given = {name: value for name, value in record.items() if name not in taken}
    if not made:
        raise ValueError("the example has no output field")
    return Example(given, made, _key(record, inputs), _language(record, inputs))


def _key(record: Mapping[str, Any], inputs: Sequence[str]) -> str | None:
    key = record.get("key")
    return None if key is None or "key" in inputs else str(key)


def _language(record: Mapping[str, Any], inputs: Sequence[str]) -> str | None:
    for name in ("language", "target"):
        value = record.get(name)
        if isinstance(value, str) and value and name not in inputs:
            return value.partition("-")[0].partition("@")[0].casefold()
    return None


def character_grams(text: str) -> list[str]:
    """Split a text into character n-grams: pairs in CJK scripts, triples of ` word ` elsewhere."""
    grams: list[str] = []
    text = text[:_QUERY_CHARS]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    for word in _WORD.findall(text.casefold()):
        if word.isascii() or max(word) < _FIRST_CJK:
            padded = f" {word} "
            grams += [padded[start : start + 3] for start in range(len(word))]
        else:
            grams += [word[start : start + 2] for start in range(max(len(word) - 1, 1))]
    return grams


def searchable(values: Mapping[str, Any], inputs: Sequence[str]) -> str:
    """Give the text that examples and products are compared by: the inputs' values."""
    names = inputs or tuple(values)
    return " \n ".join(write_value(values[name]) for name in names if name in values)


@dataclass(slots=True)
class _Index:
    """The BM25 index, built on first use; `lock` keeps two threads from building it twice.

    For a few thousand examples the weights are also kept as one dense table (gram × example), in
    which a look-up costs a tenth of walking the sparse one.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    bm25: Any = None
    dense: Any = None

    def build(self, texts: Sequence[str]) -> None:
        """Index the texts; a second call does nothing."""
        with self.lock:
            if self.bm25 is not None:
                return
            import bm25s  # 0.2 s and 20 MB: only for templates that look for examples
            import numpy

            logging.getLogger("bm25s").setLevel(logging.WARNING)
            index = bm25s.BM25(method="lucene", backend="numpy")
            grams = [character_grams(text) for text in texts]
            index.index([words or [" "] for words in grams], show_progress=False)
            sparse = index.scores
            rows = len(sparse["indptr"]) - 1
            if rows * len(texts) <= _MOST_DENSE_CELLS:
                dense = numpy.zeros((rows, len(texts)), dtype=numpy.float32)
                grams_of = numpy.repeat(numpy.arange(rows), numpy.diff(sparse["indptr"]))
                dense[grams_of, sparse["indices"]] = sparse["data"]
                self.dense = dense
            self.bm25 = index

    def ranked(self, grams: Sequence[str]) -> Sequence[int]:
        """Give all positions, the nearest first; ties keep their order."""
        ids = self.bm25.get_tokens_ids(grams)
        if not ids:
            return range(int(self.bm25.scores["num_docs"]))
        if self.dense is not None:
            scores = self.dense.take(ids, axis=0).sum(axis=0)
        else:
            scores = self.bm25.get_scores_from_ids(ids)
        # Rounded, so that summing in another order on another machine cannot turn a tie.
        order: list[int] = (-scores.round(3)).argsort(kind="stable").tolist()
        return order


@dataclass(frozen=True)
class Examples:
    """A template's examples. `source` is the file they come from; None for those written inline,
    which are all used. `top` is how many a prompt takes.
    """

    all: tuple[Example, ...]
    inputs: tuple[str, ...]
    top: int
    by: Literal["similarity", "first"] = "first"
    source: str | None = None
    _index: _Index = field(default_factory=_Index, repr=False, compare=False)

    @property
    def names_language(self) -> bool:
        """Whether any example is bound to a language, so that the choice depends on the target."""
        return any(example.language for example in self.all)

    def choose(
        self, values: Mapping[str, Any], target: Target | None, key: str | None
    ) -> tuple[Example, ...]:
        """Choose the examples for one product, best first; ties keep the file's order.

        Left out are examples in another language than the target's, of the product's own key, or
        with exactly its inputs.
        """
        return tuple(self.all[position] for position in self.positions(values, target, key))

    def positions(
        self, values: Mapping[str, Any], target: Target | None, key: str | None
    ) -> tuple[int, ...]:
        """Choose as `choose` does; give places in `all`."""
        language = target.language if target is not None else None
        order = self._nearest(values) if self.by == "similarity" else range(len(self.all))
        chosen: list[int] = []
        for position in order:
            one = self.all[position]
            if one.language and language and one.language != language:
                continue
            if (one.key is not None and one.key == key) or self._same(one.input, values):
                continue
            chosen.append(position)
            if len(chosen) == self.top:
                break
        return tuple(chosen)

    def _same(self, given: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
        alike = False
        for name in self.inputs:
            one, two = given.get(name), values.get(name)
            if one != two and write_value(one) != write_value(two):
                return False
            alike = alike or one is not None
        return alike

    def _nearest(self, values: Mapping[str, Any]) -> Sequence[int]:
        everything = range(len(self.all))
        grams = character_grams(searchable(values, self.inputs))
        if not grams or len(self.all) < 2:
            return everything
        index = self._index
        if index.bm25 is None:
            index.build([searchable(one.input, self.inputs) for one in self.all])
        return index.ranked(grams)
