"""NPZ: numpy alone reads it, nothing is lost, and strangers' files are checked."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged_files import is_read_or_refused, mutations
from maskfree.boxes_json import boxes_to_json
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, export, npz, npz_reader
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B, everything, video
from told_annotations import everything_told, instances, videos


def same(first: Annotations, second: Annotations) -> None:
    assert list(first.frame_names) == list(second.frame_names)
    assert list(first.file_names) == list(second.file_names)
    texts = [json.dumps(boxes_to_json(each.boxes)) for each in (first, second)]
    assert texts[0] == texts[1]
    for frame in range(len(first.frame_names)):
        masks, found = first.read_masks(frame), second.read_masks(frame)
        assert (masks is None) == (found is None)
        if masks is not None and found is not None:
            assert masks.track_ids == found.track_ids
            assert masks.scores == found.scores
            np.testing.assert_array_equal(masks.masks, found.masks)


def test_nothing_is_lost(tmp_path: Path) -> None:
    source = everything_told()
    report = export(source, tmp_path / "out.npz", "npz")
    assert report.losses == ()
    assert (report.frames, report.instances) == (3, 4)
    same(source, npz.read(tmp_path / "out.npz"))


def test_boxes_alone_and_nothing_at_all(tmp_path: Path) -> None:
    boxes = video().boxes
    for number, kept in enumerate([boxes, dataclasses.replace(boxes, tracks=())]):
        source = Annotations(kept, ["a", "b", "c"], lambda _: None)
        report = export(source, tmp_path / f"{number}.npz", "npz")
        assert (report.frames, report.instances) == (1 - number, 1 - number)
        same(source, npz.read(tmp_path / f"{number}.npz"))


def test_boxes_read_a_frame_at_a_time_are_named_as_lost() -> None:
    source = dataclasses.replace(video(), read_boxes=lambda frame: {})
    assert FORMATS["npz"].losses(source) == ["boxes that are no keyframes are not kept"]


def test_numpy_alone_reads_the_masks_as_documented(tmp_path: Path) -> None:
    source = everything_told()
    export(source, tmp_path / "out.npz", "npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        assert (header["format"], header["version"]) == ("napari-maskfree", 1)
        height, width = header["mask_size"]
        frame = 0
        c = np.searchsorted(file["chunk_frame"], frame, side="right") - 1
        ends = np.cumsum(file[f"mask_length_{c}"])
        found = {}
        for n in np.flatnonzero(file[f"mask_frame_{c}"] == frame):
            runs = np.split(file[f"mask_runs_{c}"], ends)[n]
            on = np.arange(len(runs)) % 2 == 1
            found[int(file[f"mask_track_{c}"][n])] = np.repeat(on, runs).reshape(height, width)
        np.testing.assert_array_equal(found[7], A)
        np.testing.assert_array_equal(found[3], A | B)
        assert file["mask_score_0"].tolist() == [0.25, 0.5, 0.1, 1.0]
        assert file["known"].tolist() == [True, False, True, True]
        assert file["keyframe_track"].tolist() == [7, 7, 7, 3]
        assert file["keyframe_frame"].tolist() == [0, 2, 3, 1]
        np.testing.assert_array_equal(file["keyframe_xyxy"][1], [1.0, 1.0, 7 / 3, 9.0])
        assert file["keyframe_outside"].tolist() == [False, False, True, False]
        assert file["keyframe_occluded"].tolist() == [False, True, False, False]


@pytest.mark.parametrize("most", [1, 5, 1000])
def test_masks_are_written_in_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(npz, "FormatConfig", functools.partial(FormatConfig, chunk_runs=most))
    frames = [
        instances({1: A}),
        None,
        instances({2: A, 3: B}),
        instances({}),
        instances({1: B}),
        None,
    ]
    boxes = BoxTracks(6, *SHAPE, None, ())
    source = Annotations(boxes, [str(n) for n in range(6)], frames.__getitem__)
    export(source, tmp_path / "out.npz", "npz")
    with np.load(tmp_path / "out.npz") as file:
        assert file["chunk_frame"].tolist() == ([0] if most == 1000 else [0, 2, 4])
    back = npz.read(tmp_path / "out.npz")
    same(source, back)
    assert [back.read_masks(f).track_ids for f in (4, 0, 2)] == [(1,), (1,), (2, 3)]


def test_a_chunk_is_read_once_for_its_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(video(num_frames=4), tmp_path / "out.npz", "npz")
    back = npz.read(tmp_path / "out.npz")
    asked: list[str] = []

    def get(self: Any, file: Any, name: str, *rest: Any) -> np.ndarray:
        asked.append(name)
        return GET(self, file, name, *rest)

    monkeypatch.setattr(npz_reader._Arrays, "get", get)
    for frame in range(4):
        back.read_masks(frame)
    assert asked.count("mask_runs_0") == 1


GET = npz_reader._Arrays.get


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([instances({2**63: A})], "up to 9223372036854775807 .* track 9223372036854775808"),
        ([instances({1: A}), InstanceMasks((1,), A[None, :, :8], (1.0,))], "are 8x12 pixels"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, frames: list[InstanceMasks | None], message: str
) -> None:
    source = Annotations(
        BoxTracks(1, *SHAPE, None, ()), ["a", "b"][: len(frames)], frames.__getitem__
    )
    with pytest.raises(InputError, match=message):
        export(source, tmp_path / "out.npz", "npz")
    assert everything(tmp_path) == {}


@pytest.mark.parametrize("change", ["score", "pixel", "order", "label", "keyframe", "name", "file"])
def test_each_difference_is_seen(change: str) -> None:
    source, told = everything_told(), everything_told()
    masks = told.read_masks(0)
    assert masks is not None
    tracks = list(told.boxes.tracks)
    if change == "score":
        masks = dataclasses.replace(masks, scores=(0.25, 0.5000001))
    elif change == "pixel":
        masks.masks[1, 0, 15] ^= True
    elif change == "order":
        masks = InstanceMasks(masks.track_ids[::-1], masks.masks[::-1], masks.scores[::-1])
    elif change == "label":
        tracks[2] = dataclasses.replace(tracks[2], label="seen")
    elif change == "keyframe":
        tracks[1] = dataclasses.replace(tracks[1], keyframes=(Keyframe(2, (1.0, 1.0, 2.0, 2.0)),))
    elif change == "name":
        told = dataclasses.replace(told, frame_names=["shot 7", "8", "x", "8"])
    else:
        told = dataclasses.replace(told, file_names=())
    boxes = dataclasses.replace(told.boxes, tracks=tuple(tracks))
    rest = told.read_masks
    back = dataclasses.replace(
        told, boxes=boxes, read_masks=lambda frame: rest(frame) if frame else masks
    )
    compare = FORMATS["npz"].compare
    assert compare(source, everything_told()).difference == ""
    assert compare(source, back).difference


# --- damaged files ---------------------------------------------------------------------------


def written(source: Annotations) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        npz.write(source, Path(folder) / "a.npz")
        return (Path(folder) / "a.npz").read_bytes()


def arrays() -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(written(everything_told()))) as file:
        return dict(file)


def told(**changes: Any) -> np.ndarray:
    header = json.loads(arrays()["header"].tobytes()) | changes
    return np.frombuffer(json.dumps(header).encode(), np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saved_again_is_read(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "in.npz", **arrays())
    same(everything_told(), npz.read(tmp_path / "in.npz"))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("known", None, 'the array "known" is missing'),
        ("known", np.ones(3, bool), '"known" has 3 values instead of 4'),
        ("known", np.ones(4, np.uint8), r'"known" is uint8 of the shape \(4,\)'),
        ("known", np.array([None] * 4), '"known" is object'),
        ("chunk_frame", np.array([9]), "the chunks are not in order of frame"),
        ("chunk_frame", np.array([0, 0]), "the chunks are not in order of frame"),
        ("chunk_frame", np.array([0, 1]), "not in order of frame|mask_frame_1"),
        ("mask_frame_0", np.array([3, 0, 3, 3]), "mask_frame_0 is not in order"),
        ("mask_frame_0", np.array([0, 1, 3, 3]), "mask_frame_0 is not in order"),
        ("mask_track_0", np.array([1, 2, 3, 0]), "mask_track_0 has ids below 1"),
        ("mask_length_0", np.array([1, 1, 1, 1]), "mask_length_0 does not add up"),
        ("mask_length_0", np.array([2**62] * 4), "mask_length_0 does not add up"),
        ("mask_runs_0", np.ones(3, np.uint32), "mask_length_0 does not add up"),
        ("keyframe_track", np.array([7, 7, 7, 4]), "keyframes are not those of its tracks"),
        ("keyframe_frame", np.array([2, 0, 3, 1]), "keyframes of track 7 are not in order"),
        ("keyframe_frame", np.array([0, 2, 9, 1]), r"frame must lie in 0 to 3"),
        ("keyframe_xyxy", np.zeros((4, 4)), "xyxy must be"),
        ("keyframe_xyxy", np.zeros((4, 5)), r"of the shape \(4, 5\)"),
        ("header", np.zeros(3, np.uint8), "its header is not JSON"),
        ("header", np.frombuffer(b"[" * 100_000, np.uint8), "its header is not JSON"),
        ("header", told(version=2), "and version 1, got .* and 2. Update napari-maskfree"),
        ("header", told(format="x"), 'expected format "napari-maskfree"'),
        ("header", told(mask_size=[12, 17]), "runs of frame 0 do not fill 17x12"),
        ("header", told(mask_size=[10**9, 10**9]), "has 2 masks of 1000000000x1000000000"),
        ("header", told(mask_size=[12]), r"mask_size is \[12\]"),
        ("header", told(frame_names=["a"]), "instead of 1|have 1 names"),
        ("header", told(frame_names=[1, 2, 3, 4]), "frame_names must be a list of text"),
        ("header", told(file_names=["a"]), "1 file names"),
        ("header", told(boxes=None), "expected a boxes file"),
        ("header", told(keyframe_extra=[[9, {}]]), r"keyframe_extra has \[9, \{\}\]"),
    ],
)
def test_arrays_that_do_not_fit(
    tmp_path: Path, name: str, value: np.ndarray | None, message: str
) -> None:
    changed = arrays() | {name: value}
    kept = {key: each for key, each in changed.items() if each is not None}
    np.savez(tmp_path / "in.npz", **kept)

    def read() -> None:
        back = npz.read(tmp_path / "in.npz")
        for frame in range(4):
            back.read_masks(frame)

    with pytest.raises(InputError, match=message):
        read()


def test_an_array_that_claims_too_much_is_not_allocated(tmp_path: Path) -> None:
    for shape in [(10**15,), (-5,)]:
        buffer = io.BytesIO()
        head = {"descr": "<i8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(buffer, head)
        with zipfile.ZipFile(tmp_path / "in.npz", "w") as file:
            for name, value in arrays().items():
                with file.open(f"{name}.npy", "w") as out:
                    if name == "chunk_frame":
                        out.write(buffer.getvalue())
                    else:
                        np.lib.format.write_array(out, value)
        with pytest.raises(InputError, match=r'"chunk_frame" claims -?\d+ bytes, at most'):
            npz.read(tmp_path / "in.npz")


def test_a_bomb_of_another_compression_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.npz", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("header.npy", b"\0" * 1000)
    with pytest.raises(InputError, match='"header" is compressed in a way'):
        npz.read(tmp_path / "in.npz")


def test_files_that_are_no_archives(tmp_path: Path) -> None:
    (tmp_path / "in.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"in\.npz cannot be read \(File is not a zip file\)"):
        npz.read(tmp_path / "in.npz")
    with pytest.raises(InputError, match="There is no npz file"):
        npz.read(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match='the array "header" is missing'):
        npz.read(tmp_path / "other.npz")


VALID = [written(everything_told()), written(video())]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=200), st.sampled_from(VALID).flatmap(mutations)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.npz"
        path.write_bytes(data)
        is_read_or_refused(lambda: npz.read(path))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(videos())
def test_round_trip(source: Annotations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.npz"
        assert export(source, path, "npz").losses == ()
        same(source, npz.read(path))


def test_runs_of_a_mask() -> None:
    assert npz.run_lengths(A).tolist()[:3] == [0, 8, 8]
    assert npz.run_lengths(~A).tolist()[:3] == [8, 8, 8]
    assert npz.run_lengths(A & False).tolist() == [A.size]
    assert npz.run_lengths(A | True).tolist() == [0, A.size]


def test_track_that_is_told_of_twice_in_the_header(tmp_path: Path) -> None:
    track = Track(1, "a", (Keyframe(0, (0.0, 0.0, 1.0, 1.0)),))
    boxes = boxes_to_json(BoxTracks(4, *SHAPE, None, (track,)))
    np.savez(tmp_path / "in.npz", **(arrays() | {"header": told(boxes=boxes)}))
    with pytest.raises(InputError, match="keyframes are not those of its tracks"):
        npz.read(tmp_path / "in.npz")
