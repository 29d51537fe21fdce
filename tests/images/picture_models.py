"""Models for pictures: real weights, fetched once and kept, and a tiny network made here."""

from __future__ import annotations

import os
from pathlib import Path

from waremill import weights
from waremill.images.operation import Tools

FOLDER = Path(os.environ.get("WAREMILL_MODELS") or weights.default_folder())


def find(name: str) -> Path:
    return weights.resolve(name, folder=FOLDER, hub=None, modelscope=None)


TOOLS = Tools(find, threads=2)


def write_network(file: Path, side: int = 32) -> Path:
    """Write an ONNX network that adds up the three channels: bright is the product, as a logit.

    The bytes are those of the format's protobuf: fields by number, each number after its kind.
    """

    def field(number: int, content: bytes | str | int) -> bytes:
        if isinstance(content, int):
            return _varint(number << 3) + _varint(content)
        data = content.encode() if isinstance(content, str) else content
        return _varint(number << 3 | 2) + _varint(len(data)) + data

    def value(name: str, *sizes: int) -> bytes:
        dims = b"".join(field(1, field(1, size)) for size in sizes)
        tensor = field(1, 1) + field(2, dims)  # 32-bit floats of this shape
        return field(1, name) + field(2, field(1, tensor))

    axes = field(1, "axes") + field(8, 1) + field(20, 7)
    node = field(1, "seen") + field(2, "found") + field(4, "ReduceSum") + field(5, axes)
    graph = (
        field(1, node) + field(2, "adding")
        + field(11, value("seen", 1, 3, side, side)) + field(12, value("found", 1, 1, side, side))
    )  # fmt: skip
    file.write_bytes(field(1, 6) + field(7, graph) + field(8, field(1, "") + field(2, 11)))
    return file


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)
