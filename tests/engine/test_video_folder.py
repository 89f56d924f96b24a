"""Folders of images: order, names, kinds of pictures, and wrong files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from maskfree.config import VideoConfig
from maskfree.errors import InputError
from maskfree.video import open_video
from maskfree.video_folder import natural_key, read_picture

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (8, 10), dtype=np.uint8)
RGB = RNG.integers(0, 255, (8, 10, 3), dtype=np.uint8)
GREY_16 = RNG.integers(0, 60000, (8, 10), dtype=np.uint16)
RGB_16 = RNG.integers(0, 60000, (8, 10, 3), dtype=np.uint16)


def save(path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(path)


def grey_of(value: int, height: int = 8, width: int = 10) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


def error_of(folder: Path) -> str:
    with pytest.raises(InputError) as raised:
        open_video(folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_natural_order() -> None:
    names = ["f10", "f9b", "F2", "f1", "10", "2", "a", "f02x"]
    assert sorted(names, key=natural_key) == ["2", "10", "a", "f1", "F2", "f02x", "f9b", "f10"]


def test_frames_come_in_natural_order_with_their_names(tmp_path: Path) -> None:
    for number in (10, 0, 2):
        save(tmp_path / f"frame_{number}.png", grey_of(number))
    (tmp_path / ".hidden.png").write_bytes(b"junk")
    (tmp_path / "Thumbs.db").write_bytes(b"junk")
    video = open_video(tmp_path)
    assert video.names == ["frame_0", "frame_2", "frame_10"]
    assert [int(frame[0, 0, 0]) for frame in video] == [0, 2, 10]
    assert video.shape == (3, 8, 10, 3)
    assert video.fps is None
    assert video.source == str(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "TIFF", "PNG"])
def test_kinds_without_loss(suffix: str, tmp_path: Path) -> None:
    save(tmp_path / f"0.{suffix}", RGB)
    assert np.array_equal(open_video(tmp_path)[0], RGB)


def test_grey_alpha_palette_and_bits(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, grey_of(7)])
    bits = RGB[..., 0] > 99
    palette = Image.fromarray(RGB).quantize(16)
    save(tmp_path / "0.png", GREY)
    save(tmp_path / "1.png", np.dstack([GREY, grey_of(7)]))
    save(tmp_path / "2.png", rgba)
    palette.save(tmp_path / "3.png")
    Image.fromarray(bits).save(tmp_path / "4.png")
    with Image.open(tmp_path / "4.png") as saved:
        assert saved.mode == "1"
    grey = np.repeat(GREY[..., None], 3, axis=2)
    video = open_video(tmp_path)
    assert np.array_equal(video[0], grey)
    assert np.array_equal(video[1], grey)
    assert np.array_equal(video[2], RGB)
    assert np.array_equal(video[3], np.asarray(palette.convert("RGB")))


def test_bits_become_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GREY > 99).save(tmp_path / "0.png")
    assert np.array_equal(open_video(tmp_path)[0][..., 1], np.where(GREY > 99, 255, 0))


@pytest.mark.parametrize("picture", [GREY_16, RGB_16], ids=["grey", "RGB"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_read_in_full_depth(picture: np.ndarray, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"0.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(path, picture)
    else:
        cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)
    stored = read_picture(path)
    assert stored.dtype.itemsize >= 2
    assert np.array_equal(stored, picture)


def test_16_bit_rgba_png(tmp_path: Path) -> None:
    rgba = RNG.integers(0, 60000, (8, 10, 4), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "0.png"), rgba[..., [2, 1, 0, 3]])
    assert np.array_equal(read_picture(tmp_path / "0.png"), rgba)


def test_16_bits_are_scaled_alike_in_every_frame(tmp_path: Path) -> None:
    config = VideoConfig(intensity_low=0, intensity_high=100)
    for i, level in enumerate((1000, 3000, 6000)):
        picture = np.full((8, 10), level, np.uint16)
        cv2.imwrite(str(tmp_path / f"{i}.png"), picture)
    video = open_video(tmp_path, config=config)
    assert [int(frame.max()) for frame in video] == [0, 102, 255]


def test_camera_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "0.webp", exif=exif, lossless=True)
    video = open_video(tmp_path)
    assert video.shape == (1, 10, 8, 3)
    assert np.array_equal(video[0], np.rot90(RGB, -1))


def test_channels_first_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "0.tif", np.moveaxis(RGB, -1, 0), photometric="rgb")
    assert np.array_equal(open_video(tmp_path)[0], RGB)


# ------------------------------------------------------------------------------ wrong input


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    message = error_of(tmp_path)
    assert message.startswith(f"{tmp_path} holds no images. Pass a folder of .bmp .btf .jp2")
    frames = tmp_path / "frames"
    frames.mkdir()
    save(frames / "0.png", GREY)
    assert error_of(tmp_path) == (
        f"{tmp_path} holds no images. Its folder frames does: pass {frames}."
    )
    (tmp_path / "clip.mp4").write_bytes(b"x")
    assert error_of(tmp_path) == (
        f"{tmp_path} holds no images. It holds the video clip.mp4: pass {tmp_path / 'clip.mp4'}."
    )


def test_other_size_is_named_when_opening(tmp_path: Path) -> None:
    save(tmp_path / "0.png", GREY)
    save(tmp_path / "1.png", grey_of(0, 9, 12))
    assert error_of(tmp_path) == (
        f"{tmp_path / '1.png'} is 12 x 9 pixels, 0.png is 10 x 8. All frames need one size: remove "
        "or resize it."
    )


def test_other_size_is_named_when_read(tmp_path: Path) -> None:
    for i in range(5):
        save(tmp_path / f"{i}.png", grey_of(i, 9 if i == 2 else 8))
    video = open_video(tmp_path, config=VideoConfig(size_checks=2))
    assert video[4][0, 0, 0] == 4
    with pytest.raises(InputError, match=r"2\.png is 10 x 9 pixels, 0\.png is 10 x 8\."):
        video[2]


def test_only_some_headers_are_read_when_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(40):
        save(tmp_path / f"{i}.png", GREY)
    opened: list[object] = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda f, **how: (opened.append(f), original(f, **how))[1])
    open_video(tmp_path, config=VideoConfig(size_checks=5))
    assert len(opened) == 6


def test_other_depth_is_named(tmp_path: Path) -> None:
    save(tmp_path / "0.png", GREY)
    cv2.imwrite(str(tmp_path / "1.png"), RGB_16)
    video = open_video(tmp_path)
    video[0]
    with pytest.raises(InputError) as raised:
        video[1]
    assert str(raised.value) == (
        f"{tmp_path / '1.png'} holds uint16, the pictures before it uint8. Save them all with the "
        "same depth."
    )


def test_two_pictures_of_one_name(tmp_path: Path) -> None:
    save(tmp_path / "0.png", GREY)
    save(tmp_path / "0.jpg", GREY)
    assert error_of(tmp_path) == (
        f"{tmp_path} holds both 0.jpg and 0.png: which is the frame? Move one kind into a folder "
        "of its own."
    )


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / f"{i}.png", RNG.integers(0, 255, (40, 50), dtype=np.uint8))
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "3.png").write_bytes(b"not a picture")
    assert error_of(tmp_path) == (
        f"{tmp_path / '2.png'} is an empty file. Copy or record it again."
    )
    (tmp_path / "2.png").unlink()
    message = error_of(tmp_path)
    assert message.startswith(f"{tmp_path / '3.png'} cannot be read (cannot identify image file ")
    assert message.endswith("). Copy or write that picture again.")
    (tmp_path / "3.png").unlink()
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:300])
    video = open_video(tmp_path)
    with pytest.raises(InputError) as raised:
        video[1]
    assert str(raised.value) == (
        f"{tmp_path / '1.png'} cannot be read (image file is truncated). Copy or write that "
        "picture again."
    )


def test_damaged_deep_png_is_silent_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "0.png"
    cv2.imwrite(str(path), RNG.integers(0, 60000, (40, 50, 3), dtype=np.uint16))
    path.write_bytes(path.read_bytes()[:200])
    video = open_video(tmp_path)
    with pytest.raises(InputError, match=re.escape(str(path))):
        video[0]
    assert capfd.readouterr() == ("", "")


def test_tiff_of_many_pages_in_a_folder(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "0.tif", np.zeros((3, 8, 10), np.uint8), photometric="minisblack")
    video = open_video(tmp_path)
    with pytest.raises(InputError) as raised:
        video[0]
    assert str(raised.value) == (
        f"{tmp_path / '0.tif'} holds 3 pictures: pass that file as the video, or a folder of "
        "single pictures."
    )
