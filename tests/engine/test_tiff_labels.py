"""TIFF stacks of labels: as other tools write and read them, losses, damaged files."""

from __future__ import annotations

import dataclasses
import importlib.util
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from damaged_files import is_read_or_refused, mutations
from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, VideoFacts, convert, export, label_tiff, tiff
from maskfree.formats.label_images import from_ids, to_ids
from maskfree.types import BoxTracks, InstanceMasks
from plain_annotations import SHAPE, A, B, everything, video
from told_annotations import everything_told, instances, videos

FACTS = VideoFacts(3, *SHAPE, 12.5, ["a", "b", "c"])


def annotations(frames: list[InstanceMasks | None]) -> Annotations:
    boxes = BoxTracks(len(frames), *SHAPE, None, ())
    return Annotations(boxes, [f"{n:05d}" for n in range(len(frames))], frames.__getitem__)


def stack(*pages: np.ndarray, dtype: str = "uint8") -> np.ndarray:
    return np.stack(pages).astype(dtype)


# --- written ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("track_id", "dtype"),
    [(255, "uint8"), (256, "uint16"), (65536, "uint32"), (2**32 - 1, "uint32")],
)
def test_tifffile_reads_a_page_a_frame_as_small_as_holds_the_ids(
    tmp_path: Path, track_id: int, dtype: str
) -> None:
    frames = [instances({track_id: A, 3: B}), instances({}), instances({3: B})]
    report = export(annotations(frames), tmp_path / "out.tif", "tiff")
    assert (report.frames, report.instances, report.losses) == (3, 2, ())
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert len(file.pages) == 3
        assert file.series[0].axes == "TYX"
        assert not file.is_bigtiff
        assert int(file.pages[0].compression) == 8
        found = file.asarray()
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, [track_id * A + 3 * B, 0 * A, 3 * B])


def test_one_frame_is_a_stack_too(tmp_path: Path) -> None:
    export(annotations([instances({2: A})]), tmp_path / "out.tif", "tiff")
    back = tiff.read(tmp_path / "out.tif")
    assert len(back.frame_names) == 1
    np.testing.assert_array_equal(back.read_masks(0).masks, A[None])


def test_losses_are_named(tmp_path: Path) -> None:
    report = export(everything_told(), tmp_path / "out.tif", "tiff")
    assert report.losses == (
        "1 of 4 frames were never predicted and become pages without ids, as if nothing were "
        "there: 8",
        "a pixel has one id: where instances overlap, the higher score, then the smaller id wins "
        "(frames shot 7)",
        'labels are not kept: =1+1, käfer, "groß"\r\n, never seen',
        "boxes are not kept, only masks",
        "'ignore' regions are not kept",
        "scores are not kept",
        'names of frames are not kept: frame 0 is "shot 7"',
        "the frame rate is not kept",
        "fields of the boxes file that we do not know are not kept",
        "parents (divisions) are not kept",
    )
    assert (report.frames, report.instances) == (4, 2)  # 7 lies wholly under 3
    assert FORMATS["tiff"].losses(annotations([instances({1: A})])) == []


def test_the_higher_score_wins_then_the_smaller_id() -> None:
    dtype = np.dtype(np.uint16)
    assert to_ids(instances({1: A, 900: A}, (0.4, 0.9)), dtype)[0, 0] == 900
    assert to_ids(instances({1: A, 900: A}, (0.9, 0.4)), dtype)[0, 0] == 1
    assert to_ids(instances({900: A, 1: A}), dtype)[0, 0] == 1


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([None], "tiff holds masks, but no frame has any. Run `maskfree predict` first"),
        ([instances({2**32: A})], "up to 4294967295 .* track 4294967296. Take the format npz"),
        ([instances({1: A}), InstanceMasks((1,), A[None, :, :8], (1.0,))], "are 8x12 pixels"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, frames: list[InstanceMasks | None], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export(annotations(frames), tmp_path / "out.tif", "tiff")
    assert everything(tmp_path) == {}


def test_a_changed_page_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path, pages, shape, dtype):  # type: ignore[no-untyped-def]
        WRITE(path, [*pages][::-1], shape, dtype)

    monkeypatch.setattr(tiff, "write_stack", write)
    with pytest.raises(InputError, match=r"frame 00000: ids \[2\] instead of \[1\]"):
        export(annotations([instances({1: A}), instances({2: A})]), tmp_path / "o.tif", "tiff")


WRITE = tiff.write_stack


def test_pages_come_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_tiff, "_CLASSIC_BYTES", 100)
    asked: list[int] = []
    plain = video(num_frames=4)

    def read_masks(frame: int) -> InstanceMasks | None:
        asked.append(frame)
        return plain.read_masks(frame)

    export(dataclasses.replace(plain, read_masks=read_masks), tmp_path / "out.tif", "tiff")
    assert asked == [*range(4)] * 5
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.is_bigtiff
        assert len(file.pages) == 4


# --- what other tools wrote ------------------------------------------------------------------


PAGES = stack(A, 5 * B, A + 5 * B)


OPTIONS: list[dict[str, object]] = [
    {},
    {"compression": "zlib", "predictor": True},
    {"tile": (16, 16), "compression": "zlib"},
    {"rowsperstrip": 1},
    {"byteorder": ">"},
    {"bigtiff": True, "byteorder": ">"},
    {"imagej": True},
    {"imagej": True, "metadata": {"axes": "ZYX"}},
    {"imagej": True, "metadata": {"axes": "TYX", "fps": 5.0}},
    {"ome": True, "metadata": {"axes": "TYX"}},
    {"ome": True, "metadata": {"axes": "ZYX"}},
    {"ome": True, "metadata": {"axes": "CYX"}},
]


def kinds(options: dict[str, object]) -> list[str]:
    """ImageJ knows no 32-bit whole numbers; floats with a predictor need imagecodecs."""
    known = ["uint8", "uint16", *([] if options.get("predictor") else ["float32"])]
    return [*known, *([] if options.get("imagej") else ["int32", "uint32"])]


@pytest.mark.parametrize(
    ("options", "dtype"), [(each, kind) for each in OPTIONS for kind in kinds(each)]
)
def test_stacks_of_tifffile_imagej_and_ome(
    tmp_path: Path, options: dict[str, object], dtype: str
) -> None:
    written = PAGES.astype(dtype) * (1 if dtype == "uint8" else 60)
    options = {"photometric": "minisblack", **options}
    tifffile.imwrite(tmp_path / "in.tif", written, **options)
    back = tiff.read(tmp_path / "in.tif")
    assert list(back.frame_names) == ["00000", "00001", "00002"]
    assert (back.boxes.num_frames, back.boxes.height, back.boxes.width) == (3, *SHAPE)
    for frame in range(3):
        found = to_ids(back.read_masks(frame), np.dtype(np.uint32))
        np.testing.assert_array_equal(found, written[frame])
    first, second = back.boxes.tracks
    assert (first.id, second.id) == ((1, 5) if dtype == "uint8" else (60, 300))
    assert [(k.frame, k.xyxy) for k in first.keyframes] == [
        (0, (0.0, 0.0, 8.0, 6.0)),
        (1, None),
        (2, (0.0, 0.0, 8.0, 6.0)),
    ]
    assert [k.frame for k in second.keyframes] == [1, 2]


@pytest.mark.parametrize("compression", [None, "packbits", "tiff_adobe_deflate", "tiff_deflate"])
def test_stacks_of_pillow(tmp_path: Path, compression: str | None) -> None:
    first, *rest = [Image.fromarray(page) for page in PAGES]
    options = {"save_all": True, "append_images": rest, "compression": compression}
    first.save(tmp_path / "in.tif", **options)
    back = tiff.read(tmp_path / "in.tif")
    for frame in range(3):
        found = to_ids(back.read_masks(frame), np.dtype(np.uint8))
        np.testing.assert_array_equal(found, PAGES[frame])


def test_a_codec_that_is_missing_is_named(tmp_path: Path) -> None:
    Image.fromarray(PAGES[0]).save(tmp_path / "in.tif", compression="tiff_lzw")
    if importlib.util.find_spec("imagecodecs") is None:
        with pytest.raises(InputError, match="Install it: pip install imagecodecs"):
            tiff.read(tmp_path / "in.tif")
    else:
        assert tiff.read(tmp_path / "in.tif").read_masks(0).track_ids == (1,)


def test_a_video_names_the_frames_and_must_fit(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", PAGES, photometric="minisblack")
    back = tiff.read_of(tmp_path / "in.tif", FACTS)
    assert (back.frame_names, back.boxes.fps) == (["a", "b", "c"], 12.5)
    with pytest.raises(InputError, match="3 pages of 16x12 pixels, the video 4 frames of 16x12"):
        tiff.read_of(tmp_path / "in.tif", dataclasses.replace(FACTS, num_frames=4))


def test_convert_to_davis_and_back(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", PAGES, photometric="minisblack")
    convert(tmp_path / "in.tif", tmp_path / "d", "tiff", "davis")
    convert(tmp_path / "d", tmp_path / "out.tif", "davis", "tiff")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), PAGES)


@pytest.mark.parametrize(
    ("pages", "options", "message"),
    [
        (PAGES[..., None].repeat(3, 3), {"photometric": "rgb"}, "no picture of ids: expected"),
        (PAGES - 0.5, {}, r"whole numbers from 0 \(background\) to 4294967295, got -0.5 to"),
        (PAGES.astype("int16") - 1, {}, "got -1 to 0. Is it the picture instead of the masks"),
        (PAGES * np.float32("nan"), {}, "got nan to nan"),
        (PAGES[:2, None].repeat(3, 1), {"imagej": True}, "said to hold 3 x 2 pictures over chan"),
        (
            PAGES[:2, None].repeat(3, 1),
            {"ome": True, "metadata": {"axes": "TCYX"}},
            "is said to hold .* pictures over channels, depth and time, and has 6 pages",
        ),
        (PAGES, {"compression": "lzma"}, "compressed as .*. Save it uncompressed, or with Deflate"),
        (PAGES.astype("complex64"), {}, "holds complex64"),
    ],
)
def test_stacks_that_hold_no_ids(
    tmp_path: Path, pages: np.ndarray, options: dict[str, object], message: str
) -> None:
    options = {"photometric": "minisblack", **options}
    tifffile.imwrite(tmp_path / "in.tif", pages, **options)
    with pytest.raises(InputError, match=message):
        tiff.read(tmp_path / "in.tif")


# --- damaged files ---------------------------------------------------------------------------


def written(pages: np.ndarray = PAGES, **options: object) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        tifffile.imwrite(path, pages, photometric="minisblack", metadata=None, **options)
        return path.read_bytes()


def tag_value(data: bytes, code: int, value: int) -> bytes:
    """Change a tag of the first page of a little-endian classic TIFF."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, place)[0] == code:
            head = struct.pack("<HHII", code, 4, 1, value)
            return data[:place] + head + data[place + 12 :]
    raise AssertionError(code)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not a TIFF"),
        (b"II", "is not a TIFF"),
        (b"\x89PNG\r\n\x1a\n", "is not a TIFF"),
        (b"II*\0\0\0\0\0", "holds no page"),
        (b"II*\0\xff\xff\0\0", "damaged TIFF"),
        (written()[: len(written()) // 2], "damaged|cut off"),
        (written()[:-200], "damaged|cut off"),
        (tag_value(written(), 273, 10**9), "cut off"),
        (tag_value(written(), 256, 10**9), "claims 1000000000x12 pixels, at most"),
        (tag_value(written(), 257, 0), "no picture of ids|claims"),
        (tag_value(written(), 279, 10**9), "cut off"),
        (tag_value(written(), 259, 34712), "compressed as"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "in.tif").write_bytes(data)
    with pytest.raises(InputError, match=message):
        tiff.read(tmp_path / "in.tif")


def test_pages_that_go_round_in_a_circle(tmp_path: Path) -> None:
    data = bytearray(written(np.zeros((150, 2, 2), np.uint8), compression="zlib"))
    offsets = [struct.unpack_from("<I", data, 4)[0]]
    while offsets[-1]:
        (count,) = struct.unpack_from("<H", data, offsets[-1])
        place = offsets[-1] + 2 + 12 * count
        offsets.append(struct.unpack_from("<I", data, place)[0])
    assert len(offsets) == 151
    struct.pack_into("<I", data, place, offsets[120])
    (tmp_path / "in.tif").write_bytes(data)
    with pytest.raises(InputError, match="is a damaged TIFF"):
        tiff.read(tmp_path / "in.tif")


def test_a_strip_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    packer = zlib.compressobj(9)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush()
    data = written(PAGES[:1], compression="zlib")
    data = tag_value(tag_value(data, 273, len(data)), 279, len(bomb))
    (tmp_path / "in.tif").write_bytes(data + bomb)
    with pytest.raises(InputError, match="unpacks to more than its pixels"):
        tiff.read(tmp_path / "in.tif")


def test_so_many_ids_that_masks_would_fill_the_memory() -> None:
    ids = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    with pytest.raises(InputError, match="65535 ids of 65536 pixels each take more than"):
        from_ids(ids, "here")


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no TIFF"):
        tiff.read(tmp_path / "none.tif")
    with pytest.raises(InputError, match=r"is a folder\. Give the file itself"):
        tiff.read(tmp_path)


VALID = [written(), written(compression="zlib"), written(tile=(16, 16)), written(bigtiff=True)]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=200), st.sampled_from(VALID).flatmap(mutations)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.tif"
        path.write_bytes(data)
        is_read_or_refused(lambda: tiff.read(path))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(videos())
def test_round_trip(source: Annotations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.tif"
        if all(source.read_masks(frame) is None for frame in range(len(source.frame_names))):
            with pytest.raises(InputError, match="no frame has any"):
                export(source, path, "tiff")
            return
        export(source, path, "tiff")
        back = tiff.read(path)
        for frame in range(len(source.frame_names)):
            masks = source.read_masks(frame)
            wanted = np.zeros(SHAPE, np.uint32)
            if masks is not None:
                wanted = to_ids(masks, np.dtype(np.uint32))
            found = to_ids(back.read_masks(frame), np.dtype(np.uint32))
            np.testing.assert_array_equal(found, wanted)
