"""Libraries that bring their own machine code can be loaded into one process, in either order."""

from __future__ import annotations

import subprocess
import sys

import pytest

MODULES = ("xllamacpp", "uharfbuzz", "cv2", "onnxruntime", "ncnn")


@pytest.mark.parametrize("order", [MODULES, MODULES[::-1]], ids=("text first", "pictures first"))
def test_a_process_can_write_text_and_set_banners(order: tuple[str, ...]) -> None:
    script = "".join(f"import {name}\n" for name in order)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
