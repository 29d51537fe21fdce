"""Where a picture comes from, written into its file: the label that AI made or edited it.

Two labels stand side by side in one XMP packet, for both are asked for:

- the IPTC digital source type, `Iptc4xmpExt:DigitalSourceType`, which search engines and shops
  read (https://cv.iptc.org/newscodes/digitalsourcetype/), with the model's name in
  `AISystemUsed` (IPTC Photo Metadata Standard 2025.1);
- China's implicit label, `TC260:AIGC`: the JSON text that GB 45438-2025, appendix E, names, under
  the namespace of the practice guide TC260-PG-20258A. Since 1 September 2025 providers must write
  it and nobody may remove it, so whatever writes a file anew carries it over.

What neither has a place for (the run, the time) stands in a namespace of our own. Must not know
how XMP is written (`xmp` does), nor the files around it (`embedding` does).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from waremill.images import xmp
from waremill.images.embedding import write_xmp
from waremill.images.picture import Picture
from waremill.images.reading import Photo, identify, metadata_of

Kind = Literal["made", "edited", "enhanced"]

SOURCE_TYPES: dict[Kind, str] = {
    "made": "trainedAlgorithmicMedia",
    "edited": "compositeWithTrainedAlgorithmicMedia",
    "enhanced": "algorithmicallyEnhanced",
}
"""IPTC's words: made by a trained model; a photograph with parts that a trained model made;
corrected by an algorithm without new content."""

_SCHEME = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Provenance:
    """How AI took part in a picture; what is unknown stays empty.

    `producer` is who offers the service that made it: a name, or the code GB 45438 asks of Chinese
    providers; `content_id` is the number under which they know it; `made_at` is ISO 8601;
    `propagator` and `propagate_id` are the same two of who spreads it. Texts are cut after 1,000
    characters.
    """

    kind: Kind
    model: str = ""
    producer: str = ""
    content_id: str = ""
    made_at: str = ""
    run: str = ""
    propagator: str = ""
    propagate_id: str = ""


def label(content: bytes, provenance: Provenance, *, name: str = "") -> bytes:
    """Give the picture's file with its provenance written in, pixels and other notes untouched.

    Reads and writes JPEG, PNG, WebP and AVIF; an earlier label is replaced. `name` is for error
    messages. Raises SourceError for another format and for what is no picture.
    """
    facts = identify(content, name=name)
    _, before = metadata_of(content, name=name)
    return write_xmp(content, facts.media_type, packet(provenance, before))


def read_provenance(content: bytes, *, name: str = "") -> Provenance | None:
    """Read the provenance from a picture's file; None where it has no label that AI took part.

    Labels of other makers are understood too, as far as they say. Raises SourceError for what is
    no picture.
    """
    _, found = metadata_of(content, name=name)
    return provenance_in(found) if found else None


def carried(pictures: Iterable[Picture]) -> Provenance | None:
    """Give the provenance of what is made of pictures: of the first that has one, as edited.

    A picture that was made of nothing but one such picture is made by the model still.
    """
    read = list(pictures)
    for picture in read:
        xmp = picture.xmp if isinstance(picture, Photo) else None
        found = provenance_in(xmp) if xmp else None
        if found is not None:
            return found if len(read) == 1 else replace(found, kind="edited")
    return None


def packet(provenance: Provenance, before: bytes | None = None) -> bytes:
    """Write the XMP packet: the label, and all that an earlier packet said of other things.

    The same input gives the same bytes. An earlier packet that cannot be read is left out.
    """
    every = _properties(Provenance("made", *["x"] * 7))
    return xmp.write(_properties(provenance), before, drop=every)


def provenance_in(packet: bytes) -> Provenance | None:
    """Read the provenance from an XMP packet; None where it says nothing of AI, or is broken."""
    values = xmp.read(packet)

    def value(name: str) -> str:
        return values.get(xmp.full(name), "")

    source = value("Iptc4xmpExt:DigitalSourceType").rpartition("/")[2]
    aigc = _json_object(value("TC260:AIGC"))
    kind: Kind | None = next((k for k, word in SOURCE_TYPES.items() if word == source), None)
    # 1 is AI's for certain, 2 perhaps, 3 by appearance (GB 45438-2025, appendix E).
    if kind is None and str(aigc.get("Label", "")) in ("1", "2", "3"):
        kind = "made"
    if kind is None:
        return None
    return Provenance(
        kind,
        value("Iptc4xmpExt:AISystemUsed"),
        _text(aigc.get("ContentProducer")) or value("waremill:Producer"),
        _text(aigc.get("ProduceID")) or value("Iptc4xmpExt:DigImageGUID"),
        value("waremill:MadeAt"),
        value("waremill:Run"),
        _text(aigc.get("ContentPropagator")),
        _text(aigc.get("PropagateID")),
    )


def aigc_value(provenance: Provenance) -> str:
    """Write the implicit label's JSON text: the seven names of GB 45438-2025, appendix E.

    `Label` is 1: the content is made by AI. The reserved codes are for a provider's own seals.
    """
    fields = {
        "Label": "1",
        "ContentProducer": provenance.producer,
        "ProduceID": provenance.content_id,
        "ReservedCode1": "",
        "ContentPropagator": provenance.propagator,
        "PropagateID": provenance.propagate_id,
        "ReservedCode2": "",
    }
    cut = {name: text[:_LONGEST] for name, text in fields.items()}
    return json.dumps(cut, ensure_ascii=False, separators=(",", ":"))


def _properties(provenance: Provenance) -> dict[str, str]:
    """Give the label's properties by their usual names; empty ones are left out."""
    found = {
        "Iptc4xmpExt:DigitalSourceType": _SCHEME + SOURCE_TYPES[provenance.kind],
        "Iptc4xmpExt:AISystemUsed": provenance.model,
        "Iptc4xmpExt:DigImageGUID": provenance.content_id,
        "waremill:Producer": provenance.producer,
        "waremill:MadeAt": provenance.made_at,
        "waremill:Run": provenance.run,
    }
    found = {name: text[:_LONGEST] for name, text in found.items() if text}
    if provenance.kind != "enhanced":
        found["TC260:AIGC"] = aigc_value(provenance)
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
