"""What is found for a question in the shop's knowledge and its catalogue, and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from waremill.app.product_index import product_text
from waremill.chat.turns import Given, Source
from waremill.checks.sentences import content_words
from waremill.domain import Passage, Product, Search
from waremill.errors import ConfigError, Conflict

if TYPE_CHECKING:
    from waremill.app.chatting.tooling import Talk
    from waremill.app.workspace import Workspace

PASSAGES = 4
PRODUCTS = 2
LONGEST_PRODUCT = 1_200
"""Characters of a product's attributes that a model is given."""
FEW = 2_000
"""Products of a catalogue that may be embedded for a first question without being asked to."""
FOLLOWS = 2
"""Content words up to which a question is taken to go on from the one before."""
SHARED = 2
"""Words a product must share with a question to be given for it."""


async def best_of(
    workspace: Workspace, bases: Sequence[str], queries: Sequence[str], top: int
) -> list[tuple[str, Passage]]:
    """Give the best passages of several bases for several queries, each with its base.

    Scores of different searches say nothing of each other, so they are taken by turns.
    """
    ranked = [
        [(base, one) for one in await workspace.search(Search(base, query, top))]
        for query in queries
        for base in bases
        if query.strip()
    ]
    found: dict[tuple[str, str], tuple[str, Passage]] = {}
    for place in range(top):
        for one in ranked:
            if place < len(one):
                base, passage = one[place]
                found.setdefault((base, passage.id), (base, passage))
    return list(found.values())[:top]


async def find_for(
    workspace: Workspace, talk: Talk, questions: tuple[str, ...], given: Given
) -> None:
    """Find passages, and products that share words with the question, and number them.

    `questions` begins with the one to answer; one before it says what that is about.
    """
    queries = questions[:1]
    if len(questions) > 1 and len(content_words(questions[0])) <= FOLLOWS:
        queries = (f"{questions[1]} {questions[0]}", questions[0])
    told: set[str] = set()
    for base, one in await best_of(workspace, talk.bases, queries, PASSAGES):
        given.add("passage", base, one.id, one.document, one.place, one.text)
        told.update(content_words(f"{one.place} {one.text}"))
    for catalog, product in await _products(workspace, talk, questions[0], told):
        product_source(given, catalog, product)


def product_source(given: Given, catalog: str, product: Product) -> Source:
    """Number a product, given by its attributes."""
    attributes = product.attributes
    name = next((str(attributes[n]) for n in ("name", "title") if attributes.get(n)), "")
    place = f"{product.key} · {name}" if name else product.key
    lines = [f"key: {product.key}"]
    for column, value in attributes.items():
        if value not in (None, "", []):
            lines.append(f"{column}: {value}")
    text = "\n".join(lines)
    if len(text) > LONGEST_PRODUCT:
        text = f"{text[:LONGEST_PRODUCT]}…"
    mark = f"{product.key}:{product.version}"
    return given.add("product", catalog, mark, product.key, place, text)


async def _products(
    workspace: Workspace, talk: Talk, question: str, told: set[str]
) -> list[tuple[str, Product]]:
    """Give the products a question is about beyond what the passages tell."""
    if talk.catalog is None or not question.strip():
        return []
    catalog = await workspace.find_catalog(talk.catalog)
    _, _, total = await workspace.products(None, limit=1, catalog=catalog.name)
    index = workspace.settings.root / ".waremill" / "products" / str(catalog.id)
    if total == 0 or (total > FEW and not index.is_dir()):
        return []
    try:
        _, found, _ = await workspace.products(
            None, limit=PRODUCTS, catalog=catalog.name, search=question[:1_000]
        )
    except (Conflict, ConfigError):  # it is being made ready, or the extra is not installed
        return []
    asked = set(content_words(question))
    return [(catalog.name, one) for one in found if _is_meant(one, question, (asked, told))]


def _is_meant(product: Product, question: str, words: tuple[set[str], set[str]]) -> bool:
    """Say whether a question seems to be about a product: by its key, or by words they share.

    One of these must be a word that no passage has: else the passages are what is asked about.
    """
    asked, told = words
    shared = asked & set(content_words(product_text(product.attributes)))
    return product.key in question or (len(shared) >= SHARED and bool(shared - told))


__all__ = ["best_of", "find_for", "product_source"]
