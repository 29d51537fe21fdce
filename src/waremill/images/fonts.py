"""The fonts on this machine, and which of them a piece of text is set in.

Fonts are looked for in given folders first, then where systems keep them. For every script there is
a list of families in order of preference, then any font that has the letters. No letter is ever
drawn as an empty box: if no font has it, that is an error which says what to install.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import uharfbuzz

from waremill.errors import ConfigError, SourceError
from waremill.images.scripts import COMMON, SCRIPT_NAMES

SYSTEM_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
_LATIN = (
    "Noto Sans", "Inter", "Source Sans 3", "Open Sans", "Roboto", "Helvetica Neue", "Segoe UI",
    "Arial", "Liberation Sans", "DejaVu Sans",
)  # fmt: skip
_CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC",
    "Microsoft YaHei", "Hiragino Sans GB", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei",
)  # fmt: skip
_TAIWANESE = (
    "Noto Sans CJK TC", "Noto Sans TC", "Source Han Sans TC", "PingFang TC", "Microsoft JhengHei",
)  # fmt: skip
_HONG_KONG = ("Noto Sans CJK HK", "Noto Sans HK", "PingFang HK", *_TAIWANESE)
_JAPANESE = (
    "Noto Sans CJK JP", "Noto Sans JP", "Source Han Sans", "Hiragino Sans", "Yu Gothic", "Meiryo",
    "IPAexGothic",
)  # fmt: skip
_KOREAN = ("Noto Sans CJK KR", "Noto Sans KR", "Apple SD Gothic Neo", "Malgun Gothic")
_FAMILIES = {
    "Arab": ("Noto Sans Arabic", "Geeza Pro", "Segoe UI", "Noto Kufi Arabic", "Noto Naskh Arabic",
             "Tahoma", "Amiri"),
    "Hebr": ("Noto Sans Hebrew", "Arial Hebrew", "Segoe UI", "Arial"),
    "Thai": ("Noto Sans Thai", "Thonburi", "Leelawadee UI", "Tahoma"),
    "Deva": ("Noto Sans Devanagari", "Kohinoor Devanagari", "Nirmala UI", "Mangal",
             "Lohit Devanagari"),
    "Hira": _JAPANESE, "Kana": _JAPANESE, "Hang": _KOREAN, "Bopo": _TAIWANESE,
}  # fmt: skip
_PACKAGES = {
    "Hani": "fonts-noto-cjk", "Hira": "fonts-noto-cjk", "Kana": "fonts-noto-cjk",
    "Hang": "fonts-noto-cjk", "Bopo": "fonts-noto-cjk",
}  # fmt: skip
_IGNORABLE = frozenset(
    "\u00ad\u034f\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\ufe0e\ufe0f"
) | {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Characters that are not drawn, so no font need have them."""


@dataclass(frozen=True, slots=True)
class Font:
    """One face of a font file: its family, its weight from 100 to 900, and whether it is slanted.

    `variable` is true where the weight can be set freely.
    """

    path: Path
    index: int
    family: str
    weight: int
    slanted: bool
    variable: bool

    @property
    def face(self) -> Any:
        """HarfBuzz's face, kept while it is among those used last."""
        return _face(self.path, self.index)

    def has(self, text: str) -> bool:
        """Say whether the font has a glyph for every character of a text that is drawn."""
        return all(_has(self.path, self.index, c) for c in text if c not in _IGNORABLE)


@dataclass(frozen=True, slots=True)
class Style:
    """What letters should look like.

    `weight` is from 100 to 900, `language` a BCP 47 tag, `family` a font to try first, by its
    family or its file's name.
    """

    weight: int = 700
    language: str = ""
    family: str = ""


class Fonts:
    """The fonts of some folders and of the system, asked for by script and by letter."""

    def __init__(self, folders: Sequence[Path], system: Sequence[Path] = SYSTEM_FOLDERS) -> None:
        self._own = _listed(tuple(folders), _changed(folders))
        self._system = _listed(tuple(system), _changed(system))

    def choose(self, cluster: str, script: str, style: Style, main: Font | None = None) -> Font:
        """Give the font for a cluster of a script.

        `main` is the text's main font, in which Latin letters, digits and marks are set where it
        has them: inside Chinese they look best in the Chinese font itself. Raises SourceError that
        names the script and what to install where no font has the cluster.
        """
        if style.family:
            for font in self._named(style.family, style.weight):
                if font.has(cluster):
                    return font
        if main is not None and script in ("Latn", COMMON) and main.has(cluster):
            return main
        for font in self._candidates(script, style):
            if font.has(cluster):
                return font
        raise SourceError(_missing(cluster, script))

    def _named(self, family: str, weight: int) -> list[Font]:
        """Give the faces of a family, or of a file, nearest weight first."""
        wanted = family.casefold()
        found = [
            font
            for font in (*self._own, *self._system)
            if wanted in (font.family.casefold(), font.path.name.casefold())
        ]
        if not found:
            raise ConfigError(
                f"there is no font “{family}” here; put its file into the fonts folder, or leave "
                "font out"
            )
        return _nearest(found, weight)

    def _candidates(self, script: str, style: Style) -> Iterator[Font]:
        for group in (self._own, self._system):
            upright = [font for font in group if not font.slanted]
            for family in _families(script, style.language):
                yield from _nearest([f for f in upright if f.family == family], style.weight)
            if group is self._own:
                yield from _nearest(upright, style.weight)
        # Any font of the system: plain ones first, by name, so that every run takes the same.
        rest = [font for font in self._system if not font.slanted]
        rest.sort(key=lambda f: ("Serif" in f.family or "Mono" in f.family, f.family, str(f.path)))
        yield from _nearest(rest, style.weight)


def _families(script: str, language: str) -> tuple[str, ...]:
    """Give the families to try for a script, best first."""
    if script == "Hani":
        return _chinese(language.lower())
    own = _FAMILIES.get(script, ())
    if not own and script in SCRIPT_NAMES:
        own = (f"Noto Sans {SCRIPT_NAMES[script]}",)
    return (*own, *_LATIN)


def _chinese(language: str) -> tuple[str, ...]:
    """Give the families for Chinese characters, whose shapes differ by language."""
    if language.startswith("ja"):
        return (*_JAPANESE, *_CHINESE)
    if language.startswith("ko"):
        return (*_KOREAN, *_CHINESE)
    if "-hk" in language or "-mo" in language:
        return (*_HONG_KONG, *_CHINESE)
    if "hant" in language or "-tw" in language:
        return (*_TAIWANESE, *_CHINESE)
    return (*_CHINESE, *_JAPANESE)


def _missing(cluster: str, script: str) -> str:
    """Say which letter of which script is missing, and what to install."""
    if any(unicodedata.category(c) == "So" for c in cluster):
        return (
            f"no font here has the sign “{cluster}”; leave it out of the text, or put a font that "
            "has it in outlines, such as Noto Emoji, into the fonts folder"
        )
    if script not in SCRIPT_NAMES:
        return (
            f"no font here has the character “{cluster}” (U+{ord(cluster[0]):04X}); leave it out "
            "of the text, or put a font that has it into the fonts folder"
        )
    name = SCRIPT_NAMES[script]
    package = _PACKAGES.get(script, "fonts-noto-core")
    return (
        f"no font here has {name} (“{cluster}”); install one, on Debian with apt-get install "
        f"{package}, or put a font file into the fonts folder"
    )


def _nearest(fonts: Sequence[Font], weight: int) -> list[Font]:
    """Order fonts by how near their weight is, keeping their order otherwise."""
    return sorted(fonts, key=lambda f: 0 if f.variable else abs(f.weight - weight))


def _changed(folders: Sequence[Path]) -> float:
    """Give when a font was last added to some folders, or taken away."""
    times = [0.0]
    for folder in folders:
        if folder.is_dir():
            times += [place.stat().st_mtime for place in (folder, *folder.glob("**/"))]
    return max(times)


@lru_cache(maxsize=16)
def _listed(folders: tuple[Path, ...], changed: float) -> tuple[Font, ...]:
    """List the faces of every font file under some folders, in order of path.

    Kept until a folder changes. Files that are no fonts are passed over.
    """
    found: list[Font] = []
    for folder in folders:
        if folder.is_dir():
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() in _SUFFIXES:
                    found += _faces(path)
    return tuple(found)


def _faces(path: Path) -> Iterator[Font]:
    """Give the faces of a font file with outlines; none for a file that cannot be read as one."""
    try:
        blob = uharfbuzz.Blob.from_file_path(str(path))
    except (OSError, uharfbuzz.HarfBuzzError):
        return
    first = uharfbuzz.Face(blob, 0)
    for index in range(first.count):
        face = first if index == 0 else uharfbuzz.Face(blob, index)
        tags = set(face.table_tags)
        metrics = face.reference_table("OS/2").data if "OS/2" in tags else b""
        if not tags & {"glyf", "CFF ", "CFF2"} or face.has_color_png:
            continue
        weight = int.from_bytes(metrics[4:6], "big") if len(metrics) >= 64 else 400
        slanted = len(metrics) >= 64 and bool(metrics[63] & 1)
        variable = any(axis.tag == "wght" for axis in face.axis_infos)
        family = face.get_name(16) or face.get_name(1) or path.stem
        yield Font(path, index, family, weight or 400, slanted, variable)


@lru_cache(maxsize=32)
def _face(path: Path, index: int) -> Any:
    return uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path)), index)


@lru_cache(maxsize=32)
def _sized(path: Path, index: int) -> Any:
    return uharfbuzz.Font(_face(path, index))


@lru_cache(maxsize=65536)
def _has(path: Path, index: int, character: str) -> bool:
    return bool(_sized(path, index).get_nominal_glyph(ord(character)))
