"""XMP packets: simple properties read from them, put into them and taken out of them.

Packets come from strangers, so one that is broken or defines entities counts as none. Must not
know which properties matter (`provenance` does), nor the files around a packet (`embedding` does).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from xml.etree import ElementTree

_NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
    "waremill": "urn:waremill:provenance:1.0:",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
}
for _prefix, _uri in _NAMESPACES.items():
    # Simple readers look for the prefixes as they are usually written.
    ElementTree.register_namespace(_prefix, _uri)

_HEAD = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_TAIL = b'<?xpacket end="w"?>'
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def full(name: str) -> str:
    """Give the full name of a property written with its usual prefix, such as `dc:creator`."""
    prefix, _, local = name.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"


_RDF, _DESCRIPTION, _ABOUT = full("rdf:RDF"), full("rdf:Description"), full("rdf:about")
_LIST_ITEM, _RESOURCE = full("rdf:li"), full("rdf:resource")


def read(packet: bytes) -> dict[str, str]:
    """Give a packet's simple properties by `full` name, of lists the first entry; {} if broken."""
    root = _parsed(packet)
    found: dict[str, str] = {}
    for one in [] if root is None else root.iter(_DESCRIPTION):
        found |= one.attrib
        for child in one:
            if isinstance(child.tag, str):
                nested = child.find(f".//{_LIST_ITEM}")
                text = child.text if nested is None else nested.text
                found[child.tag] = (text or child.get(_RESOURCE) or "").strip()
    return found


def write(
    properties: Mapping[str, str], before: bytes | None = None, drop: Collection[str] = ()
) -> bytes:
    """Write a packet with properties, by their usual names, and what an earlier one said besides.

    Properties named in `drop` are taken out of the earlier packet. The same input gives the same
    bytes; characters that XML cannot hold are left out.
    """
    root = _parsed(before) if before else None
    holder = root if root is not None and root.tag == _RDF else None
    if root is not None and holder is None:
        holder = root.find(_RDF)
    if root is None or holder is None:
        root = ElementTree.Element(full("x:xmpmeta"))
        holder = ElementTree.SubElement(root, _RDF)
    _forget(holder, {full(name) for name in (*drop, *properties)})
    if properties:
        one = ElementTree.SubElement(holder, _DESCRIPTION, {_ABOUT: ""})
        for name, value in properties.items():
            ElementTree.SubElement(one, full(name)).text = _UNWRITABLE.sub("", value)
    return _HEAD + ElementTree.tostring(root, encoding="unicode").encode() + _TAIL


def _parsed(packet: bytes) -> ElementTree.Element | None:
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return None
    try:
        return ElementTree.fromstring(packet.strip(b"\0 \t\r\n"))
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError):
        return None


def _forget(holder: ElementTree.Element, names: set[str]) -> None:
    """Take properties out of all descriptions, and descriptions that then say nothing."""
    for one in list(holder.iter(_DESCRIPTION)):
        for name in names & one.attrib.keys():
            del one.attrib[name]
        for child in [child for child in one if child.tag in names]:
            one.remove(child)
    for one in list(holder):
        if len(one) == 0 and not one.attrib.keys() - {_ABOUT}:
            holder.remove(one)
