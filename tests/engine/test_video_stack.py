"""Stacks on disk: TIFF of every make, zarr arrays and groups, and those that are damaged."""

from __future__ import annotations

import gc
import importlib.util
import logging
import re
import struct
import tracemalloc
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from maskfree.bounded_file import BoundedFile
from maskfree.errors import InputError, InputWarning
from maskfree.video import open_video
from stacks import FULL, RNG, H, T, W, eight_bit, error_of, frames_of, grey

if TYPE_CHECKING:
    from pathlib import Path

# ------------------------------------------------------------------------------ TIFF

GREY_16 = RNG.integers(0, 4000, (T, H, W), dtype=np.uint16)


def scaled(stack: np.ndarray) -> np.ndarray:
    low, high = float(stack.min()), float(stack.max())
    return np.rint((stack - low) * (255 / (high - low))).astype(np.uint8)


@pytest.mark.parametrize(
    ("arguments"),
    [
        {},
        {"photometric": "minisblack", "metadata": None},
        {"imagej": True},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"compression": "zlib"},
        {"truncate": True},
        {"byteorder": ">"},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"bigtiff": True},
        {"tile": (16, 16)},
    ],
    ids=str,
)
def test_16_bit_tiff_pages(arguments: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, GREY_16, **arguments)
    frames = frames_of(path, config=FULL)
    assert np.abs(frames.astype(int) - grey(scaled(GREY_16)).astype(int)).max() <= 1
    assert open_video(path).names == [f"{i:05d}" for i in range(T)]
    assert open_video(path).source == str(path)


def test_tiff_axes(tmp_path: Path) -> None:
    stack = eight_bit(T, 2, 3, H, W)
    path = tmp_path / "hyper.tif"
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TZCYX"})
    assert np.array_equal(frames_of(path, depth=1), np.moveaxis(stack[:, 1], 1, -1))
    assert np.array_equal(frames_of(path, channels=(2,)), grey(stack[:, 0, 2]))


def test_colour_tiff(tmp_path: Path) -> None:
    rgba = eight_bit(T, H, W, 4)
    tifffile.imwrite(
        tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"], tile=(16, 16)
    )
    assert np.array_equal(frames_of(tmp_path / "a.tif"), rgba[..., :3])
    planar = eight_bit(T, 3, H, W)
    tifffile.imwrite(tmp_path / "b.tif", planar, photometric="rgb", planarconfig="separate")
    assert np.array_equal(frames_of(tmp_path / "b.tif"), np.moveaxis(planar, 1, -1))


def test_a_page_is_read_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, eight_bit(50, H, W), photometric="minisblack")
    with open_video(path) as video:
        assert video._frames._array.chunks == (1, H, W)


def test_one_page_tiff(tmp_path: Path) -> None:
    path = tmp_path / "one.tif"
    tifffile.imwrite(path, eight_bit(H, W))
    assert error_of(path) == (
        f"{path} is one picture. Pass the folder that holds the frames ({tmp_path})."
    )


def test_pages_of_different_sizes(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for shape in ((H, W), (H, W), (3, 4)):
            writer.write(eight_bit(*shape), photometric="minisblack", metadata=None)
    with pytest.warns(InputWarning) as warned:
        assert len(open_video(path)) == 2
    assert [str(w.message) for w in warned] == [
        f"{path} holds 2 series of pictures; only the first, of 2 frames, is read."
    ]


@pytest.mark.parametrize("part", [0.9, 0.5, 0.02])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_that_was_cut_off(
    part: float, compression: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, GREY_16, compression=compression, photometric="minisblack")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            frames = frames_of(path)
        except InputError as error:
            message = str(error)
            assert message.endswith("). The file is damaged or cut off: copy it again.")
        else:
            assert len(frames) <= T
            message = str(warned[0].message)
            assert message == (
                f"{path} is cut off or damaged; frames that can be read: {len(frames)}. Only those "
                "are used; copy the file again if it should be longer."
            )
    assert str(path) in message
    assert capfd.readouterr() == ("", "")


def directories(data: bytes) -> list[int]:
    """Return where the directories of a little-endian TIFF begin, in bytes."""
    places = [struct.unpack_from("<I", data, 4)[0]]
    while places[-1]:
        (tags,) = struct.unpack_from("<H", data, places[-1])
        places.append(struct.unpack_from("<I", data, places[-1] + 2 + 12 * tags)[0])
    return places[:-1]


@pytest.mark.parametrize("damage", ["circle", "page without tags", "cut in a page"])
def test_tiff_whose_pages_do_not_end(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, GREY_16, byteorder="<", photometric="minisblack", metadata=None)
    data = bytearray(path.read_bytes())
    first, *_, last = directories(data)
    after = last + 2 + 12 * struct.unpack_from("<H", data, last)[0]
    if damage == "circle":
        struct.pack_into("<I", data, after, first)
    elif damage == "page without tags":
        struct.pack_into("<H", data, last, 0)
        struct.pack_into("<I", data, last + 2, first)
    else:
        struct.pack_into("<I", data, after - 6, first)
        del data[after - 2 :]
    path.write_bytes(data)
    said = re.sub(r"page \d+", "page P", error_of(path))
    assert said == f"{path} is a damaged TIFF (page P). Copy or write it again."


def test_a_page_is_not_given_the_gigabytes_it_claims(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path, GREY_16, byteorder="<", photometric="minisblack", compression="zlib", metadata=None
    )
    data = bytearray(path.read_bytes())
    place = directories(data)[2]
    for tag in range(struct.unpack_from("<H", data, place)[0]):
        entry = place + 2 + 12 * tag
        if struct.unpack_from("<H", data, entry)[0] == 279:  # StripByteCounts
            struct.pack_into("<HII", data, entry + 2, 4, 1, 2**31)
    path.write_bytes(data)
    with open_video(path) as video:
        tracemalloc.start()
        whole = video[2]
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 2**24
    assert whole.shape == (H, W, 3)


def test_a_file_gives_no_more_than_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(10)))
    with BoundedFile(tmp_path / "a.bin") as file:
        assert file.read(4) == bytes(range(4))
        assert file.read(2**62) == bytes(range(4, 10))
        assert file.read() == file.read(None) == file.read(3) == b""
        file.seek(100)
        assert file.read(2**40) == b""
        file.seek(8)
        assert file.read() == bytes([8, 9])


def test_lzw_tiff_is_read_or_says_what_it_needs(tmp_path: Path) -> None:
    stack = eight_bit(T, H, W)
    path = tmp_path / "lzw.tif"
    pages = [Image.fromarray(page) for page in stack]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_lzw")
    if importlib.util.find_spec("imagecodecs"):
        assert np.array_equal(frames_of(path), grey(stack))
    else:
        message = error_of(path)
        assert message.startswith(f"Frame 4 of {path} cannot be read (")
        assert message.endswith("). Install it: pip install imagecodecs")


def test_not_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text("hello", encoding="utf-8")
    message = error_of(path)
    assert message.startswith(f"{path} cannot be read (not a TIFF file")
    assert message.endswith("The file is damaged or cut off: copy it again.")


def test_tifffile_logger_is_left_as_it_was(tmp_path: Path) -> None:
    logger = logging.getLogger("tifffile")
    before = list(logger.handlers)
    tifffile.imwrite(tmp_path / "a.tif", eight_bit(T, H, W), photometric="minisblack")
    open_video(tmp_path / "a.tif")
    assert logger.handlers == before
    assert logger.propagate


def test_tiff_is_closed_with_the_video_and_without(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, eight_bit(T, H, W), photometric="minisblack")
    video = open_video(path)
    closed = video._frames._close
    assert closed.alive
    del video
    gc.collect()
    assert not closed.alive
    with open_video(path) as video:
        closed = video._frames._close
    assert not closed.alive


# ------------------------------------------------------------------------------ zarr


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_array(version: int, tmp_path: Path) -> None:
    stack = eight_bit(T, H, W, 3)
    array = zarr.create_array(
        str(tmp_path / "a.zarr"), data=stack, chunks=(1, H, W, 3), zarr_format=version
    )
    assert np.array_equal(frames_of(tmp_path / "a.zarr"), stack)
    assert np.array_equal(frames_of(array), stack)
    assert open_video(tmp_path / "a.zarr").source == str(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_groups(version: int, tmp_path: Path) -> None:
    stacks = [eight_bit(T, H, W), eight_bit(T, H // 2, W // 2)]
    only = zarr.open_group(str(tmp_path / "only.zarr"), mode="w", zarr_format=version)
    only.create_array("images", data=stacks[0])
    assert np.array_equal(frames_of(tmp_path / "only.zarr"), grey(stacks[0]))
    levels = zarr.open_group(str(tmp_path / "levels.zarr"), mode="w", zarr_format=version)
    for i, stack in enumerate(stacks):
        levels.create_array(str(i), data=stack)
    assert np.array_equal(frames_of(tmp_path / "levels.zarr"), grey(stacks[0]))
    inside = tmp_path / "levels.zarr" / "1"
    assert np.array_equal(frames_of(inside), grey(stacks[1]))


@pytest.mark.parametrize("ome", ["0.4", "0.5"])
def test_ome_zarr(ome: str, tmp_path: Path) -> None:
    stack = eight_bit(2, 3, T, H, W)  # an order that a guess would take for t c z
    path = tmp_path / "image.ome.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if ome == "0.4" else 3)
    group.create_array("full", data=stack)
    group.create_array("half", data=stack[..., ::2, ::2])
    images = [
        {
            "axes": [{"name": name} for name in "zctyx"],
            "datasets": [{"path": "full"}, {"path": "half"}],
        }
    ]
    group.attrs.update(
        {"multiscales": images} if ome == "0.4" else {"ome": {"multiscales": images}}
    )
    assert np.array_equal(frames_of(path, depth=1), np.moveaxis(stack[1], 0, -1))


def test_series_inside_a_zarr(tmp_path: Path) -> None:
    stack = eight_bit(T, 1, 1, H, W)
    root = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    root.create_group("OME")
    image = root.create_group("0")
    image.create_array("0", data=stack)
    image.attrs["ome"] = {"multiscales": [{"datasets": [{"path": "0"}]}]}
    assert np.array_equal(frames_of(tmp_path / "a.zarr"), grey(stack[:, 0, 0]))


def test_named_dimensions(tmp_path: Path) -> None:
    stack = eight_bit(H, W, T)
    zarr.create_array(
        str(tmp_path / "a.zarr"), data=stack, dimension_names=["height", "width", "time"]
    )
    assert np.array_equal(frames_of(tmp_path / "a.zarr"), grey(np.moveaxis(stack, -1, 0)))
    zarr.create_array(
        str(tmp_path / "b.zarr"), data=eight_bit(T, H, W), dimension_names=list("zyx")
    )
    assert len(open_video(tmp_path / "b.zarr")) == T


def test_group_without_an_obvious_array(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    group = zarr.open_group(str(path), mode="w")
    assert error_of(path) == (f"{path} is a zarr group without arrays. Pass the array itself.")
    for name in ("raw", "labels"):
        group.create_array(name, data=eight_bit(T, H, W))
    assert error_of(path) == (
        f"{path} is a zarr group of labels, raw. Pass one of them: {path / 'labels'}"
    )


def test_damaged_zarr(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(str(path), data=eight_bit(T, H, W), chunks=(1, H, W))
    for chunk in (path / "c" / "2").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"junk")
    video = open_video(path)
    video[1]
    with pytest.raises(InputError) as raised:
        video[2]
    assert str(raised.value).startswith(f"Frame 2 of {path} cannot be read (")
    assert str(raised.value).endswith("). Copy the whole folder again.")
    (path / "zarr.json").write_text("{", encoding="utf-8")
    assert error_of(path).startswith(f"{path} cannot be read (")
