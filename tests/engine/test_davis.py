"""DAVIS: bytes and names as the contract says, overlaps, reading what other tools wrote."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, export
from maskfree.formats.davis import flatten, read, to_ids
from maskfree.formats.indexed_png import davis_palette, encode_ids, read_ids
from maskfree.tracks import box_at
from maskfree.types import BoxTracks, IgnoreRegion, InstanceMasks, Keyframe, Track

CLIP = Path(__file__).parents[2] / "../shared/videos/gowt1-nuclei/masks"
SHAPE = (12, 16)


def rectangle(y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def instances(masks: dict[int, np.ndarray], scores: tuple[float, ...] = ()) -> InstanceMasks:
    stack = np.stack(list(masks.values())) if masks else np.zeros((0, *SHAPE), bool)
    return InstanceMasks(tuple(masks), stack, scores or (1.0,) * len(masks))


def annotations(
    frames: list[InstanceMasks | None], names: list[str] | None = None, label: str = "object"
) -> Annotations:
    track = Track(1, label, (Keyframe(0, (0.0, 0.0, 4.0, 4.0)),))
    boxes = BoxTracks(len(frames), *SHAPE, None, (track,))
    return Annotations(boxes, names or [f"{n:05d}" for n in range(len(frames))], frames.__getitem__)


A, B = rectangle(0, 0, 6, 8), rectangle(3, 4, 9, 12)


# --- one picture -----------------------------------------------------------------------------


def test_palette_is_the_voc_colour_map() -> None:
    colours = np.frombuffer(davis_palette(), np.uint8).reshape(256, 3).tolist()
    assert colours[:10] == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
        [192, 0, 0],
    ]
    assert colours[255] == [224, 224, 192]
    assert len({tuple(colour) for colour in colours}) == 256


def test_png_as_other_readers_see_it(tmp_path: Path) -> None:
    ids = (np.arange(12 * 16) % 256).reshape(SHAPE).astype(np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(encode_ids(ids))
    assert path.read_bytes()[24:26] == b"\x08\x03"  # 8 bit, indexed
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette() == list(davis_palette())
        np.testing.assert_array_equal(np.array(image), ids)
    np.testing.assert_array_equal(
        iio.imread(path, mode="RGB"),
        np.frombuffer(davis_palette(), np.uint8).reshape(256, 3)[ids],
    )


def test_higher_score_wins_then_the_smaller_id() -> None:
    assert to_ids(instances({1: A, 2: B}, (0.9, 0.4)))[4, 6] == 1
    assert to_ids(instances({1: A, 2: B}, (0.4, 0.9)))[4, 6] == 2
    assert to_ids(instances({2: B, 1: A}, (0.5, 0.5)))[4, 6] == 1
    flat = flatten(instances({1: A, 2: B}, (0.4, 0.9)))
    assert flat.track_ids == (1, 2)
    np.testing.assert_array_equal(flat.masks, [A & ~B, B])


def test_id_beyond_255() -> None:
    assert to_ids(instances({255: A})).max() == 255
    with pytest.raises(InputError, match=r"up to 255 .* track 256\. Take the format ytvis"):
        to_ids(instances({256: A}))


def test_files_come_in_the_order_of_a_video_folder(tmp_path: Path) -> None:
    for name in ("frame10", "frame2", "Frame1"):
        save(tmp_path / f"{name}.png", A)
    assert read(tmp_path).frame_names == ("Frame1", "frame2", "frame10")


# --- export ----------------------------------------------------------------------------------


def test_one_png_a_frame_named_by_the_source(tmp_path: Path) -> None:
    names = ["shot_7", "shot_8", "shot_9"]
    frames = [instances({1: A}), instances({}), instances({1: A, 3: B & ~A})]
    report = export(annotations(frames, names), tmp_path / "out", "davis")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "out",
        "shot_7.png",
        "shot_8.png",
        "shot_9.png",
    ]
    assert (report.format, report.frames, report.instances) == ("davis", 3, 2)
    assert report.losses == ("boxes are not kept, only masks",)
    np.testing.assert_array_equal(read_ids(tmp_path / "out/shot_9.png"), 1 * A + 3 * (B & ~A))
    assert not read_ids(tmp_path / "out/shot_8.png").any()


def test_losses_are_named(tmp_path: Path) -> None:
    frames = [instances({1: A, 2: B}, (0.5, 0.6)), None, instances({1: A}), None]
    report = export(annotations(frames, label="rabbit"), tmp_path / "out", "davis")
    assert report.losses == (
        "2 of 4 frames were never predicted and get no PNG: 00001, 00003",
        "a pixel has one id: where instances overlap, the higher score, then the smaller id wins "
        "(frames 00000)",
        "labels are not kept: rabbit",
        "boxes are not kept, only masks",
        "scores are not kept",
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["00000.png", "00002.png"]
    assert report.frames == 2


def test_ignore_regions_are_named_as_lost() -> None:
    made = annotations([instances({1: A})])
    region = IgnoreRegion(((0, 0), (4, 0), (4, 4)), 0, None)
    made = dataclasses.replace(made, boxes=dataclasses.replace(made.boxes, ignore=(region,)))
    assert "'ignore' regions are not kept" in FORMATS["davis"].losses(made)


def test_many_frames_are_named_by_the_first_and_the_last() -> None:
    losses = FORMATS["davis"].losses(annotations([instances({1: A}), *[None] * 9]))
    assert losses[0] == (
        "9 of 10 frames were never predicted and get no PNG: 00001, 00002, 00003, …, 00009"
    )


@pytest.mark.parametrize(
    ("frames", "names", "message"),
    [
        ([None, None], None, "no frame has any. Run `maskfree predict` first"),
        ([instances({300: A})], None, "track 300"),
        ([instances({1: A})] * 2, ["a", "A"], 'named "a" and "A"'),
        ([instances({1: A})], ["a/b"], 'named "a/b"'),
    ],
)
def test_what_cannot_be_held(
    tmp_path: Path, frames: list[InstanceMasks | None], names: list[str] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export(annotations(frames, names), tmp_path / "deep/er/out", "davis")
    assert list(tmp_path.iterdir()) == []


@given(data=st.data(), num_frames=st.integers(1, 4), num_instances=st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    num_frames: int,
    num_instances: int,
) -> None:
    frames: list[InstanceMasks | None] = []
    for _ in range(num_frames):
        ids = data.draw(
            st.lists(
                st.integers(1, 255), min_size=num_instances, max_size=num_instances, unique=True
            )
        )
        masks = data.draw(hnp.arrays(bool, (num_instances, *SHAPE)))
        scores = [data.draw(st.sampled_from([0.25, 0.5, 1.0])) for _ in ids]
        frames.append(InstanceMasks(tuple(ids), masks, tuple(scores)))
    path = tmp_path_factory.mktemp("davis") / "out"
    export(annotations(frames), path, "davis")
    back = read(path)
    for frame, masks in enumerate(frames):
        found = back.read_masks(frame)
        assert masks is not None
        assert found is not None
        # The slow rule: of the instances that hold the pixel, the best by (score, smaller id).
        for y, x in np.ndindex(SHAPE):
            here = [
                (-s, i)
                for s, i, m in zip(masks.scores, masks.track_ids, masks.masks, strict=True)
                if m[y, x]
            ]
            expected = min(here)[1] if here else 0
            got = [i for i, m in zip(found.track_ids, found.masks, strict=True) if m[y, x]]
            assert got == ([expected] if expected else [])


# --- reading what others wrote ---------------------------------------------------------------


def save(path: Path, ids: np.ndarray, mode: str = "L", **options: object) -> None:
    image = Image.fromarray(ids.astype(np.uint8))
    if mode == "P":
        image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    elif mode == "1":
        image = Image.fromarray(ids > 0)
    image.save(path, **options)


@pytest.mark.parametrize(("mode", "options"), [("L", {}), ("P", {}), ("P", {"bits": 2})])
def test_reads_grey_and_indexed(tmp_path: Path, mode: str, options: dict[str, object]) -> None:
    save(tmp_path / "0.png", 1 * A + 2 * (B & ~A), mode, **options)
    found = read(tmp_path).read_masks(0)
    assert found is not None
    assert found.track_ids == (1, 2)
    assert found.masks.dtype == bool
    np.testing.assert_array_equal(found.masks, [A, B & ~A])
    assert found.scores == (1.0, 1.0)


def test_reads_black_and_white_as_id_1_and_16_bit(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 1 * A, "1")
    Image.fromarray((A * 1000).astype(np.uint16)).save(tmp_path / "b.png")
    back = read(tmp_path)
    assert [back.read_masks(n).track_ids for n in (0, 1)] == [(1,), (1000,)]  # type: ignore[union-attr]


def test_255_is_an_id(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 255 * A)
    assert [track.id for track in read(tmp_path).boxes.tracks] == [255]


def test_boxes_are_the_masks_own(tmp_path: Path) -> None:
    for n, ids in enumerate([A * 1, B * 2, A * 1 + 2 * (B & ~A), 0 * A, 0 * A]):
        save(tmp_path / f"{n}.png", ids)
    boxes = read(tmp_path).boxes
    assert (boxes.num_frames, boxes.height, boxes.width, boxes.fps) == (5, 12, 16, None)
    one, two = boxes.tracks
    assert (one.id, one.label) == (1, "object")
    assert one.keyframes == (
        Keyframe(0, (0.0, 0.0, 8.0, 6.0)),
        Keyframe(1, None, outside=True),
        Keyframe(2, (0.0, 0.0, 8.0, 6.0)),
        Keyframe(3, None, outside=True),
    )
    assert two.keyframes == (
        Keyframe(1, (4.0, 3.0, 12.0, 9.0)),
        Keyframe(2, (4.0, 3.0, 12.0, 9.0)),
        Keyframe(3, None, outside=True),
    )
    assert box_at(two, 0) is None


@pytest.mark.parametrize(
    ("files", "names", "known"),
    [
        (["0", "2", "10"], [str(n) for n in range(11)], {0, 2, 10}),
        (["000", "003"], ["000", "001", "002", "003"], {0, 3}),
        (["0001", "0002"], ["0001", "0002"], {0, 1}),
        (["10", "9"], ["9", "10"], {0, 1}),
        (["0", "x"], ["0", "x"], {0, 1}),
        (["0", "1700000000"], ["0", "1700000000"], {0, 1}),
        (["0", "00", "5"], ["0", "00", "5"], {0, 1, 2}),
    ],
)
def test_frames_by_number_or_order(
    tmp_path: Path, files: list[str], names: list[str], known: set[int]
) -> None:
    for name in files:
        save(tmp_path / f"{name}.png", A)
    back = read(tmp_path)
    assert sorted(back.frame_names) == sorted(names)
    assert len(back.frame_names) == back.boxes.num_frames
    assert {n for n in range(len(names)) if back.read_masks(n) is not None} == known


def grey_png(depth: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        )

    header = (4).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([depth, 0, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\x1b")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"0\.png is not a PNG"),
        (b"\xff\xd8\xff\xe0" + b"x" * 40, r"0\.png is not a PNG"),
        (encode_ids(A.astype(np.uint8))[:-30], r"0\.png is a damaged PNG"),
        (encode_ids(A.astype(np.uint8))[:40], r"0\.png is a damaged PNG"),
        (grey_png(2), r"0\.png is a 2-bit grey PNG"),  # libraries stretch it to 0, 85, 170, 255
    ],
)
def test_files_at_fault(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "0.png").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_colour_and_sizes_at_fault(tmp_path: Path) -> None:
    save(tmp_path / "0.png", A)
    save(tmp_path / "1.png", A[:, :8])
    with pytest.raises(InputError, match=r"1\.png is 8x12, the masks before it are 16x12"):
        read(tmp_path)
    Image.new("RGB", (16, 12)).save(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1\.png is a colour PNG"):
        read(tmp_path)
    save(tmp_path / "1.png", A)
    Image.fromarray(A).save(tmp_path / "1.PNG")
    if len(list(tmp_path.iterdir())) == 3:  # a file system that tells cases apart
        with pytest.raises(InputError, match="two masks of one frame"):
            read(tmp_path)


@pytest.mark.skipif(not CLIP.is_dir(), reason="the shared clips are not beside the repository")
def test_real_sparse_masks() -> None:
    back = read(CLIP)
    known = [n for n in range(len(back.frame_names)) if back.read_masks(n) is not None]
    assert known == sorted(int(path.stem) for path in CLIP.glob("*.png"))
    assert len(known) == 4
    assert len(back.boxes.tracks) == 24
