"""Which encoding a text file is in, and a stream of its decoded lines.

The whole file is looked at once, in binary and in flat memory, before the first line is given, so
that a late byte never changes the decision. It must not know what the lines mean.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 20
_SAMPLE = 1 << 18
# The most frequent characters of each script's running text and of product listings.
_SIMPLIFIED = (
    "的一是不了在有人我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可"
    "里后小么心多天而能好都然没日于起还发成事只作当想看文无开手用主行方又如前所本见经头面公同三已"
    "品牌名称价格商编号产规格颜色包装净含量毫升克装男女款新香水精华保湿护肤套适装件盒瓶"
)
_TRADITIONAL = (
    "的一是不了在有人我他這中大來上個國到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可"
    "裡後小麼心多天而能好都然沒日於起還發成事只作當想看文無開手用主行方又如前所本見經頭面公同三已"
    "品牌名稱價格商編號產規格顏色包裝淨含量毫升克裝男女款新香水精華保濕護膚漢語文字書寫"
)
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fc]")
_FULL_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fc\u3001-\u3011\uff01-\uff5e]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_CYRILLIC = re.compile("[а-яё]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")


@dataclass(frozen=True, slots=True)
class Encoding:
    """A decision: the codec for all lines; `fallback` decodes lines that break it, if any; `note`
    says what was guessed.
    """

    codec: str
    fallback: str | None = None
    note: str | None = None


def detect(path: Path) -> Encoding:
    """Decide how a text file is encoded; never fails, `latin` bytes end as Windows-1252."""
    with path.open("rb") as stream:
        head = stream.read(_SAMPLE)
    for mark, codec in _BOMS:
        if head.startswith(mark):
            if codec == "utf-8-sig":
                return _utf8_or_mixed(path, codec)
            return Encoding(codec)
    wide = utf16_without_mark(head)
    if wide is not None:
        return Encoding(wide, note=f"read as {wide.upper()} without a byte order mark")
    return _utf8_or_mixed(path, "utf-8")


def _utf8_or_mixed(path: Path, codec: str) -> Encoding:
    valid, invalid, bad = _survey(path)
    if not invalid:
        return Encoding(codec)
    legacy = guess_legacy(bad)
    if valid * 4 >= invalid:
        return Encoding(
            codec,
            legacy,
            f"{'1 line is' if invalid == 1 else f'{invalid} lines are'} not UTF-8 and read as "
            f"{_title(legacy)}: check them",
        )
    return Encoding(legacy, "cp1252", f"read as {_title(legacy)}")


def _title(codec: str) -> str:
    return {"cp1252": "Windows-1252", "cp1251": "Windows-1251", "cp932": "Shift-JIS"}.get(
        codec, codec.upper()
    )


def _survey(path: Path) -> tuple[int, int, bytes]:
    """Count lines beyond ASCII that are and are not UTF-8, with a sample of the latter."""
    valid = invalid = 0
    bad = bytearray()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            chunk += stream.readline(_CHUNK)
            if chunk.isascii():
                continue
            try:
                chunk.decode("utf-8")
                # Exact numbers only matter where something is wrong.
                valid += chunk.count(b"\n") + 1
                continue
            except UnicodeDecodeError:
                pass
            for line in re.split(rb"\r\n|\n|\r", chunk):
                if line.isascii():
                    continue
                try:
                    line.decode("utf-8")
                    valid += 1
                except UnicodeDecodeError:
                    invalid += 1
                    if len(bad) < _SAMPLE:
                        bad += line[:10_000] + b"\n"
    return valid, invalid, bytes(bad)


def guess_legacy(sample: bytes) -> str:
    """Guess the legacy encoding of lines that are not UTF-8.

    European text in Windows-1252 has lone high bytes between ASCII letters; text in a multi-byte or
    Cyrillic encoding has runs of them. Among those the one wins whose decoded text has the largest
    share of its script's frequent characters.
    """
    runs = _HIGH_RUN.findall(sample)
    high = sum(map(len, runs))
    if _is_shift_jis(sample):
        return "cp932"
    if not high or sum(len(run) for run in runs if len(run) > 1) * 10 < high * 6:
        return "cp1252"
    best, best_score = "cp1252", 0.15
    for codec in ("gb18030", "big5hkscs", "cp932", "euc_kr", "cp1251"):
        score = _likeness(sample, codec)
        if score > best_score:
            best, best_score = codec, score
    return best


def _is_shift_jis(sample: bytes) -> bool:
    """Say whether lines are Shift-JIS, whose second bytes are often those of ASCII letters.

    Decoded, they must be mostly kana and common ideographs, with few letters between: the accents
    of European text would become rare ideographs and half-width kana, and its curly quotation marks
    stand between many letters.
    """
    try:
        text = sample.decode("cp932")
    except UnicodeDecodeError as error:
        if error.start * 50 < len(sample) * 49:
            return False
        text = sample[: error.start].decode("cp932")
    beyond = [character for character in text if character > "\x7f"]
    letters = sum(character.isascii() and character.isalpha() for character in text)
    common = sum(bool(_FULL_KANA.match(one)) or _is_common_kanji(one) for one in beyond)
    return bool(beyond) and common * 5 >= len(beyond) * 4 and len(beyond) * 2 >= letters


def _is_common_kanji(character: str) -> bool:
    """Say whether an ideograph is of JIS X 0208's first level, the 2,965 in daily use."""
    return b"\x88\x9f" <= character.encode("cp932", "replace") <= b"\x98\x72"


def _likeness(sample: bytes, codec: str) -> float:
    text = sample.decode(codec, "replace")
    beyond = [character for character in text if character > "\x7f"]
    if not beyond or beyond.count("\ufffd") * 50 > len(beyond):
        return 0.0
    joined = "".join(beyond)
    if codec == "gb18030":
        listed = max(_share(beyond, _SIMPLIFIED), _share(beyond, _TRADITIONAL)) + 0.01
        return max(listed, 0.5 if _is_simplified(beyond) else 0.0)
    if codec == "big5hkscs":
        return _share(beyond, _TRADITIONAL)
    pattern = {"cp932": _KANA, "euc_kr": _HANGUL, "cp1251": _CYRILLIC}[codec]
    share = len(pattern.findall(joined)) / len(beyond)
    # Of Chinese text read as Korean nearly half is rare ideographs, of Korean text next to none.
    if codec == "euc_kr" and share < 0.8:
        return 0.0
    # Their letters alone make up the text, so they must be far more frequent than Chinese ones.
    return 0.6 * share


def _is_simplified(characters: Sequence[str]) -> bool:
    """Say whether nine of ten ideographs are of GB 2312's first level, the 3,755 in daily use.

    Korean text read as Chinese passes as well; its own letters then count for more.
    """
    ideographs = [one for one in characters if "\u2e80" <= one <= "\ud7ff" and not _is_mark(one)]
    common = sum(b"\xb0\xa1" <= one.encode("gb18030") <= b"\xd7\xf9" for one in ideographs)
    return (
        bool(ideographs)
        and common * 10 >= len(ideographs) * 9
        and (len(ideographs) * 2 >= len(characters))
    )


def _is_mark(character: str) -> bool:
    return "\u3000" <= character <= "\u303f"


def _share(characters: list[str], frequent: str) -> float:
    common = frozenset(frequent)
    return sum(character in common for character in characters) / len(characters)


def utf16_without_mark(head: bytes) -> str | None:
    """Say which UTF-16 it is when line feeds are two bytes wide, else None."""
    if b"\0" not in head:
        return None
    for codec in ("utf-16-le", "utf-16-be"):
        text = head[: len(head) // 2 * 2].decode(codec, "replace")
        # In other text with stray zero bytes, line feeds do not pair with them.
        if text.count("\n") and text.count("\n") * 2 >= head.count(b"\n"):
            return codec
    return None


def read_lines(path: Path, encoding: Encoding, longest: int) -> Generator[str]:
    """Give the file's lines with their line ends; one longer than `longest` comes in parts."""
    if encoding.fallback is None:
        with path.open(encoding=encoding.codec, errors="replace", newline="") as text:
            while line := text.readline(longest):
                yield line
        return
    with path.open("rb") as stream:
        decode = codecs.getdecoder("utf-8" if encoding.codec == "utf-8-sig" else encoding.codec)
        first = True
        while raw := stream.readline(longest):
            if first and raw.startswith(codecs.BOM_UTF8):
                raw = raw[3:]
            first = False
            try:
                line = decode(raw, "strict")[0]
            except UnicodeDecodeError:
                line = _repaired(raw, encoding)
            if "\r" in line.removesuffix("\n").removesuffix("\r"):
                yield from io.StringIO(line, newline="")
            else:
                yield line


def _repaired(raw: bytes, encoding: Encoding) -> str:
    """Decode a line by the fallback; where only a few bytes are wrong, only those."""
    fallback = encoding.fallback or "cp1252"
    if encoding.codec.startswith("utf-8") and fallback == "cp1252":
        return raw.decode("utf-8", "surrogateescape").translate(_BYTES_AS_CP1252)
    return raw.decode(fallback, "replace")


# `surrogateescape` keeps an undecodable byte as U+DC80–U+DCFF.
_BYTES_AS_CP1252 = {
    0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0x100)
}
