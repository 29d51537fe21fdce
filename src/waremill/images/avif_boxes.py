"""The boxes of an AVIF file, as far as an XMP packet needs them (ISO/IEC 14496-12 and 23008-12).

The packet becomes an item: announced in `iinf`, placed by `iloc`, tied to the picture by `iref`.
All places in the file move by what the `meta` box grows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_XMP_TYPE = b"application/rdf+xml\0"
_HEAD, _TAIL = b"<?xpacket", b"?>"
_FULL = 12
"""Bytes before the children of a full box: length, kind, version and flags."""


@dataclass(slots=True)
class _Place:
    """Where an item's bytes are: its extents as (index, offset, length), from `base` on."""

    item: int
    method: int
    reference: int
    base: int
    extents: list[tuple[int, int, int]]


def with_xmp_item(content: bytes, packet: bytes) -> bytes:
    """Give an AVIF file with the packet as its XMP item.

    Raises ValueError or struct.error for a file that is built otherwise than still pictures are.
    """
    top = _boxes(content, 0, len(content))
    kinds = [kind for kind, _, _ in top]
    if kinds.count(b"meta") != 1 or b"ftyp" not in kinds:
        raise ValueError("not one still picture")
    _, start, end = top[kinds.index(b"meta")]
    rest = _behind_own_box(content, top, end)
    children = {kind: content[a:b] for kind, a, b in _boxes(content, start + _FULL, end)}
    order = list(children)
    primary = _primary(children[b"pitm"])
    places, sizes, version = _read_places(children[b"iloc"])
    xmp_items, highest = _items(children[b"iinf"])
    new = xmp_items[0] if xmp_items else highest + 1
    if new > 0xFFFF:
        raise ValueError("more items than short numbers")
    content = _blanked(content, [place for place in places if place.item == new])
    places = [place for place in places if place.item != new]
    places.append(_Place(new, 0, 0, 0, [(0, 0, len(packet))]))
    if not xmp_items:
        children[b"iinf"] = _with_item(children[b"iinf"], new)
        children[b"iref"] = _with_reference(children.get(b"iref"), new, primary)
        order += [b"iref"] if b"iref" not in order else []
    children[b"iloc"] = _write_places(places, sizes, version)
    grown = sum(map(len, children.values())) - (end - start - _FULL)
    box = _box(b"mdat", packet)
    for place in places[:-1]:
        _move(place, rest, end + grown + len(box) - rest, sizes)
    places[-1].extents = [(0, end + grown + 8, len(packet))]
    children[b"iloc"] = _write_places(places, sizes, version)
    meta = content[start + 8 : start + _FULL] + b"".join(children[kind] for kind in order)
    # Before the pixels: readers that stop early find it, and some want the pixels to come last.
    return b"".join((content[:start], _box(b"meta", meta), box, content[rest:]))


def _behind_own_box(content: bytes, top: list[tuple[bytes, int, int]], end: int) -> int:
    """Give where the file goes on behind `meta` and an earlier packet in a box of its own."""
    for kind, a, b in top:
        body = content[a + 8 : b]
        if a == end and kind == b"mdat" and body.startswith(_HEAD) and body.endswith(_TAIL):
            return b
    return end


def _blanked(content: bytes, places: list[_Place]) -> bytes:
    """Give the file with what an item said overwritten; its bytes may lie among others."""
    changed = bytearray(content)
    for place in places:
        for _, offset, length in place.extents if place.method == 0 else ():
            start = place.base + offset
            if content[start : start + len(_HEAD)] == _HEAD and start + length <= len(content):
                changed[start : start + length] = b" " * length
    return bytes(changed)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _boxes(content: bytes, place: int, end: int) -> list[tuple[bytes, int, int]]:
    """List the boxes between two places: kind, start, end."""
    found = []
    while place < end:
        length, kind = struct.unpack_from(">I4s", content, place)
        if length == 0:
            length = end - place
        # A length of 1 announces a 64-bit one, which no still picture needs.
        if length < 8 or place + length > end:
            raise ValueError("a box longer than what holds it")
        found.append((kind, place, place + length))
        place += length
    return found


def _primary(box: bytes) -> int:
    return int(struct.unpack_from(">I" if box[8] else ">H", box, _FULL)[0])


def _items(box: bytes) -> tuple[list[int], int]:
    """Give the numbers of XMP items, and the highest number of any item."""
    start = _FULL + (4 if box[8] else 2)
    xmp, highest = [], 0
    for kind, a, b in _boxes(box, start, len(box)):
        version = box[a + 8]
        if kind != b"infe" or version not in (2, 3):
            raise ValueError("an item that is described in another way")
        number = struct.unpack_from(">I" if version == 3 else ">H", box, a + _FULL)[0]
        highest = max(highest, number)
        if b"mime" in box[a + _FULL : b] and _XMP_TYPE in box[a + _FULL : b]:
            xmp.append(number)
    return xmp, highest


def _with_item(box: bytes, number: int) -> bytes:
    entry = _box(b"infe", struct.pack(">IHH4s", 2 << 24, number, 0, b"mime") + b"XMP\0" + _XMP_TYPE)
    wide = box[8] != 0
    count = struct.unpack_from(">I" if wide else ">H", box, _FULL)[0] + 1
    start = _FULL + (4 if wide else 2)
    counted = struct.pack(">I" if wide else ">H", count)
    return _box(b"iinf", box[8:_FULL] + counted + box[start:] + entry)


def _with_reference(box: bytes | None, number: int, primary: int) -> bytes:
    """Say that an item describes (`cdsc`) the picture."""
    head, rest = (box[8:_FULL], box[_FULL:]) if box else (bytes(4), b"")
    pattern = ">IHI" if head[0] else ">HHH"
    return _box(b"iref", head + rest + _box(b"cdsc", struct.pack(pattern, number, 1, primary)))


def _read_places(box: bytes) -> tuple[list[_Place], tuple[int, int, int, int], int]:
    """Read `iloc`: the places, the byte sizes of offset, length, base and index, the version."""
    version, first, second = box[8], box[_FULL], box[_FULL + 1]
    if version > 2:
        raise ValueError("places that are written in another way")
    index = second & 15 if version else 0
    sizes = (first >> 4, first & 15, second >> 4, index)
    if sizes[0] < 4 or sizes[1] < 4:
        raise ValueError("places too narrow for another one")
    place = _FULL + 2

    def take(size: int) -> int:
        nonlocal place
        if place + size > len(box):
            raise ValueError("places cut off")
        value = int.from_bytes(box[place : place + size], "big")
        place += size
        return value

    found = []
    for _ in range(take(4 if version == 2 else 2)):
        item = take(4 if version == 2 else 2)
        method = take(2) & 15 if version else 0
        reference, base = take(2), take(sizes[2])
        extents = [(take(index), take(sizes[0]), take(sizes[1])) for _ in range(take(2))]
        found.append(_Place(item, method, reference, base, extents))
    return found, sizes, version


def _write_places(places: list[_Place], sizes: tuple[int, int, int, int], version: int) -> bytes:
    number = 4 if version == 2 else 2
    body = [bytes((version, 0, 0, 0, sizes[0] << 4 | sizes[1], sizes[2] << 4 | sizes[3]))]
    body.append(len(places).to_bytes(number, "big"))
    for place in places:
        body.append(place.item.to_bytes(number, "big"))
        body += [place.method.to_bytes(2, "big")] if version else []
        body.append(place.reference.to_bytes(2, "big") + place.base.to_bytes(sizes[2], "big"))
        body.append(len(place.extents).to_bytes(2, "big"))
        for index, offset, length in place.extents:
            body.append(index.to_bytes(sizes[3], "big"))
            body.append(offset.to_bytes(sizes[0], "big") + length.to_bytes(sizes[1], "big"))
    return _box(b"iloc", b"".join(body))


def _move(place: _Place, from_place: int, by: int, sizes: tuple[int, int, int, int]) -> None:
    """Move an item whose bytes stand in the file behind `from_place`; others lie inside `meta`."""
    if place.method != 0:
        return
    behind = [place.base + offset >= from_place for _, offset, _ in place.extents]
    if any(behind) and not all(behind):
        raise ValueError("an item on both sides of its description")
    if not any(behind):
        return
    if sizes[2] and place.base:
        place.base += by
    else:
        place.extents = [(index, offset + by, length) for index, offset, length in place.extents]
