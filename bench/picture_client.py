"""One measurement of pictures in a process of its own; its last line is JSON.

python -m bench.picture_client stages WEIGHTS FOLDER | operation NAME FILE… | scaling WAY FILE SCALE
python -m bench.picture_client cutouts SET MASKS_FOLDER | enlargements SET SCALE
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from bench.meter import peak_memory
from bench.picture_sets import Cut, cuts, pairs
from waremill.errors import UserError
from waremill.images.encoding import Manner, encode
from waremill.images.operation import Tools, operations
from waremill.images.picture import Encoded, Picture
from waremill.images.reading import read_picture
from waremill.weights import default_folder, resolve

REPEATS = 3
STORED = Manner("png", srgb=False, keep="profile", quick=True)


def tools(threads: int = 1) -> Tools:
    """Give tools whose weights are where the application keeps them."""
    return Tools(lambda name: resolve(name, folder=default_folder()), threads)


def run(name: str, picture: Picture, threads: int = 1, **options: Any) -> Any:
    """Run an operation with some options set."""
    one = operations()[name]
    return one.run(picture, one.options(**options), tools(threads))


class _Timed:
    """A network's session that counts its calls and their processor time."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.looks, self.seconds = 0, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, *arguments: Any) -> Any:
        """Run the network; on one thread, so its time is this thread's."""
        started = time.thread_time()
        answer = self._session.run(*arguments)
        self.seconds += time.thread_time() - started
        self.looks += 1
        return answer


def stages(weights: Path, folder: Path) -> dict[str, float]:
    """Give the processor milliseconds of each stage of a cut-out, and how often it looked."""
    from waremill.images import matting, segmentation

    cv2.setNumThreads(1)
    timed = _Timed(segmentation._session(weights, 1))
    for key in segmentation._sessions:
        segmentation._sessions[key] = timed
    spent: dict[str, float] = {}

    def measure(stage: str, work: Callable[[], Any]) -> Any:
        started = time.thread_time()
        answer = work()
        spent[stage] = spent.get(stage, 0.0) + time.thread_time() - started
        return answer

    files = sorted(path for path in folder.iterdir() if path.is_file())
    done = 0
    for file in [files[0], *files]:
        picture = measure("decode", file.read_bytes)
        picture = measure("decode", lambda picture=picture: read_picture(picture))
        rgb = np.ascontiguousarray(picture.rgb)
        try:
            coarse = measure("find", lambda rgb=rgb: segmentation.find_object(rgb, weights))
        except UserError:
            continue
        coarse = measure("map", lambda a=rgb, b=coarse: segmentation.before_backdrop(a, b))
        coarse = measure("map", lambda b=coarse: segmentation.without_small_parts(b, 0.05))
        alpha = measure("matte", lambda a=rgb, b=coarse: matting.alpha_of(a, b))
        made = measure("colours", lambda a=rgb, b=alpha: matting.with_own_colours(a, b))
        measure("encode", lambda made=made: encode(Picture(made), STORED))
        done += 1
        if done == 1:  # the first warms up
            spent.clear()
            timed.looks, timed.seconds = 0, 0.0
    found = spent.pop("find")
    shares = {"look": timed.seconds, "prepare": found - timed.seconds, **spent}
    return {
        **{stage: seconds / (done - 1) * 1000 for stage, seconds in shares.items()},
        "looks": timed.looks / (done - 1),
    }


def repeated(work: Callable[[], Any]) -> dict[str, Any]:
    """Give the median times of some repeats after a first one, and the peak memory of all."""
    before = peak_memory()
    made = work()
    wall, used = [], []
    for _ in range(REPEATS):
        started, processor = time.perf_counter(), time.process_time()
        made = work()
        wall.append(time.perf_counter() - started)
        used.append(time.process_time() - processor)
    part = made[0] if isinstance(made, tuple) else made
    size = [part.width, part.height] if isinstance(part, Picture | Encoded) else list(made.shape)
    return {
        "wall": float(np.median(wall)), "cpu": float(np.median(used)), "before": before,
        "rss": peak_memory(), "size": size,
    }  # fmt: skip


def operation(name: str, files: list[Path]) -> dict[str, Any]:
    """Time an operation as it is without any option, on the first picture that suits it."""
    why = ""
    for file in files:
        picture = read_picture(file.read_bytes())
        try:
            found = repeated(lambda picture=picture: run(name, picture, threads=2))
        except (UserError, TypeError) as error:
            why = str(error)
            continue
        return {**found, "picture": [picture.width, picture.height]}
    return {"why": why}


def scaling(way: str, file: Path, scale: int) -> dict[str, Any]:
    """Time one way of enlarging."""
    picture = read_picture(file.read_bytes())
    size = picture.width * scale, picture.height * scale
    image = Image.fromarray(np.ascontiguousarray(picture.rgb))
    ways: dict[str, Callable[[], Any]] = {
        "pillow": lambda: np.asarray(image.resize(size, Image.Resampling.LANCZOS)),
        "opencv": lambda: cv2.resize(picture.rgb, size, interpolation=cv2.INTER_LANCZOS4),
        "lanczos": lambda: run("upscale", picture, 2, scale=scale, model="lanczos"),
        "faithful": lambda: run("upscale", picture, 2, scale=scale),
        "sharp": lambda: run("upscale", picture, 2, scale=scale, mode="sharp"),
    }
    return repeated(ways[way])


def _judged(made: NDArray[np.float32], one: Cut) -> tuple[float, float, float]:
    """Give the IoU at one half, the mean error of alpha, and the same without cast shadows."""
    first, second = made >= 0.5, one.alpha >= 0.5
    apart = np.abs(made - one.alpha)
    overlap = (first & second).sum() / max((first | second).sum(), 1)
    return float(overlap), float(apart.mean()), float((apart * one.counts).mean())


def cutouts(name: str, masks: Path) -> dict[str, list[float]]:
    """Judge cut-outs of a set: rembg's masks from a folder, and ours in several ways."""
    ways: dict[str, dict[str, Any]] = {
        "Waremill, one look, the network's own edge":
            {"closer": False, "refine": "none", "smallest_part": 0},
        "Waremill, two looks, the network's own edge": {"refine": "none"},
        "Waremill, one look": {"closer": False},
        "Waremill": {},
    }  # fmt: skip
    found: dict[str, list[tuple[float, float, float]]] = {}
    for one in cuts(name):
        mask = masks / f"{one.file.stem}.png"
        if mask.exists():
            grey = np.asarray(Image.open(mask).convert("L")).astype(np.float32) / 255
            found.setdefault("rembg", []).append(_judged(grey, one))
        for way, options in ways.items():
            made = run("cutout", Picture(one.rgb), output="matte", **options).pixels[:, :, 0]
            alpha = np.asarray(made.astype(np.float32) / 255, np.float32)
            found.setdefault(way, []).append(_judged(alpha, one))
    return {way: [float(part) for part in np.mean(each, axis=0)] for way, each in found.items()}


def _psnr(made: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    apart = made.astype(np.float64) - true
    return float(10 * np.log10(255**2 / max(float(np.mean(apart**2)), 1e-9)))


def _ssim(made: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Give the structural similarity of two pictures' luma (Wang and others, 2004)."""
    x, y = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(np.float64) for one in (made, true))

    def blur(plane: Any) -> Any:
        return cv2.GaussianBlur(plane, (11, 11), 1.5)

    mx, my = blur(x), blur(y)
    xx, yy, xy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mx * my + c1) * (2 * xy + c2)
    return float(np.mean(top / ((mx * mx + my * my + c1) * (xx + yy + c2))))


def enlargements(name: str, scale: int) -> dict[str, list[float]]:
    """Judge ways of enlarging a set: PSNR, SSIM, and PSNR of the result scaled down again."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for pair in pairs(name, scale):
        size = pair.large.shape[1], pair.large.shape[0]
        image, picture = Image.fromarray(pair.small), Picture(pair.small)
        made = {
            "bicubic": np.asarray(image.resize(size, Image.Resampling.BICUBIC)),
            "Lanczos": np.asarray(image.resize(size, Image.Resampling.LANCZOS)),
        }
        for way, options in (("lanczos", {"model": "lanczos"}), ("faithful", {}),
                             ("sharp", {"mode": "sharp"})):  # fmt: skip
            larger = run("upscale", picture, 2, scale=scale, **options)
            made[f"Waremill, {way}"] = larger.pixels
        for way, pixels in made.items():
            again = Image.fromarray(pixels).resize(image.size, Image.Resampling.BICUBIC)
            edge = slice(scale, -scale)
            inner, true = pixels[edge, edge], pair.large[edge, edge]
            found.setdefault(way, []).append(
                (_psnr(inner, true), _ssim(inner, true), _psnr(np.asarray(again), pair.small))
            )
    return {
        way: [*(float(part) for part in np.mean(each, axis=0)), min(one[2] for one in each)]
        for way, each in found.items()
    }


def main() -> None:
    """Measure what the command line names."""
    what, *rest = sys.argv[1:]
    if what == "stages":
        report: Any = stages(Path(rest[0]), Path(rest[1]))
    elif what == "operation":
        report = operation(rest[0], [Path(file) for file in rest[1:]])
    elif what == "scaling":
        report = scaling(rest[0], Path(rest[1]), int(rest[2]))
    elif what == "cutouts":
        report = cutouts(rest[0], Path(rest[1]))
    else:
        report = enlargements(rest[0], int(rest[1]))
    print(orjson.dumps(report).decode(), flush=True)


if __name__ == "__main__":
    main()
