"""What a run made of shoppers' questions, put together: entries by category, and open questions.

Answers that say the same for several products of a category become one entry with the products it
holds for. Questions that stayed open are one list, so that somebody can write what is missing.
Everything is by target, decided by the texts and their order alone, and read only: results stay
what they are. Memory does not grow with the run; no text is compared with all others.
"""

from __future__ import annotations

from waremill.app.faqs.gathering import Faq, gather
from waremill.app.faqs.merging import Entry, Open

__all__ = ["Entry", "Faq", "Open", "gather"]
