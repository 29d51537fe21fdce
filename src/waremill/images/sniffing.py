"""What a file is that is no picture we read, told from its first bytes, in words for its owner.

Knows nothing of decoding; it only lets a refusal say more than “not a picture”.
"""

from __future__ import annotations

READ = "JPEG, PNG, WebP, AVIF, GIF, TIFF or BMP"

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document; export its page as JPEG or PNG"),
    (b"SIMPLE  =", "a FITS file of astronomy; export it as PNG or TIFF"),
    (b"8BPS", "a Photoshop document; export it as PNG or JPEG"),
    (b"%!PS", "a PostScript file; export it as PNG or JPEG"),
    (b"\xff\x0a", "a JPEG XL picture; save it as JPEG, PNG, WebP or AVIF"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture; save it as JPEG, PNG, WebP or AVIF"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture; save it as JPEG or PNG"),
    (b"\0\0\1\0", "an icon; save it as PNG"),
    (b"PK\3\4", "an archive or an Office file; take the pictures out of it"),
    (b"\x1f\x8b", "a compressed file; unpack it first"),
    (b"\x1aE\xdf\xa3", "a video; give a still picture"),
)
_BRANDS = {
    b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF",
    b"heim": "HEIC", b"heis": "HEIC",
}  # fmt: skip
_OURS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"BM")
_RAW = ((b"II*\0", 8, b"CR"), (b"IIRO", 0, b""), (b"IIU\0", 0, b""), (b"FUJIFILMCCD-RAW", 0, b""))


def refusal(content: bytes) -> str:
    """Say in one sentence why these bytes are no picture that can be read."""
    if not content:
        return "the file is empty; send the picture again"
    for start, what in _STARTS:
        if content.startswith(start):
            return f"this is {what}"
    if content[4:8] == b"ftyp":
        if kind := _BRANDS.get(content[8:12]):
            return f"this is a {kind} picture of a phone; save it as JPEG, PNG, WebP or AVIF"
        if content[8:12] not in (b"avif", b"avis"):
            return "this is a video; give a still picture"
    if content.startswith(b"RIFF") and content[8:12] in (b"AVI ", b"WAVE"):
        return "this is a video or a sound; give a still picture"
    if is_raw(content):
        return "this is a camera's raw file; develop it and save it as JPEG or PNG"
    if is_ours(content):
        return "the picture is cut off or damaged; send the whole file again"
    text = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in text:
        return "this is an SVG drawing; export it as PNG in the size that is needed"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "this is a web page, not a picture; the link leads to a page around it"
    if text.startswith((b"<?xml", b"{", b"[")):
        return "this is a text, not a picture; perhaps an error message was saved instead"
    return f"this is no picture that can be read; use {READ}"


def is_ours(content: bytes) -> bool:
    """Say whether bytes start like one of the formats that are read, whatever comes then."""
    boxed = content[4:8] == b"ftyp" and content[8:12] in (b"avif", b"avis")
    riff = content.startswith(b"RIFF") and content[8:12] == b"WEBP"
    return boxed or riff or content.startswith(_OURS)


def is_raw(content: bytes) -> bool:
    """Say whether bytes start like a camera's raw file that is not plainly TIFF."""
    return any(
        content.startswith(start) and content[place : place + len(mark)] == mark
        for start, place, mark in _RAW
    )
