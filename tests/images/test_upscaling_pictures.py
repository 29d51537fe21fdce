"""Enlarging: closer to the truth than plain scaling, the same again when scaled down, no seams."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from picture_models import TOOLS
from PIL import Image

from waremill.errors import ConfigError, NotFound, SourceError
from waremill.images.lettering import lettering_in
from waremill.images.operation import Tools
from waremill.images.operations.upscale import UpscaleOptions, upscale
from waremill.images.picture import Picture, Pixels

LANCZOS = UpscaleOptions(model="lanczos")


def drawing(size: int = 256) -> Pixels:
    """Edges, curves, grain and letters."""
    rng = np.random.default_rng(4)
    rgb = np.full((size, size, 3), 200, np.uint8)
    for number in range(12):
        colour = tuple(int(part) for part in rng.integers(0, 256, 3))
        centre = tuple(int(part) for part in rng.integers(0, size, 2))
        cv2.circle(rgb, centre, 10 + 4 * number, colour, 3, cv2.LINE_AA)
    cv2.putText(rgb, "50 ml", (20, 200), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 2, cv2.LINE_AA)
    noise = rng.normal(0, 2, rgb.shape)
    blurred = cv2.GaussianBlur(rgb, (0, 0), 0.7).astype(np.float32) + noise
    return np.clip(np.rint(blurred), 0, 255).astype(np.uint8)


def scaled(pixels: Pixels, size: tuple[int, int], how: Image.Resampling) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize(size, how))


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    apart = first.astype(np.float64) - second
    return float(10 * np.log10(255**2 / max(np.mean(apart**2), 1e-9)))


class TestWithoutModel:
    @pytest.mark.parametrize("scale", [2, 3, 4])
    def test_it_is_closer_to_the_truth_than_lanczos(self, scale: int) -> None:
        true = drawing(252)
        side = 252 // scale
        small = scaled(true, (side, side), Image.Resampling.BICUBIC)
        options = UpscaleOptions(scale=scale, model="lanczos")  # type: ignore[arg-type]
        made = upscale(Picture(small), options, Tools(Path)).pixels
        plain = scaled(small, (252, 252), Image.Resampling.LANCZOS)
        assert psnr(made, true) > psnr(plain, true) + 0.2

    def test_scaled_down_again_it_is_the_picture(self) -> None:
        small = drawing(150)
        made = upscale(Picture(small), LANCZOS, Tools(Path)).pixels
        assert psnr(scaled(made, (150, 150), Image.Resampling.BICUBIC), small) >= 40

    def test_tiles_leave_no_seam(self) -> None:
        """All columns of this picture are the same, so all of the result's must be."""
        small = np.repeat(drawing(300)[:, 100:101], 600, axis=1)
        made = upscale(Picture(small), LANCZOS, Tools(Path, threads=2)).pixels
        apart = np.abs(made.astype(int) - made[:, :1])
        assert apart.max() <= 1

    @pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 257), (513, 2)])
    def test_any_size_works(self, size: tuple[int, int]) -> None:
        small = np.full((*size, 4), 77, np.uint8)
        made = upscale(Picture(small), LANCZOS, Tools(Path, threads=2)).pixels
        assert made.shape == (size[0] * 2, size[1] * 2, 4)
        assert set(np.unique(made)) == {77}

    def test_colours_nobody_sees_do_not_bleed_in(self) -> None:
        rgba = np.zeros((80, 80, 4), np.uint8)
        rgba[:] = (0, 255, 0, 0)
        rgba[20:60, 20:60] = (200, 30, 30, 255)
        made = upscale(Picture(rgba), LANCZOS, Tools(Path)).pixels
        seen = made[made[:, :, 3] > 0]
        assert np.abs(seen[:, :3].astype(int) - (200, 30, 30)).max() <= 2
        assert made[80, 80, 3] == 255
        assert made[10, 10].max() == 0

    def test_the_profile_is_kept(self) -> None:
        picture = Picture(drawing(20), b"profile")
        assert upscale(picture, LANCZOS, Tools(Path)).profile == b"profile"

    def test_a_result_beyond_the_bound_is_refused_before_it_is_made(self) -> None:
        large = Picture(np.broadcast_to(np.uint8(0), (10_000, 6_000, 3)))
        with pytest.raises(SourceError, match="240 million pixels, and 200 is the most"):
            upscale(large, LANCZOS, Tools(Path))

    def test_missing_weights_say_what_else_to_do(self) -> None:
        def find(name: str) -> Path:
            raise NotFound(f"the model “{name}” could not be fetched")

        with pytest.raises(NotFound, match="or upscale with lanczos"):
            upscale(Picture(drawing(20)), UpscaleOptions(), Tools(find))

    def test_a_file_that_is_no_network_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "odd.param").write_text("7767517\nnothing\n")
        for options, files in ((UpscaleOptions(model=str(tmp_path / "odd.param")), 0), (None, 1)):
            if files:
                (tmp_path / "odd.bin").write_bytes(b"\0" * 64)
                options = UpscaleOptions(model=str(tmp_path / "odd.param"))
            assert options is not None
            with pytest.raises(ConfigError, match="is not a network"):
                upscale(Picture(drawing(20)), options, Tools(Path))


class TestLettering:
    def test_letters_are_marked_and_plain_shapes_are_not(self) -> None:
        rgb = np.full((200, 300, 3), 230, np.uint8)
        cv2.rectangle(rgb, (20, 20), (120, 120), (40, 60, 160), -1)
        cv2.line(rgb, (10, 190), (290, 150), (0, 0, 0), 2, cv2.LINE_AA)
        for number in range(4):
            place = (150, 40 + 22 * number)
            cv2.putText(rgb, "Aqua 100 ml", place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 1,
                        cv2.LINE_AA)  # fmt: skip
        marked = lettering_in(rgb)
        assert marked[35:100, 160:240].mean() > 0.9
        assert marked[30:110, 30:110].max() < 0.1
        assert marked[140:195, 20:280].mean() < 0.1


@pytest.mark.model
class TestWithModel:
    def test_both_modes_are_closer_to_the_truth_than_lanczos(self, shared_data: Path) -> None:
        folder = shared_data / "product-photos/sr_set5"
        for scale in (2, 4):
            gains: dict[str, list[float]] = {"faithful": [], "sharp": []}
            for name in ("butterfly", "head"):
                file = folder / f"LR_bicubic/X{scale}/{name}x{scale}.png"
                small = np.asarray(Image.open(file).convert("RGB"))
                size = (small.shape[1] * scale, small.shape[0] * scale)
                true = np.asarray(Image.open(folder / f"HR/{name}.png").convert("RGB"))
                true = true[: size[1], : size[0]]
                plain = psnr(scaled(small, size, Image.Resampling.LANCZOS), true)
                for mode in ("faithful", "sharp"):
                    options = UpscaleOptions(scale, mode)  # type: ignore[arg-type]
                    made = upscale(Picture(small), options, TOOLS).pixels
                    gains[mode].append(psnr(made, true) - plain)
            assert np.mean(gains["faithful"]) > 0.2
            assert np.mean(gains["sharp"]) > np.mean(gains["faithful"]) - 1

    def test_scaled_down_again_it_is_the_picture(self) -> None:
        small = drawing(150)
        for mode in ("faithful", "sharp"):
            options = UpscaleOptions(4, mode)  # type: ignore[arg-type]
            made = upscale(Picture(small), options, TOOLS).pixels
            assert psnr(scaled(made, (150, 150), Image.Resampling.BICUBIC), small) >= 40

    def test_lettering_is_scaled_without_the_model(self) -> None:
        rgb = np.full((120, 200, 3), 235, np.uint8)
        for number in range(4):
            cv2.putText(rgb, "Lot 8065 B3", (30, 30 + 22 * number), cv2.FONT_HERSHEY_SIMPLEX, 0.5,
                        (20, 20, 20), 1, cv2.LINE_AA)  # fmt: skip
        plain = upscale(Picture(rgb), LANCZOS, TOOLS).pixels
        inside = (slice(60, 180), slice(80, 240))
        kept = upscale(Picture(rgb), UpscaleOptions(mode="sharp"), TOOLS).pixels
        drawn = upscale(Picture(rgb), UpscaleOptions(mode="sharp", letters=False), TOOLS).pixels
        assert psnr(kept[inside], plain[inside]) > psnr(drawn[inside], plain[inside]) + 6

    def test_tiles_leave_no_seam(self) -> None:
        small = np.repeat(drawing(100)[:, 50:51], 300, axis=1)
        made = upscale(Picture(small), UpscaleOptions(mode="sharp", letters=False), TOOLS).pixels
        for phase in (0, 1):  # the network treats the two columns of a pixel differently
            columns = made[:, 40 + phase : -40 : 2].astype(int)
            assert np.abs(columns - columns[:, :1]).max() <= 1
