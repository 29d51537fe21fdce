"""Documents made for tests: Word files, presentations and PDFs of a few lines each."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_TYPES = """<?xml version="1.0"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels"
 ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml"
 ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>
</Types>"""
_RELATIONS = """<?xml version="1.0"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Target="word/document.xml"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>
</Relationships>"""
_STYLES = f"""<?xml version="1.0"?>
<w:styles xmlns:w="{_WORD}">
<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>
<w:style w:type="paragraph" w:styleId="Heading2"><w:name w:val="heading 2"/></w:style>
</w:styles>"""
_STYLE_RELATION = """<?xml version="1.0"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Target="styles.xml"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles"/>
</Relationships>"""


def word_paragraph(text: str, style: str = "") -> str:
    """One paragraph as Word writes it, perhaps of the style `Heading1`."""
    own = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{own}<w:r><w:t>{text}</w:t></w:r></w:p>"


def word_table(rows: Sequence[Sequence[str]]) -> str:
    """A table as Word writes it."""
    lines = (
        "<w:tr>" + "".join(f"<w:tc>{word_paragraph(cell)}</w:tc>" for cell in row) + "</w:tr>"
        for row in rows
    )
    return f"<w:tbl>{''.join(lines)}</w:tbl>"


def word_file(*parts: str) -> bytes:
    """A Word file of paragraphs and tables."""
    body = f'<?xml version="1.0"?><w:document xmlns:w="{_WORD}"><w:body>{"".join(parts)}'
    return zipped(
        {
            "[Content_Types].xml": _TYPES, "_rels/.rels": _RELATIONS,
            "word/document.xml": body + "</w:body></w:document>",
            "word/styles.xml": _STYLES, "word/_rels/document.xml.rels": _STYLE_RELATION,
        }
    )  # fmt: skip


def zipped(members: dict[str, str | bytes]) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def slides(*pages: tuple[str, Sequence[str]]) -> bytes:
    """A presentation: each page a title and lines."""
    from pptx import Presentation

    show = Presentation()
    for title, lines in pages:
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(lines)
    stream = io.BytesIO()
    show.save(stream)
    return stream.getvalue()


@dataclass(frozen=True)
class Put:
    """A line of text on a page: points from the lower left corner, type size, weight."""

    text: str
    x: float = 72
    y: float = 700
    size: float = 11
    bold: bool = False


def pdf_file(
    pages: Sequence[Sequence[Put]],
    *,
    rules: Sequence[tuple[float, float, float, float]] = (),
    password: str = "",
) -> bytes:
    """A PDF of pages of lines; `rules` are drawn on each page; it may need a password."""
    objects: list[bytes] = []

    def add(body: bytes) -> int:
        objects.append(body)
        return len(objects)

    fonts = [
        add(f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} >>".encode())
        for name in ("Helvetica", "Helvetica-Bold")
    ]
    names = f"<< /Font << /F1 {fonts[0]} 0 R /F2 {fonts[1]} 0 R >> >>"
    contents = [add(_stream(page, rules)) for page in pages]
    first = len(objects) + 1
    tree = first + len(contents)
    for content in contents:
        add(
            f"<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 595 842] /Resources {names}"
            f" /Contents {content} 0 R >>".encode()
        )
    kids = " ".join(f"{first + place} 0 R" for place in range(len(contents)))
    add(f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode())
    root = add(f"<< /Type /Catalog /Pages {tree} 0 R >>".encode())
    more = _locked(password, add) if password else ""
    return _written(objects, root, more)


def _stream(page: Sequence[Put], rules: Sequence[tuple[float, float, float, float]]) -> bytes:
    drawn = [f"{a} {b} m {c} {d} l S" for a, b, c, d in rules]
    for one in page:
        text = one.text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        font = "F2" if one.bold else "F1"
        drawn.append(f"BT /{font} {one.size} Tf {one.x} {one.y} Td ({text}) Tj ET")
    body = "\n".join(drawn).encode("latin-1")
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body)


def _written(objects: Sequence[bytes], root: int, more: str) -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    for place in places:
        out.write(f"{place:010} 00000 n \n".encode())
    trailer = f"<< /Size {len(objects) + 1} /Root {root} 0 R {more} >>"
    out.write(f"trailer\n{trailer}\nstartxref\n{table}\n%%EOF\n".encode())
    return out.getvalue()


_PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def _locked(password: str, add: object) -> str:
    """The standard security handler of 1994: RC4 with 40 bits (ISO 32000-1, 7.6.3)."""
    padded = (password.encode() + _PAD)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    number = bytes(16)
    key = hashlib.md5(padded + owner + (-4 & 0xFFFFFFFF).to_bytes(4, "little") + number).digest()
    user = _rc4(key[:5], _PAD)
    assert callable(add)
    place = add(
        f"<< /Filter /Standard /V 1 /R 2 /P -4 /O <{owner.hex()}> /U <{user.hex()}> >>".encode()
    )
    return f"/Encrypt {place} 0 R /ID [<{number.hex()}> <{number.hex()}>]"


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    out = bytearray()
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
