"""MOTS, as text and as pictures, read: what other tools wrote, files at fault."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

from maskfree.errors import InputError, InputWarning
from maskfree.formats import VideoFacts, export, mots, mots_png
from maskfree.formats.indexed_png import encode_grey
from maskfree.numbered_names import NumberedNames
from maskfree.types import IgnoreRegion, Keyframe
from mots_examples import OVER, H, W, counts_of, masks
from mutated_files import mutated, read_all
from plain_annotations import A, B


def line(frame: int, number: int, mask: np.ndarray, class_number: int | None = None) -> str:
    own = number // 1000 if class_number is None else class_number
    return f"{frame} {number} {own} {H} {W} {counts_of(mask)}\n"


def save(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines), encoding="ascii")
    return path


def facts(names: Any) -> VideoFacts:
    return VideoFacts(len(names), H, W, 10.0, names)


def test_reads_kitti(tmp_path: Path) -> None:
    lines = [line(0, 1000, A), line(2, 1000, A), line(2, 2001, B), line(1, 10000, OVER)]
    back = mots.read(save(tmp_path / "0002.txt", *lines))
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (1000, "car"),
        (2001, "pedestrian"),
    ]
    assert back.boxes.tracks[0].keyframes == (
        Keyframe(0, (0.0, 0.0, 8.0, 6.0)),
        Keyframe(1, None, outside=True),
        Keyframe(2, (0.0, 0.0, 8.0, 6.0)),
    )
    corners = ((4.0, 3.0), (12.0, 3.0), (12.0, 9.0), (4.0, 9.0))
    assert back.boxes.ignore == (IgnoreRegion(corners, 1, 1),)
    assert masks(back, 2) == {1000: A.tolist(), 2001: B.tolist()}
    assert masks(back, 1) == {}
    export(back, tmp_path / "again.txt", "mots")
    assert mots.read(tmp_path / "again.txt").boxes == back.boxes


def test_what_frames_count_from(tmp_path: Path) -> None:
    path = save(tmp_path / "a.txt", line(1, 2001, A), line(3, 2001, B))

    def first(names: Any) -> int:
        back = mots.read_of(path, facts(names))
        assert (back.boxes.num_frames, back.boxes.fps) == (len(names), 10.0)
        return back.boxes.tracks[0].keyframes[0].frame

    assert first(["000001", "000002", "000003", "000004"]) == 0  # MOTSChallenge's names
    assert first(["000000", "000001", "000002", "000003"]) == 1  # KITTI's
    assert first(["a", "b", "c", "d"]) == 1
    assert first(NumberedNames(3)) == 0  # it has no frame 3
    with pytest.warns(InputWarning, match="taken to count from 0, as KITTI MOTS"):
        assert first(NumberedNames(4)) == 1
    with pytest.warns(InputWarning, match="name the folder of its frames: --video PATH"):
        assert mots.read(path).boxes.num_frames == 4
    back = mots.read_of(path, facts(["1", "2", "3"]))
    assert masks(back, 2) == {1: B.tolist()}
    with pytest.raises(InputError, match="it has a frame 3, the video only 2 frames"):
        mots.read_of(path, facts(["1", "2"]))
    other = dataclasses.replace(facts(["1", "2", "3"]), width=W + 1)
    with pytest.raises(InputError, match="line 1: the frame is 16 x 12 pixels, the video 17 x 12"):
        mots.read_of(path, other)


def test_a_file_without_a_line_needs_the_video(tmp_path: Path) -> None:
    path = save(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"has no line.*--video PATH"):
        mots.read(path)
    back = mots.read_of(path, facts(["0", "1"]))
    assert (back.boxes.num_frames, back.boxes.tracks) == (2, ())
    assert masks(back, 1) == {}


def test_ids_that_a_tracker_made(tmp_path: Path) -> None:
    lines = [line(0, 7, A, 2), line(0, 9, B, 1), line(1, 7, A, 1)]
    with pytest.warns(InputWarning, match=r"one class, but these have several: \[7\]"):
        back = mots.read(save(tmp_path / "a.txt", *lines))
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (7, "pedestrian"),
        (9, "car"),
    ]


GOOD = line(0, 1001, A)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1001 1 12 16\n", "line 1: expected `time_frame id class_id img_height img_width rle`"),
        (GOOD + "x 1001 1 12 16 abc\n", "line 2: expected `time_frame"),
        ("-1 1001 1 12 16 abc\n", "line 1: expected `time_frame"),
        (f"{'9' * 30} 1001 1 12 16 abc\n", "line 1: expected `time_frame"),
        ("0 1001 1 12 16 abc\n", "line 1: the runs of the RLE must add up"),
        ("0 1001 1 1000000000 1000000000 abc\n", "up to 67108864 pixels in all"),
        ("0 1001 1 0 16 abc\n", "sides of 1 to"),
        ("0 0 1 12 16 abc\n", "id and class_id must be 1 or more, got 0 and 1"),
        (GOOD + "0 1002 1 12 17 `6\n", "the runs of the RLE"),
        (GOOD + GOOD, "object 1001 comes twice in frame 0, expected one annotation"),
        (GOOD + line(5000000, 1001, B), "it has a frame 5000000, but only 2 lines"),
        (GOOD + f"1 1001 1 8 8 {counts_of(np.ones((8, 8)))}\n", "line 2: the frame is 8 x 8"),
    ],
)
def test_files_at_fault(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        mots.read(save(tmp_path / "a.txt", text))
    assert "a.txt" in str(error.value)


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(mots.FormatConfig(), line_bytes=100)
    monkeypatch.setattr(mots, "FormatConfig", lambda: config)
    with pytest.raises(InputError, match="line 2 has more than 100 bytes"):
        mots.read(save(tmp_path / "a.txt", GOOD, "0" * 101))


def picture(folder: Path, name: str, numbers: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray(numbers.astype(np.uint16)).save(folder / f"{name}.png")


def test_reads_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "0002"
    picture(folder, "000000", np.where(A, 1005, 0) + np.where(B, 2003, 0))
    picture(folder, "000003", np.where(OVER, 10000, 0) + np.where(B & ~OVER, 2003, 0))
    back = mots_png.read(folder)
    assert (back.boxes.num_frames, back.frame_names[1]) == (4, "000001")
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (3, "pedestrian"),
        (5, "car"),
    ]
    assert masks(back, 0) == {3: B.tolist(), 5: A.tolist()}
    assert masks(back, 3) == {3: (B & ~OVER).tolist()}
    assert [back.read_masks(frame) for frame in (1, 2)] == [None, None]
    assert back.boxes.tracks[1].keyframes[1] == Keyframe(3, None, outside=True)
    assert [(region.frame, region.until) for region in back.boxes.ignore] == [(3, 3)]


def test_a_picture_without_background(tmp_path: Path) -> None:
    picture(tmp_path / "a", "0", np.where(A, 1005, 2003))
    first, second = mots_png.read(tmp_path / "a").boxes.tracks
    assert first.keyframes == (Keyframe(0, (0.0, 0.0, 16.0, 12.0)),)
    assert second.keyframes == (Keyframe(0, (0.0, 0.0, 8.0, 6.0)),)


def test_pictures_of_datumaro() -> None:
    back = mots_png.read(Path(__file__).parent / "files/datumaro/mots")
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (3, "pedestrian"),
        (5, "car"),
    ]
    assert masks(back, 0) == {3: B.tolist(), 5: A.tolist()}
    assert masks(back, 1) == {3: B.tolist()}


def test_pictures_at_fault(tmp_path: Path) -> None:
    picture(tmp_path / "a", "0", A * 7)
    with pytest.raises(InputError, match=r"0\.png has pixels of 7, .* read the folder as davis"):
        mots_png.read(tmp_path / "a")
    picture(tmp_path / "b", "0", A * 1001)
    picture(tmp_path / "b", "1", A[:, :8] * 1001)
    with pytest.raises(InputError, match=r"1\.png is 8x12, the masks before it are 16x12"):
        mots_png.read(tmp_path / "b")
    raw = bytearray(encode_grey(A * 1001))
    raw[16:24] = (10**9).to_bytes(4, "big") * 2
    (tmp_path / "b/1.png").write_bytes(raw)
    with pytest.raises(InputError, match="up to 67108864 pixels in all"):
        mots_png.read(tmp_path / "b")


FUZZ = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(raw=mutated("".join([GOOD, line(1, 2003, B), line(1, 10000, OVER)]).encode()))
@FUZZ
def test_only_our_own_errors_in_text(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(raw)
    read_all(mots.read, path)


@given(raw=mutated(encode_grey(np.where(A, 1005, 0) + np.where(OVER & ~A, 10000, 0))))
@FUZZ
def test_only_our_own_errors_in_pictures(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "0.png").write_bytes(raw)
    read_all(mots_png.read, tmp_path)
