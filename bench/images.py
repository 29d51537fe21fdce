"""Measure picture operations: speed beside rembg and plain libraries, and how right they are.

    python -m bench.images [--rounds 3] [--pictures 40] [--no-rivals] [--no-quality]

Folders are worked on by the commands `waremill image cutout` and `rembg p`, with the same weights,
in turns; a round's ratio is what to compare. The pictures are real ones beside the repository, in
../shared/data/product-photos.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench.picture_sets import DATA, photographs
from bench.process import PLACE, ROOT, client, rivals_python
from bench.run import machine, show_table

FOLDER = PLACE / "pictures"
FEW = 4
"""Pictures of the smaller folder; what one costs is the difference to the larger folder."""
SETS = ("composites", "ecssd", "saleor_cutouts")
WAYS = ("pillow", "opencv", "lanczos", "faithful", "sharp")
EQUAL = ("--closer", "false", "--refine", "none", "--foreground", "false", "--smallest-part", "0")
"""What rembg does, and no more."""


@dataclass(frozen=True)
class Cost:
    """What a command used: seconds of wall and processor time, peak bytes of memory."""

    wall: float
    cpu: float
    memory: int


@dataclass
class Found:
    """What was measured, as sections of a table each and as numbers."""

    sections: list[tuple[str, list[Sequence[str]]]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)


def spent(command: Sequence[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a command and give what it used; raise with its words where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    if process.returncode not in (0, 1):  # 1: some pictures show no product, which both are given
        words = said.decode(errors="replace").strip().splitlines()[-3:]
        raise RuntimeError(f"{Path(command[0]).name} failed: {' '.join(words)}")
    factor = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * factor)


def prepare(count: int) -> tuple[Path, Path, Path]:
    """Lay out a small and a large folder of photographs; give them and the weights."""
    from waremill.weights import default_folder, resolve

    weights = resolve("u2netp", folder=default_folder())
    files = photographs()
    chosen = [files[number * len(files) // count] for number in range(count)]
    folders = []
    for name, part in (("few", chosen[:FEW]), ("many", chosen)):
        folder = FOLDER / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, file in enumerate(part):
            shutil.copy(file, folder / f"{number:03}-{file.name}")
        folders.append(folder)
    home = FOLDER / "u2net"
    home.mkdir(exist_ok=True)
    shutil.copy(weights, home / "u2netp.onnx")  # so that rembg has no need of a hub
    return folders[0], folders[1], weights


def _commands(rembg: str | None) -> dict[str, tuple[list[str], dict[str, str]]]:
    waremill = [str(Path(sys.executable).with_name("waremill")), "image", "cutout", "{in}", "{out}"]
    found: dict[str, tuple[list[str], dict[str, str]]] = {
        "Waremill": (waremill, {}),
        "Waremill, only what rembg does": ([*waremill, *EQUAL], {}),
    }
    if rembg is not None:
        command = [rembg, "p", "-m", "u2netp", "{in}", "{out}"]
        found["rembg"] = (command, {"U2NET_HOME": str(FOLDER / "u2net")})
    return found


def folders(found: Found, options: argparse.Namespace, rembg: str | None) -> None:
    """Time the commands over folders, in turns."""
    few, many, weights = prepare(options.pictures)
    commands = _commands(rembg)
    costs: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in commands}
    for number in range(options.rounds + 1):
        for name, (command, environment) in commands.items():
            both = []
            for folder in (few, many) if number else (few,):
                out = FOLDER / "out"
                shutil.rmtree(out, ignore_errors=True)
                places = {"{in}": str(folder), "{out}": str(out)}
                filled = [places.get(part, part) for part in command]
                both.append(spent(filled, environment))
            if not number:  # what is compiled once, at the very first start, counts for nobody
                continue
            costs[name].append((both[0], both[1]))
            _say(f"round {number}: {name}: {_each(both[0], both[1], 'wall', options):.0f} ms")
    rows: list[Sequence[str]] = [
        ("command", "ms a picture", "CPU ms", "× rembg, wall", "× rembg, CPU", "cores", "memory")
    ]
    against = costs.get("rembg")
    for name, each in costs.items():
        wall = [_each(*both, "wall", options) for both in each]
        cpu = [_each(*both, "cpu", options) for both in each]
        found.numbers[name] = {
            "wall_ms": wall, "cpu_ms": cpu, "memory": max(both[1].memory for both in each),
            "whole_wall": [both[1].wall for both in each],
        }  # fmt: skip
        ratios = ["", ""]
        if against is not None:
            for place, (mine, what) in enumerate(((wall, "wall"), (cpu, "cpu"))):
                theirs = [_each(*both, what, options) for both in against]
                ratios[place] = _spread([a / b for a, b in zip(mine, theirs, strict=True)])
        busy = statistics.median(a / b for a, b in zip(cpu, wall, strict=True))
        rows.append(
            (name, f"{statistics.median(wall):.0f}", f"{statistics.median(cpu):.0f}", *ratios,
             f"{busy:.2f}", f"{max(both[1].memory for both in each) / 1e6:.0f} MB")
        )  # fmt: skip
    found.sections.append((f"Folders of {options.pictures} photographs", rows))
    report = client("bench.picture_client", "stages", weights, many)
    found.numbers["stages"] = dict(report)
    total = sum(value for stage, value in report.items() if stage != "looks")
    rows = [("stage of a cut-out", "CPU ms", "part")]
    rows += [
        (stage, f"{value:.1f}", f"{value / total:.1%}")
        for stage, value in report.items() if stage != "looks"
    ]  # fmt: skip
    found.sections.append((f"Where the time goes; {report['looks']:.2f} looks a picture", rows))


def _each(few: Cost, many: Cost, what: str, options: argparse.Namespace) -> float:
    """Give the milliseconds of one more picture."""
    return float((getattr(many, what) - getattr(few, what)) / (options.pictures - FEW) * 1000)


def _spread(values: Sequence[float]) -> str:
    middle = f"{statistics.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f}–{max(values):.2f})"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def cutouts(found: Found, rembg: str | None) -> None:
    """Judge cut-outs against true masks, with rembg's beside."""
    from bench.picture_sets import cuts

    rows: list[Sequence[str]] = [
        ("set", "way", "mean IoU", "alpha error ×1000", "without cast shadows")
    ]
    for name in SETS:
        pictures, masks = FOLDER / name, FOLDER / f"{name}-masks"
        for folder in (pictures, masks):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        if rembg is not None:
            _write(pictures, cuts(name))
            command = [rembg, "p", "-m", "u2netp", "-om", str(pictures), str(masks)]
            spent(command, {"U2NET_HOME": str(FOLDER / "u2net")})
        report = client("bench.picture_client", "cutouts", name, masks)
        found.numbers[name] = dict(report)
        for way, (overlap, error, product) in report.items():
            rows.append(
                (name, way, f"{overlap:.3f}", f"{error * 1000:.1f}", f"{product * 1000:.1f}")
            )
        _say(f"cut-outs of {name} judged")
    found.sections.append(("Cut-outs against true masks", rows))


def _write(folder: Path, several: Any) -> None:
    from PIL import Image

    for one in several:
        Image.fromarray(one.rgb).save(folder / f"{one.file.stem}.png")


def enlargements(found: Found) -> None:
    """Judge enlarging against the originals, and time it."""
    rows: list[Sequence[str]] = [
        ("set", "way", "PSNR", "SSIM", "scaled down again", "the worst of them")
    ]
    for name in ("set5", "products"):
        for scale in (2, 4):
            report = client("bench.picture_client", "enlargements", name, scale)
            found.numbers[f"{name} ×{scale}"] = dict(report)
            for way, (psnr, ssim, again, worst) in report.items():
                rows.append(
                    (f"{name} ×{scale}", way, f"{psnr:.2f} dB", f"{ssim:.4f}", f"{again:.1f} dB",
                     f"{worst:.1f} dB")
                )  # fmt: skip
            _say(f"enlarging {name} ×{scale} judged")
    found.sections.append(("Enlarging against the originals", rows))
    rows = [("enlarging ×4", "ms", "CPU ms", "memory")]
    file = DATA / "sr_set5/HR/bird.png"
    for way in WAYS:
        report = client("bench.picture_client", "scaling", way, file, 4)
        found.numbers[f"enlarging, {way}"] = dict(report)
        rows.append((way, *_times(report)))
        found.numbers["enlarged"] = report["size"]
    width, height = found.numbers["enlarged"]
    found.sections.append((f"Time of enlarging to {width} × {height}", rows))


def every_operation(found: Found) -> None:
    """Time each operation there is, without any option."""
    from waremill.images.operation import operations

    photo = DATA / "composites/images/beanie-2.jpg"
    cut = DATA / "saleor_cutouts/beanie-2.webp"
    rows: list[Sequence[str]] = [("operation", "ms", "CPU ms", "memory", "picture")]
    for name in operations():
        report = client("bench.picture_client", "operation", name, photo, cut)
        found.numbers[f"operation {name}"] = dict(report)
        if "why" in report:
            rows.append((name, "", "", "", f"needs options: {report['why']}"))
            continue
        width, height = report["picture"]
        rows.append((name, *_times(report), f"{width} × {height}"))
        _say(f"{name} timed")
    found.sections.append(("Every operation, without options", rows))


def _times(report: Any) -> tuple[str, str, str]:
    return (
        f"{report['wall'] * 1000:.1f}", f"{report['cpu'] * 1000:.1f}",
        f"{report['rss'] / 1e6:.0f} MB",
    )  # fmt: skip


def main() -> None:
    """Measure what the command line asks for, print it and keep it under .bench."""
    parser = argparse.ArgumentParser(prog="python -m bench.images", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--no-rivals", action="store_true", help="leave rembg out")
    parser.add_argument("--no-quality", action="store_true", help="time only")
    options = parser.parse_args()
    if not DATA.is_dir():
        sys.exit("the pictures are not here: ../shared/data/product-photos")
    if options.pictures <= FEW:
        parser.error(f"--pictures must be more than {FEW}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    rembg = None
    if not options.no_rivals:
        python = rivals_python("requirements-pictures.txt", PLACE / "venv-pictures")
        rembg = str(Path(python).with_name("rembg"))
    found = Found()
    folders(found, options, rembg)
    every_operation(found)
    if not options.no_quality:
        cutouts(found, rembg)
        enlargements(found)
    for title, rows in found.sections:
        print(f"\n{title}\n")
        show_table(rows)
    kept = {"machine": machine(), "pictures": options.pictures, **found.numbers}
    (PLACE / "images.json").write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
    print("\nkept in .bench/images.json")


if __name__ == "__main__":
    main()
