"""Puts an XMP packet into a finished JPEG, PNG, WebP or AVIF file without touching its pixels.

A packet that is there already is replaced. Must not know what a packet says (`provenance` does).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from waremill.errors import SourceError
from waremill.images.avif_boxes import with_xmp_item

_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_JPEG_MOST = 65_533 - len(_JPEG_XMP)
_PNG_KEYWORD = b"XML:com.adobe.xmp"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ALPHA, _XMP = 0x10, 0x04


def write_xmp(content: bytes, media_type: str, packet: bytes) -> bytes:
    """Give the file with the XMP packet in it, in the place each format has for it.

    JPEG: an APP1 segment (XMP Specification Part 3, 1.1.3), behind JFIF and EXIF. PNG: an `iTXt`
    chunk before the pixels (1.1.5). WebP: an `XMP ` chunk and its flag (RFC 9649, 2.7.1.5). AVIF:
    an item of the type `application/rdf+xml` (ISO/IEC 23008-12, 9.3.2). Raises SourceError for
    another format, a file whose structure is broken, and a packet too long for a JPEG.
    """
    writers = {
        "image/jpeg": _jpeg,
        "image/png": _png,
        "image/webp": _webp,
        "image/avif": with_xmp_item,
    }
    if media_type not in writers:
        raise SourceError("notes can be written into JPEG, PNG, WebP and AVIF pictures only")
    try:
        return writers[media_type](content, packet)
    except (ValueError, IndexError, struct.error) as error:
        raise SourceError(
            "the picture's file is built in a way that notes cannot be written into; "
            "save it anew first"
        ) from error


def _jpeg(content: bytes, packet: bytes) -> bytes:
    if len(packet) > _JPEG_MOST:
        raise SourceError(
            f"the notes take {len(packet):,} bytes and a JPEG holds {_JPEG_MOST:,}; use PNG or WebP"
        )
    if content[:2] != b"\xff\xd8":
        raise ValueError("no JPEG")
    segment = _JPEG_XMP + packet
    new = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    first = [b"\xff\xd8"]
    others: list[bytes] = []
    place = 2
    while True:
        marker, body, place, raw = _jpeg_segment(content, place)
        if marker == 0xDA:  # the pixels begin: nothing from here on is a segment of notes
            return b"".join((*first, new, *others, raw, content[place:]))
        if marker == 0xE1 and body.startswith((_JPEG_XMP, _JPEG_EXTENSION)):
            continue
        early = not others and (marker == 0xE0 or (marker == 0xE1 and body.startswith(b"Exif\0")))
        (first if early else others).append(raw)


def _jpeg_segment(content: bytes, place: int) -> tuple[int, bytes, int, bytes]:
    """Read a segment: its marker, its body, where the next one starts, and all its bytes."""
    if content[place] != 0xFF:
        raise ValueError("no marker")
    start = place
    while content[place + 1] == 0xFF:  # fill bytes may stand before any marker
        place += 1
    marker = content[place + 1]
    if marker in (0xD8, 0xD9) or 0xD0 <= marker <= 0xD7 or marker in (0x00, 0x01):
        raise ValueError("a marker without a segment before the pixels")
    (length,) = struct.unpack_from(">H", content, place + 2)
    end = place + 2 + length
    if length < 2 or end > len(content):
        raise ValueError("a segment longer than the file")
    return marker, content[place + 4 : end], end, content[start:end]


def _png(content: bytes, packet: bytes) -> bytes:
    if not content.startswith(_PNG_SIGNATURE):
        raise ValueError("no PNG")
    body = b"iTXt" + _PNG_KEYWORD + b"\0\0\0\0\0" + packet
    new = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    parts = [_PNG_SIGNATURE]
    place = len(_PNG_SIGNATURE)
    while place < len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content):
            raise ValueError("a chunk longer than the file")
        keyword = content[place + 8 : place + 8 + len(_PNG_KEYWORD) + 1]
        if kind != b"iTXt" or keyword != _PNG_KEYWORD + b"\0":
            parts.append(content[place:end])
        if kind == b"IHDR":
            parts.append(new)
        place = end
        if kind == b"IEND":
            return b"".join(parts) + content[end:]
    raise ValueError("no end")


def _webp(content: bytes, packet: bytes) -> bytes:
    chunks = [(kind, data) for kind, data in _webp_chunks(content) if kind != b"XMP "]
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != b"VP8X":
        chunks.insert(0, (b"VP8X", _webp_canvas(*chunks[0])))
    kind, canvas = chunks[0]
    chunks[0] = (kind, bytes((canvas[0] | _XMP,)) + canvas[1:])
    chunks.append((b"XMP ", packet))
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise ValueError("no WebP")
    end = min(len(content), 8 + struct.unpack_from("<I", content, 4)[0])
    place = 12
    while place + 8 <= end:
        kind, length = struct.unpack_from("<4sI", content, place)
        if place + 8 + length > len(content):
            raise ValueError("a chunk longer than the file")
        yield kind, content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _webp_canvas(kind: bytes, data: bytes) -> bytes:
    """Make the extended header of a simple file from its only chunk (RFC 9649, 2.5 and 2.6)."""
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 6))
        flags = 0
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 1)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        flags = _ALPHA if bits >> 28 & 1 else 0
    else:
        raise ValueError("no pixels first")
    return struct.pack("<I", flags) + b"".join(
        (side - 1).to_bytes(3, "little") for side in (width, height)
    )
