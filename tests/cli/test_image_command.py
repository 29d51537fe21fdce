"""`waremill image`: a picture or a folder in, results out, one sentence for what cannot be used."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from PIL import Image

from waremill.cli import cli


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def waremill(*arguments: object, cwd: Path) -> Done:
    """Give the command line in this process what a user would type in a folder."""
    with contextlib.chdir(cwd):
        found = CliRunner().invoke(cli, ["image", *map(str, arguments)])
    return Done(found.exit_code, found.stdout, found.stderr)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    pixels = np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8)
    for name in ("a.jpg", "b.png", "inner/c.webp", "图片.jpg"):
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_one_picture_becomes_the_file_that_was_named(photos: Path, tmp_path: Path) -> None:
    done = waremill("resize", photos / "a.jpg", "small.webp", "--longest", 30, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "small.webp", "")
    with Image.open(tmp_path / "small.webp") as made:
        assert (made.format, made.size) == ("WEBP", (30, 20))


def test_a_folder_keeps_its_names_and_its_folders(photos: Path, tmp_path: Path) -> None:
    done = waremill("resize", photos, "out", "--longest", 30, "--json", cwd=tmp_path)
    found = orjson.loads(done.stdout)
    assert done.returncode == 0 and found["failed"] == [] and found["skipped"] == 1
    made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*"))
    assert made == ["a.jpg", "b.png", "inner", "inner/c.webp", "图片.jpg"]


def test_a_bad_picture_is_said_and_keeps_nobody_from_the_others(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").write_bytes((photos / "a.jpg").read_bytes()[:300])
    (photos / "page.png").write_text("<html>not found</html>")
    done = waremill("resize", photos, "out", "--longest", 30, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if "broken" in line or "page" in line]
    assert len(said) == 2
    assert "4 pictures written, 2 could not be used" in done.stdout
    assert not (tmp_path / "out" / "broken.jpg").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("resize", "nowhere.jpg", "out.jpg", "--longest", "9"), "there is no such file"),
        (("resize", "photos/a.jpg", "out.xyz", "--longest", "9"), "endings .png"),
        (("resize", "photos/a.jpg", "photos/a.jpg", "--longest", "9"), "replace its source"),
        (("resize", "photos", "photos/out", "--longest", "9"), "cannot go into the folder"),
        (("resize", "photos/a.jpg", "out.jpg", "--longest", "many"), "a whole number"),
        (("resize", "photos/a.jpg", "out.jpg"), "give a width"),
        (("resiz", "photos/a.jpg", "out.jpg"), "did you mean “resize”"),
        (("resize", "photos/notes.txt", "out.jpg", "--longest", "9"), "photos/notes.txt"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    photos: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = waremill(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not any(tmp_path.glob("out*"))


def test_a_result_with_transparency_is_a_png_whatever_it_was(photos: Path, tmp_path: Path) -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[10:30, 10:30] = (200, 30, 30, 255)
    Image.fromarray(pixels).save(photos / "cut.png")
    done = waremill("resize", photos / "cut.png", "made.jpg", "--longest", 20, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "made.png")


def test_a_folder_that_cannot_be_written_is_one_sentence(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = waremill("resize", photos, "file", "--longest", 9, cwd=tmp_path)
    assert done.returncode == 2 and "this is a file" in done.stderr


def test_help_names_every_operation_and_option(tmp_path: Path) -> None:
    listed = waremill("-h", cwd=tmp_path).stdout
    assert "resize" in listed and "cutout" in listed
    shown = waremill("resize", "-h", cwd=tmp_path).stdout
    assert "--longest N" in shown and "contain|cover|pad|stretch" in shown


def test_pictures_that_differ_in_their_ending_alone_keep_it(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "red").save(photos / "a.webp")
    done = waremill("transcode", photos, "out", "--format", "avif", "--json", cwd=tmp_path)
    made = {Path(one["result"]).name for one in orjson.loads(done.stdout)["made"]}
    assert made == {"a-jpg.avif", "a-webp.avif", "b.avif", "c.avif", "图片.avif"}


def test_no_result_takes_the_place_of_a_picture_that_is_read(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[10:30, 10:30] = (200, 30, 30, 255)
    Image.fromarray(pixels).save(tmp_path / "cut.png")
    (tmp_path / "in" / "in").mkdir(parents=True)
    Image.new("RGB", (90, 60), "red").save(tmp_path / "in" / "a.jpg")
    Image.new("RGB", (60, 90), "blue").save(tmp_path / "in" / "in" / "a.jpg")
    Image.new("RGB", (400, 800), "red").save(tmp_path / "page-1.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    for source, target, options in (
        ("cut.png", "cut.jpg", ("resize", "--longest", 20)),  # transparent, so it ends in .png
        ("page-1.png", "page.png", ("slice", "--most", 500, "--least", 99)),  # the first of several
        ("in", ".", ("resize", "--longest", 20)),
    ):
        done = waremill(options[0], source, target, *options[1:], cwd=tmp_path)
        assert done.returncode != 0
        assert "which is a picture that is read" in done.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_hidden_files_of_a_folder_are_left_alone(photos: Path, tmp_path: Path) -> None:
    (photos / ".waremill" / "files").mkdir(parents=True)
    (photos / ".waremill" / "files" / "stored.png").write_bytes((photos / "b.png").read_bytes())
    (photos / "._a.jpg").write_bytes(b"\0\5\x16\7")  # what a Mac leaves on a foreign disk
    done = waremill("resize", photos, "out", "--longest", 30, "--json", cwd=tmp_path)
    found = orjson.loads(done.stdout)
    assert (done.returncode, len(found["made"]), found["skipped"]) == (0, 4, 3)


def test_what_failed_is_said_in_the_order_of_the_names(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(2).integers(0, 256, (900, 1200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "in" / "a.png")  # refused last, once it is decoded
    for name in "bcd":
        (tmp_path / "in" / f"{name}.png").write_bytes(b"")
    done = waremill(
        "resize", "in", "out", "--longest", 9000, "--threads", 4, "--json", cwd=tmp_path
    )
    failed = [Path(one["source"]).name for one in orjson.loads(done.stdout)["failed"]]
    assert failed == ["a.png", "b.png", "c.png", "d.png"]
