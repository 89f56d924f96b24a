"""Cell Tracking Challenge: labels and tracks as its conventions say, divisions, gaps, damage."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged_files import is_read_or_refused, mutations
from maskfree.errors import InputError, InputWarning
from maskfree.formats import FORMATS, Annotations, VideoFacts, convert, ctc, export
from maskfree.formats.label_images import visible
from maskfree.types import BoxTracks, InstanceMasks, Track
from plain_annotations import SHAPE, A, B, everything, video
from told_annotations import everything_told, instances, videos

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTS = VideoFacts(4, *SHAPE, 12.5, ["a", "b", "c", "d"])


def annotations(
    frames: list[InstanceMasks | None], parents: Mapping[int, int] | None = None
) -> Annotations:
    parents = parents or {}
    ids = {i for masks in frames if masks is not None for i in masks.track_ids}
    ids |= {*parents, *parents.values()}
    tracks = tuple(Track(i, "object", (), parents.get(i)) for i in sorted(ids))
    boxes = BoxTracks(len(frames), *SHAPE, None, tracks)
    return Annotations(boxes, [f"t{n:03d}" for n in range(len(frames))], frames.__getitem__)


def lines(folder: Path) -> list[str]:
    return (folder / "res_track.txt").read_text(encoding="ascii").splitlines()


def folder_of(
    folder: Path, pictures: Mapping[int, np.ndarray], table: str, kind: str = "mask"
) -> Path:
    """Write a folder as the conventions say, without our writer."""
    folder.mkdir(parents=True)
    for number, ids in pictures.items():
        name = f"{kind}{number:03d}.tif"
        tifffile.imwrite(folder / name, ids.astype(np.uint16), photometric="minisblack")
    name = {"mask": "res_track.txt", "man_track": "man_track.txt"}.get(kind)
    if name:
        (folder / name).write_text(table, encoding="ascii")
    return folder


# --- written ---------------------------------------------------------------------------------


def test_a_division_as_the_conventions_say(tmp_path: Path) -> None:
    frames = [instances({1: A}), instances({1: A}), instances({2: A, 3: B}), instances({3: B})]
    report = export(annotations(frames, {2: 1, 3: 1}), tmp_path / "01_RES", "ctc")
    assert sorted(each.name for each in (tmp_path / "01_RES").iterdir()) == [
        "mask000.tif",
        "mask001.tif",
        "mask002.tif",
        "mask003.tif",
        "res_track.txt",
    ]
    assert lines(tmp_path / "01_RES") == ["1 0 1 0", "2 2 2 1", "3 2 3 1"]
    found = tifffile.imread(tmp_path / "01_RES/mask002.tif")
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, 2 * A + 3 * B)
    assert (report.frames, report.instances) == (4, 3)
    assert report.losses == ("boxes are not kept, only masks",)
    back = ctc.read(tmp_path / "01_RES")
    assert [(track.id, track.parent) for track in back.boxes.tracks] == [(1, None), (2, 1), (3, 1)]
    assert list(back.frame_names) == ["t000", "t001", "t002", "t003"]
    assert [k.frame for k in back.boxes.tracks[0].keyframes] == [0, 1, 2]
    assert back.boxes.tracks[0].keyframes[2].outside


def test_after_a_gap_a_track_goes_on_under_a_new_label(tmp_path: Path) -> None:
    here, gone = instances({5: A}), instances({})
    frames = [here, gone, here, None, here, instances({9: B})]
    report = export(annotations(frames, {9: 5}), tmp_path / "out", "ctc")
    assert lines(tmp_path / "out") == ["5 0 0 0", "9 5 5 11", "10 2 2 5", "11 4 4 10"]
    assert report.losses[-1] == (
        "a label is one stretch of frames: after a gap a track goes on under a new one, as a child "
        "of the one before (tracks 5)"
    )
    assert report.losses[0] == (
        "1 of 6 frames were never predicted and become pictures without labels, as if nothing were "
        "there: t003"
    )
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out/mask004.tif"), 11 * A)
    assert not tifffile.imread(tmp_path / "out/mask003.tif").any()


def test_a_parent_that_goes_on_is_named_as_lost(tmp_path: Path) -> None:
    frames = [instances({1: A}), instances({1: A, 2: B}), instances({3: B})]
    report = export(annotations(frames, {2: 1, 3: 8}), tmp_path / "out", "ctc")
    assert lines(tmp_path / "out") == ["1 0 1 0", "2 1 1 0", "3 2 2 0"]
    assert report.losses[-1] == (
        "a parent must have ended: parents that are never seen, or not only before their child, "
        "are not kept (tracks 2, 3)"
    )


def test_a_mask_that_is_wholly_covered_is_not_in_the_track(tmp_path: Path) -> None:
    frames = [instances({1: A, 2: A}, (0.5, 0.9)), instances({1: A})]
    export(annotations(frames), tmp_path / "out", "ctc")
    assert lines(tmp_path / "out") == ["1 1 1 0", "2 0 0 0"]


def test_losses_are_named() -> None:
    assert FORMATS["ctc"].losses(everything_told()) == [
        "1 of 4 frames were never predicted and become pictures without labels, as if nothing were "
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
        "a parent must have ended: parents that are never seen, or not only before their child, "
        "are not kept (tracks 3)",
    ]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([None], "ctc holds masks, but no frame has any"),
        ([instances({65536: A})], "up to 65535 .* one would be 65536 .* Take the format tiff"),
        (
            [instances({65535: A}), instances({}), instances({65535: A})],
            "one would be 65536 .ids, and new labels after gaps",
        ),
        ([instances({1: A}), InstanceMasks((1,), A[None, :, :8], (1.0,))], "are 8x12 pixels"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, frames: list[InstanceMasks | None], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export(annotations(frames), tmp_path / "out", "ctc")
    assert everything(tmp_path) == {}


def test_an_earlier_export_is_replaced_and_another_folder_never(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(video(A, num_frames=3), out, "ctc")
    export(video(B, num_frames=1), out, "ctc")
    assert sorted(everything(out)) == ["mask000.tif", "res_track.txt"]
    foreign = folder_of(tmp_path / "foreign", {0: 1 * A}, "1 0 0 0\n")
    before = everything(foreign)
    with pytest.raises(InputError, match=r'holds "mask000.tif", which no export'):
        export(video(B), foreign, "ctc")
    (foreign / "mask000.tif").unlink()
    with pytest.raises(InputError, match=r'holds "res_track.txt", which no export'):
        export(video(B), foreign, "ctc")
    assert everything(foreign) == {"res_track.txt": before["res_track.txt"]}


@pytest.mark.parametrize("change", ["table", "picture"])
def test_a_change_on_the_disk_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    def write(source: Annotations, path: Path) -> None:
        ctc.write(source, path)
        if change == "table":
            (path / "res_track.txt").write_text("1 0 0 0\n", encoding="ascii")
        else:
            shutil.copy(path / "mask000.tif", path / "mask001.tif")

    entry = dataclasses.replace(FORMATS["ctc"], write=write)
    monkeypatch.setitem(FORMATS, "ctc", entry)
    source = annotations([instances({1: A}), instances({1: A | B})])
    with pytest.raises(
        InputError, match=r"tracks in res_track\.txt differ|mask of track 1 differs"
    ):
        export(source, tmp_path / "out", "ctc")


# --- what other tools wrote ------------------------------------------------------------------


def test_results_with_gaps_in_the_numbers_and_one_child(tmp_path: Path) -> None:
    pictures = {0: 4 * A, 1: 4 * A, 3: 7 * B}
    folder = folder_of(tmp_path / "01_RES", pictures, "4 0 1 0\r\n\r\n  7 3 3 4 \r\n")
    back = ctc.read(folder)
    assert len(back.frame_names) == 4
    assert back.read_masks(2) is None
    np.testing.assert_array_equal(back.read_masks(3).masks, B[None])
    assert back.boxes.tracks[1].parent == 4
    with_video = ctc.read_of(folder, FACTS)
    assert (with_video.frame_names, with_video.boxes.fps) == (["a", "b", "c", "d"], 12.5)


def test_markers_and_the_cells_named_by_them(tmp_path: Path) -> None:
    dot, other = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    dot[2:4, 2:4] = other[8, 10:12] = True
    markers = dict.fromkeys(range(3), 3 * dot + 8 * other)
    table = "3 0 2 0\n8 0 2 0\n"
    tra = folder_of(tmp_path / "01_GT/TRA", markers, table, "man_track")
    assert [track.id for track in ctc.read(tra).boxes.tracks] == [3, 8]
    seg = folder_of(tmp_path / "01_GT/SEG", {1: 2 * A + 1 * B}, "", "man_seg")
    back = ctc.read(seg)
    assert back.read_masks(0) is None
    masks = back.read_masks(1)
    assert masks.track_ids == (3, 8)
    np.testing.assert_array_equal(masks.masks, [A, B])
    assert back.boxes.tracks[0].keyframes[0].xyxy == (0.0, 0.0, 8.0, 6.0)
    without = {1: 2 * A + 1 * B, 2: 5 * ~(A | B)}
    shutil.rmtree(seg)
    with pytest.warns(InputWarning, match=r"1 cells cover no marker .* \(man_seg002.tif\)"):
        assert ctc.read(folder_of(seg, without, "", "man_seg")).read_masks(2).track_ids == ()
    shutil.rmtree(tra)
    with pytest.raises(InputError, match="whose numbers are no tracks: those are told by the mark"):
        ctc.read(seg)


def test_convert_to_tiff_and_back(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", {0: 4 * A, 1: 4 * A + 7 * B}, "4 0 1 0\n7 1 1 0\n")
    convert(folder, tmp_path / "out.tif", "ctc", "tiff")
    convert(tmp_path / "out.tif", tmp_path / "out", "tiff", "ctc")
    assert lines(tmp_path / "out") == ["4 0 1 0", "7 1 1 0"]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out/mask001.tif"), 4 * A + 7 * B)


@pytest.mark.parametrize(
    ("pictures", "table", "message"),
    [
        ({0: A}, "", "holds label 1 in frame 0, the track file no track"),
        ({0: A}, "1 1 2 0\n", "holds label 1 in frame 0, the track file frames 1 to 2 for it"),
        ({0: A}, "1 0 0\n", r'line 1: expected four whole numbers, .* got "1 0 0"'),
        ({0: A}, "1 0 0 -1\n", "line 1: expected four whole numbers"),
        ({0: A}, "\n0 0 0 0\n", "line 2: expected four whole numbers"),
        ({0: A}, "65536 0 0 0\n", "line 1: expected four whole numbers"),
        ({0: A}, "1 1 0 0\n", "line 1: expected four whole numbers"),
        ({0: A}, "1 0 0 " + "9" * 5000, "line 1: expected four whole numbers"),
        ({0: A}, "1 0 0 0\n1 0 0 0\n", "line 2: label 1 comes twice"),
        ({0: A}, "1 0 0 5\n", "parent of track 1 must be a track that begins before it, got 5"),
        ({0: A}, "1 0 0 2\n2 0 0 1\n", "parent of track 1 must be a track that begins before"),
        ({0: A, 5000: A}, "1 0 9000 0\n", r"holds mask5000.tif and only 2 pictures"),
        ({0: A, 1: A[:, :8]}, "1 0 1 0\n", r"mask001.tif is 8x12, the masks before it 16x12"),
        ({0: np.stack([A, B])}, "1 0 0 0\n", "has 2 pages: pictures in three dimensions"),
        ({}, "1 0 0 0\n", "is no folder of the Cell Tracking Challenge"),
    ],
)
def test_folders_at_fault(
    tmp_path: Path, pictures: dict[int, np.ndarray], table: str, message: str
) -> None:
    folder = folder_of(tmp_path / "in", pictures, table)
    with pytest.raises(InputError, match=message):
        ctc.read(folder)


def test_other_faults(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", {0: A, 3: A}, "1 0 3 0\n")
    with pytest.raises(InputError, match=r"mask003\.tif, the video has only 2 frames"):
        ctc.read_of(folder, dataclasses.replace(FACTS, num_frames=2))
    with pytest.raises(InputError, match="are 16x12 pixels, the video 17x12"):
        ctc.read_of(folder, dataclasses.replace(FACTS, width=17))
    shutil.copy(folder / "mask000.tif", folder / "mask0000.tif")
    with pytest.raises(InputError, match="two pictures of one frame"):
        ctc.read(folder)
    with pytest.raises(InputError, match=r"does not exist\. Give the folder"):
        ctc.read(tmp_path / "none")
    (folder / "res_track.txt").write_bytes(b"1 0 3 \xff\n")
    (folder / "mask0000.tif").unlink()
    with pytest.raises(InputError, match="is not UTF-8 text"):
        ctc.read(folder)


TABLE = b"1 0 1 0\n2 2 2 1\n3 2 3 1\n"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=60), mutations(TABLE)))
def test_any_track_file_is_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        pictures = {0: 1 * A, 2: 2 * A + 3 * B}
        folder = folder_of(Path(name) / "in", pictures, "")
        (folder / "res_track.txt").write_bytes(data)
        is_read_or_refused(lambda: ctc.read(folder))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(videos())
def test_round_trip(source: Annotations) -> None:
    known = [n for n in range(len(source.frame_names)) if source.read_masks(n) is not None]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "out"
        if not known:
            return
        export(source, path, "ctc")
        back = ctc.read(path)
        for line in lines(path):  # one stretch, and the parent has ended before
            label, begin, end, parent = map(int, line.split())
            seen = [
                n for n in range(len(back.frame_names)) if label in back.read_masks(n).track_ids
            ]
            assert seen == [*range(begin, end + 1)]
            assert not parent or int(dict(row(path))[parent][2]) < begin
        for frame in known:
            assert len(back.read_masks(frame).track_ids) == len(visible(source.read_masks(frame)))


def row(path: Path) -> list[tuple[int, list[str]]]:
    return [(int(line.split()[0]), line.split()) for line in lines(path)]
