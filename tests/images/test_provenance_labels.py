"""Labels of AI: written into four formats, carried along, read by readers that are not ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_pictures import noise, saved, smooth, turned, wide_profile

from waremill.errors import SourceError
from waremill.images import xmp
from waremill.images.embedding import write_xmp
from waremill.images.encoding import Manner, encode
from waremill.images.picture import Picture
from waremill.images.provenance import Provenance, label, packet, provenance_in, read_provenance
from waremill.images.reading import read_picture

FORMATS: tuple[Any, ...] = ("jpeg", "png", "webp", "avif")
PROVENANCE = Provenance(
    "edited", "wanx-v1 <edit> & more", "001191110102MACQD9K64010000", "b5c1-77",
    "2026-11-01T10:00:00+08:00", "run-12", "某商城", "sku-9",
)  # fmt: skip
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
TC260 = "{http://www.tc260.org.cn/ns/AIGC/1.0/}"


def made(kind: Any, alpha: bool = False) -> bytes:
    pixels = np.dstack([smooth(64, 48), noise(64, 48, 1)]) if alpha else smooth(64, 48)
    return encode(Picture(pixels), Manner(format=kind)).content


def expected(text: str) -> None:
    """Check a packet against what the two standards ask for, without our own reader."""
    root = ElementTree.fromstring(text)
    found = {child.tag: child.text for child in root.iter() if child.text and child.text.strip()}
    source = found[f"{IPTC}DigitalSourceType"]
    assert source == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )
    assert found[f"{IPTC}AISystemUsed"] == PROVENANCE.model
    assert json.loads(found[f"{TC260}AIGC"] or "") == {
        "Label": "1",
        "ContentProducer": "001191110102MACQD9K64010000",
        "ProduceID": "b5c1-77",
        "ReservedCode1": "",
        "ContentPropagator": "某商城",
        "PropagateID": "sku-9",
        "ReservedCode2": "",
    }


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_opencv_finds_the_label(kind: str, alpha: bool) -> None:
    content = label(made(kind, alpha), PROVENANCE)
    pixels, kinds, blocks = cv2.imdecodeWithMetadata(
        np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED
    )
    assert pixels.shape[:2] == (64, 48)
    found = dict(zip(kinds, blocks, strict=True))
    # OpenCV gives the segment's or chunk's whole body, with a name before or a zero behind.
    _, head, packet = np.asarray(found[cv2.IMAGE_METADATA_XMP]).tobytes().partition(b"<?xpacket b")
    expected((head + packet).rstrip(b"\0").decode())


@pytest.mark.parametrize("alpha", [False, True])
def test_libheif_finds_the_label_of_an_avif(alpha: bool) -> None:
    pi_heif = pytest.importorskip("pi_heif", reason="pi-heif, of the group dev, is not installed")
    read = pi_heif.open_heif(label(made("avif", alpha), PROVENANCE))
    assert read.size == (48, 64)
    expected(read.info["xmp"].decode())


@pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="the program exiftool is not installed"
)
@pytest.mark.parametrize("kind", FORMATS)
def test_exiftool_finds_the_label_and_no_fault(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"labelled.{kind}"
    path.write_bytes(label(made(kind, alpha=True), PROVENANCE))
    command = ["exiftool", "-json", "-G1", "-XMP:all", "-validate", "-warning", "-error", str(path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    [found] = json.loads(shown.stdout)
    assert found["XMP-iptcExt:DigitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert found["ExifTool:Validate"] == "OK"
    [aigc] = [text for name, text in found.items() if name.lower() == "xmp-tc260:aigc"]
    assert json.loads(aigc)["PropagateID"] == "sku-9"


@pytest.mark.parametrize("kind", FORMATS)
def test_labelling_touches_no_pixel_and_no_other_note(kind: str) -> None:
    notes = xmp.write({"dc:identifier": "shoot-7"})
    plain = saved(smooth(64, 48), kind.upper(), exif=turned(6), icc_profile=wide_profile())
    plain = write_xmp(plain, f"image/{kind}", notes)
    before, after = read_picture(plain), read_picture(label(plain, PROVENANCE))
    assert (before.pixels == after.pixels).all()
    assert after.pixels.shape == (48, 64, 3)
    assert (after.profile, after.exif) == (before.profile, before.exif)
    assert after.xmp is not None
    assert xmp.read(after.xmp)[xmp.full("dc:identifier")] == "shoot-7"
    assert provenance_in(after.xmp) == PROVENANCE


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_second_label_takes_the_place_of_the_first(kind: str, alpha: bool) -> None:
    once = label(made(kind, alpha), PROVENANCE)
    assert label(once, PROVENANCE) == once
    other = Provenance("made", "another model")
    assert label(once, other) == label(made(kind, alpha), other)
    assert read_provenance(label(once, other)) == other
    assert b"wanx" not in label(once, other)


def test_an_avif_with_a_packet_among_its_pixels_is_relabelled() -> None:
    by_pillow = saved(smooth(64, 48), "AVIF", xmp=packet(Provenance("made", "stale-model")))
    again = label(by_pillow, PROVENANCE)
    assert b"stale-model" in by_pillow and b"stale-model" not in again
    assert read_provenance(again) == PROVENANCE
    assert (read_picture(again).pixels == read_picture(by_pillow).pixels).all()


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("then", FORMATS)
def test_the_label_survives_being_written_anew(first: Any, then: Any) -> None:
    content = label(made(first), PROVENANCE)
    for manner in (Manner(then), Manner(then, keep="everything"), Manner(then, most_bytes=6000)):
        assert read_provenance(encode(read_picture(content), manner).content) == PROVENANCE


def test_a_label_is_written_with_the_picture() -> None:
    for kind in FORMATS:
        content = encode(Picture(smooth(20, 20)), Manner(kind), Provenance("made", "m")).content
        assert read_provenance(content) == Provenance("made", "m")


def test_pictures_without_a_label_have_none() -> None:
    assert read_provenance(made("jpeg")) is None
    camera = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    assert provenance_in(xmp.write({"Iptc4xmpExt:DigitalSourceType": camera})) is None
    for broken in (b"", b"<x", b"\xff\xfe", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'):
        assert provenance_in(broken) is None


def test_other_makers_labels_are_understood() -> None:
    as_attribute = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:g="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" g:DigitalSourceType='
        '"https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    assert provenance_in(as_attribute.encode()) == Provenance("made")
    aigc = json.dumps({"Label": "2", "ContentProducer": "某公司", "ProduceID": "7"})
    chinese = xmp.write({"TC260:AIGC": aigc})
    assert provenance_in(chinese) == Provenance("made", producer="某公司", content_id="7")
    assert provenance_in(xmp.write({"TC260:AIGC": "no JSON"})) is None
    relabelled = packet(PROVENANCE, as_attribute.encode())
    assert relabelled.count(b"DigitalSourceType") == 2  # one element, opened and closed


def test_an_enhanced_picture_is_not_called_made_by_ai() -> None:
    text = packet(Provenance("enhanced", "realesrgan-x4plus"))
    assert b"algorithmicallyEnhanced" in text and b"AIGC/1.0" not in text
    assert provenance_in(text) == Provenance("enhanced", "realesrgan-x4plus")


def test_only_four_formats_take_a_label() -> None:
    with pytest.raises(SourceError, match="JPEG, PNG, WebP and AVIF pictures only"):
        label(saved(smooth(9, 9), "GIF"), PROVENANCE)
    with pytest.raises(SourceError, match="not a picture"):
        label(b"<html></html>", PROVENANCE)


def test_a_jpeg_holds_no_endless_packet() -> None:
    long = xmp.write({"dc:identifier": "x" * 70_000})
    with pytest.raises(SourceError, match="a JPEG holds 65,504"):
        write_xmp(made("jpeg"), "image/jpeg", long)
    assert len(write_xmp(made("png"), "image/png", long)) > 70_000


@given(st.tuples(*[st.text(max_size=30)] * 7), st.sampled_from(["made", "edited", "enhanced"]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_text_can_stand_in_a_label(texts: tuple[str, ...], kind: Any) -> None:
    written = packet(Provenance(kind, *texts))
    root = ElementTree.fromstring(written)
    assert root.tag.endswith("xmpmeta")
    found = provenance_in(written)
    assert found is not None and found.kind == kind


@given(st.sampled_from(FORMATS), st.data())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_damaged_files_are_labelled_or_refused_in_words(kind: Any, data: st.DataObject) -> None:
    content = bytearray(label(made(kind, alpha=True), PROVENANCE))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(len(content), 700) - 1))
        content[place] = data.draw(st.integers(0, 255))
    try:
        label(bytes(content), PROVENANCE)
    except SourceError as error:
        assert "\n" not in error.message
