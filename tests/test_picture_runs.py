"""The pictures' main job on real photos, killed at about half: small pictures, every step."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from openpyxl import load_workbook

from waremill.images.reading import identify, read_picture

PIPELINE = """\
name: main-image
steps:
  - resize: {image: photo, longest: 320, into: small}
  - cutout: {image: small, into: cutout}
  - background: {image: cutout, colour: "#f4efe6", into: framed}
  - compose: {image: cutout, size: 200, fill: 0.85, enlarge: 8, into: main_image}
  - upscale: {image: main_image, scale: 2, into: large}
  - check:
      name: check-main
      image: large
      rules: [resolution, fill, sharpness, duplicate-pictures]
      least_side: 400
      least_long_side: 400
  - transcode: {image: large, format: jpeg, most_bytes: 20000, into: file}
"""
MADE = 8
"""What is made of one photo: each step's picture, the check's judgement, and what a picture is
found again by."""
PHOTOS = 24


@pytest.fixture(scope="module")
def shop(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with real photos of three sets."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "pipelines").mkdir()
    (folder / "photos").mkdir()
    (folder / "waremill.toml").write_text("")
    (folder / "pipelines" / "main-image.yaml").write_text(PIPELINE)
    source = shared_data / "product-photos"
    chosen = [
        *sorted((source / "ecssd" / "images").iterdir())[:8],
        *sorted((source / "composites" / "images").iterdir())[:8],
        *sorted(path for path in (source / "subjects").rglob("*.jpg"))[:8],
    ]
    assert len(chosen) == PHOTOS
    rows = ["sku,name,photo"]
    for number, path in enumerate(chosen):
        name = f"photos/{number:02}{path.suffix}"
        shutil.copy(path, folder / name)
        rows.append(f"P{number:02},Thing {number},{name}")
    (folder / "products.csv").write_text("\n".join(rows) + "\n")
    return folder


def command(shop: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "waremill", *arguments, "-C", str(shop)]


def waremill(shop: Path, *arguments: str) -> str:
    done = subprocess.run(command(shop, *arguments), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(shop: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(shop / ".waremill" / "waremill.db", timeout=30)) as database:
        return list(database.execute(query))


def derived(shop: Path) -> dict[bytes, float]:
    """What was made so far, and when."""
    if not asked(shop, "SELECT 1 FROM sqlite_master WHERE name = 'derivations'"):
        return {}
    return dict(asked(shop, "SELECT hash, created_at FROM derivations"))


@pytest.mark.timeout(600)
def test_a_killed_picture_run_goes_on_and_makes_nothing_twice(shop: Path) -> None:
    waremill(shop, "import", str(shop / "products.csv"), "--key", "sku")
    started = subprocess.Popen(
        command(shop, "run", "main-image", "-o", str(shop / "out.xlsx")),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    limit = time.monotonic() + 240
    while len(derived(shop)) < PHOTOS * MADE // 2 and started.poll() is None:
        assert time.monotonic() < limit, "half of it takes too long"
        time.sleep(0.1)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    before = derived(shop)
    assert PHOTOS * MADE // 2 <= len(before) < PHOTOS * MADE

    status = orjson.loads(waremill(shop, "resume", "last", "--json"))
    assert (status["state"], status["total"], status["failed"]) == ("done", PHOTOS, 0)
    after = derived(shop)
    assert len(after) == PHOTOS * MADE
    assert {digest: after[digest] for digest in before} == before
    ((progress,),) = asked(shop, "SELECT progress FROM runs")
    assert orjson.loads(progress)["made"] == len(after) - len(before)
    states = asked(shop, "SELECT product_id, count(*) FROM items GROUP BY product_id")
    assert len(states) == PHOTOS and all(count == 1 for _, count in states)


def test_another_run_over_the_same_pictures_makes_nothing(shop: Path) -> None:
    before = derived(shop)
    waremill(shop, "run", "main-image", "--fresh")
    assert derived(shop) == before
    ((progress,),) = asked(shop, "SELECT progress FROM runs ORDER BY id DESC LIMIT 1")
    counts = orjson.loads(progress)
    assert (counts["made"], counts["found"]) == (0, PHOTOS * MADE)


def test_the_sheet_shows_the_pictures_and_the_files_lie_beside_it(shop: Path) -> None:
    sheet = load_workbook(shop / "out.xlsx").active
    assert sheet is not None
    header = [cell.value for cell in sheet[1]]
    assert sheet.max_row == PHOTOS + 1
    assert len(sheet._images) >= PHOTOS * 5
    place = header.index("file") + 1
    for row in range(2, PHOTOS + 2):
        path = shop / str(sheet.cell(row, place).value)
        content = path.read_bytes()
        assert identify(content).media_type == "image/jpeg" and len(content) <= 20_000
        picture = read_picture(content)
        assert (picture.width, picture.height) == (400, 400)
        assert (picture.pixels[:3, :3] >= 250).all()  # a corner is white


def test_csv_and_jsonl_name_the_same_files(shop: Path) -> None:
    waremill(shop, "export", "last", str(shop / "out.jsonl"))
    lines = [orjson.loads(line) for line in (shop / "out.jsonl").read_bytes().splitlines()]
    assert len(lines) == PHOTOS
    assert all((shop / line["file"]).is_file() for line in lines)
    assert all(line["file"].startswith("out-jsonl-pictures/P") for line in lines)
