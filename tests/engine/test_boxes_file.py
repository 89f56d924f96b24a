from __future__ import annotations

import copy
import errno
import itertools
import json
import math
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskfree.errors import InputError, InputWarning
from maskfree.ignore_regions import rectangle
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.tracks import boxes_from_json, boxes_to_json, read_boxes, write_boxes
from maskfree.types import BoxTracks, IgnoreRegion, Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path

SEEDED = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

# The example of design.md, section 6, with a field that we do not know at every level.
EXAMPLE: dict[str, Any] = {
    "version": 1,
    "video": {"frames": 40, "height": 480, "width": 854, "fps": 24.0, "codec": "h264"},
    "tracks": [
        {
            "id": 1,
            "label": "car",
            "boxes": [
                {"frame": 0, "xyxy": [355.0, 60.5, 603.0, 221.0], "by": "ann"},
                {"frame": 5, "xyxy": [340.0, 62.0, 590.0, 220.0]},
                {"frame": 12, "outside": True, "why": {"left": "image"}},
                {"frame": 20, "xyxy": [300.0, 70.0, 500.0, 210.0], "occluded": True},
            ],
            "score": 0.5,
        },
        {"id": 7, "label": "Käfer", "parent": 1, "boxes": []},
    ],
    "ignore": [{"frame": 3, "xyxy": [0, 0, 10, 10]}],
    "made_with": ["ours", None],
}


@pytest.fixture
def data() -> dict[str, Any]:
    return copy.deepcopy(EXAMPLE)


def test_the_example_as_types(data: dict[str, Any]) -> None:
    tracks = boxes_from_json(data)
    assert (tracks.num_frames, tracks.height, tracks.width, tracks.fps) == (40, 480, 854, 24.0)
    car, beetle = tracks.tracks
    assert car.keyframes == (
        Keyframe(0, (355.0, 60.5, 603.0, 221.0), extra={"by": "ann"}),
        Keyframe(5, (340.0, 62.0, 590.0, 220.0)),
        Keyframe(12, None, outside=True, extra={"why": {"left": "image"}}),
        Keyframe(20, (300.0, 70.0, 500.0, 210.0), occluded=True),
    )
    assert (car.label, car.parent, car.extra) == ("car", None, {"score": 0.5})
    assert beetle == Track(7, "Käfer", (), parent=1)
    assert tracks.ignore == (IgnoreRegion(rectangle((0, 0, 10, 10)), 3, 3),)
    assert data == EXAMPLE  # the caller's own is untouched


def test_every_field_survives_a_load_and_save(data: dict[str, Any], tmp_path: Path) -> None:
    assert boxes_to_json(boxes_from_json(data)) == EXAMPLE
    write_boxes(tmp_path / "boxes.json", boxes_from_json(data))
    assert json.loads((tmp_path / "boxes.json").read_text(encoding="utf-8")) == EXAMPLE
    assert read_boxes(tmp_path / "boxes.json") == boxes_from_json(data)


@pytest.mark.parametrize("packed", [False, True])
def test_fields_may_come_in_any_order(data: dict[str, Any], tmp_path: Path, packed: bool) -> None:
    known = boxes_from_json(data)
    for names in itertools.permutations(data):
        turned = {name: data[name] for name in names}
        (tmp_path / "b.json").write_text(json.dumps(turned), encoding="utf-8")
        found = read_boxes(tmp_path / "b.json", packed=packed)
        assert found == known
        kinds = {type(track.keyframes) for track in found.tracks}
        assert kinds == {PackedKeyframes if packed else tuple}


def test_the_file_is_readable_by_people(tmp_path: Path) -> None:
    box = Keyframe(0, (1.0, 2.5, 3.0, 4.0))
    tracks = BoxTracks(3, 9, 8, None, (Track(1, "Käfer", (box, Keyframe(2, None, outside=True))),))
    write_boxes(tmp_path / "boxes.json", tracks)
    assert (tmp_path / "boxes.json").read_text(encoding="utf-8") == (
        '{"version": 1,\n'
        ' "video": {"frames": 3, "height": 9, "width": 8, "fps": null},\n'
        ' "tracks": [\n'
        '  {"id": 1, "label": "Käfer",\n'
        '   "boxes": [\n'
        '     {"frame": 0, "xyxy": [1.0, 2.5, 3.0, 4.0]},\n'
        '     {"frame": 2, "outside": true}]}]}\n'
    )


def test_half_a_surrogate_pair_does_not_stop_a_save(data: dict[str, Any], tmp_path: Path) -> None:
    data["tracks"][0]["label"] = "\ud83d"
    write_boxes(tmp_path / "boxes.json", boxes_from_json(data))
    assert read_boxes(tmp_path / "boxes.json").tracks[0].label == "\ud83d"


def test_what_may_be_left_out_or_null(data: dict[str, Any]) -> None:
    del data["video"]["fps"], data["ignore"], data["made_with"]
    data["tracks"][1]["parent"] = None
    tracks = boxes_from_json(data)
    assert tracks.fps is None
    assert (tracks.ignore, tracks.extra) == ((), {"video": {"codec": "h264"}})
    assert tracks.tracks[1].parent is None
    assert boxes_to_json(tracks)["video"]["fps"] is None


def test_keyframes_may_come_in_any_order_and_whole_numbers_as_floats(data: dict[str, Any]) -> None:
    data["tracks"][0]["boxes"].reverse()
    data["tracks"][0]["boxes"][0]["frame"] = 20.0
    keyframes = boxes_from_json(data).tracks[0].keyframes
    assert [k.frame for k in keyframes] == [0, 5, 12, 20]
    assert all(type(k.frame) is int for k in keyframes)


def test_the_last_box_written_along_with_outside_says_nothing_and_survives(
    data: dict[str, Any],
) -> None:
    data["tracks"][0]["boxes"][2]["xyxy"] = [9, 9, 3, 3]
    tracks = boxes_from_json(data)
    assert tracks.tracks[0].keyframes[2].xyxy is None
    assert boxes_to_json(tracks) == data


def test_a_box_beyond_the_frame_is_clipped_with_a_warning(data: dict[str, Any]) -> None:
    data["tracks"][0]["boxes"][0]["xyxy"] = [-3, -4.5, 900, 481]
    data["tracks"][0]["boxes"][3]["xyxy"] = [0, 0, 854.5, 480]
    with pytest.warns(InputWarning) as caught:
        tracks = boxes_from_json(data, where="b.json")
    assert [str(w.message) for w in caught] == [
        "b.json: track 1, frames 0, 20: the box reached beyond the frame of 854 x 480 pixels and "
        "was clipped to it."
    ]
    assert tracks.tracks[0].keyframes[0].xyxy == (0.0, 0.0, 854.0, 480.0)
    assert tracks.tracks[0].keyframes[3].xyxy == (0.0, 0.0, 854.0, 480.0)


def test_many_clipped_boxes_make_one_warning(data: dict[str, Any]) -> None:
    data["tracks"][0]["boxes"] = [{"frame": n, "xyxy": [-1, 0, 9, 9]} for n in range(10)]
    with pytest.warns(InputWarning, match=r"track 1, frames 0, 1, 2, 3, 4, 5, 6, 7 and 2 more: "):
        boxes_from_json(data)


def put(*path: Any, value: Any):
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


def drop(*path: Any):
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return change


CAR = ("tracks", 0)
BOX = ("tracks", 0, "boxes", 1)
CORNERS = "b.json: track 1, frame 5: xyxy must be"
FINITE = f"{CORNERS} four finite numbers [x0, y0, x1, y1], got "
ORDER = f"{CORNERS} [x0, y0, x1, y1] with x0 < x1 and y0 < y1, got "
FRAME = "b.json: track 1: boxes[1]: frame must "
INSIDE = f"{FRAME}lie in 0 to 39 (the video has 40 frames), got "
FAULTS = {
    "version": (put("version", value=2), "b.json: version must be 1, got 2. Update napari-"),
    "version text": (put("version", value="1"), 'b.json: version must be 1, got "1". Add'),
    "version true": (put("version", value=True), "b.json: version must be 1, got true. Add"),
    "no version": (drop("version"), "b.json: version must be 1, got nothing. Add"),
    "no video": (drop("video"), "b.json: video: expected the video's size as an object"),
    "no frames": (
        drop("video", "frames"),
        "b.json: video: frames must be a whole number of at least 1, got nothing.",
    ),
    "no height": (put("video", "height", value=0), "b.json: video: height must be a whole number"),
    "width": (put("video", "width", value="854"), "b.json: video: width must be a whole number"),
    "fps": (put("video", "fps", value=0), "b.json: video: fps must be a number above 0 or null"),
    "fps text": (put("video", "fps", value="24"), "b.json: video: fps must be a number above 0"),
    "tracks": (put("tracks", value={}), "b.json: tracks must be a list, got {}."),
    "tracks missing": (drop("tracks"), "b.json: tracks must be a list, got nothing."),
    "no track": (put("tracks", value=[]), "b.json: expected at least one track, got none. Draw"),
    "no box": (
        put("tracks", 0, "boxes", value=[{"frame": 3, "outside": True}]),
        "b.json: expected at least one box, got 2 tracks without any. Draw",
    ),
    "ignore": (put("ignore", value={}), "b.json: ignore must be a list, got {}."),
    "track": (put(*CAR, value=3), "b.json: tracks[0]: expected a track as an object"),
    "id missing": (drop(*CAR, "id"), "b.json: tracks[0]: id must be a whole number of at least 1"),
    "id 0": (put(*CAR, "id", value=0), "b.json: tracks[0]: id must be a whole number of at least"),
    "id 1.5": (put(*CAR, "id", value=1.5), "b.json: tracks[0]: id must be a whole number of at"),
    "id twice": (
        put(*CAR, "id", value=7),
        "b.json: track id 7 comes twice, expected every id once. Give one of the two another id, "
        "like 8.",
    ),
    "label": (put(*CAR, "label", value=3), "b.json: track 1: label must be text, got 3."),
    "label missing": (drop(*CAR, "label"), "b.json: track 1: label must be text, got nothing."),
    "parent": (put(*CAR, "parent", value=3), "b.json: track 1: parent must be the id of another"),
    "own parent": (put(*CAR, "parent", value=1), "b.json: track 1: parent must be an earlier"),
    "parent circle": (put(*CAR, "parent", value=7), "b.json: track 1: parent must be an earlier"),
    "boxes": (put(*CAR, "boxes", value=None), "b.json: track 1: boxes must be a list, got nothing"),
    "box": (put(*BOX, value=[1, 2]), "b.json: track 1: boxes[1]: expected a keyframe as an object"),
    "frame missing": (drop(*BOX, "frame"), f"{FRAME}be a whole number, got nothing."),
    "frame 5.5": (put(*BOX, "frame", value=5.5), f"{FRAME}be a whole number, got 5.5."),
    "frame true": (put(*BOX, "frame", value=True), f"{FRAME}be a whole number, got true."),
    "frame text": (put(*BOX, "frame", value="5"), f'{FRAME}be a whole number, got "5".'),
    "frame inf": (put(*BOX, "frame", value=math.inf), f"{FRAME}be a whole number, got Infinity."),
    "frame -1": (put(*BOX, "frame", value=-1), f"{INSIDE}-1. Frames count from 0"),
    "frame 40": (put(*BOX, "frame", value=40), f"{INSIDE}40. Frames count from 0"),
    "frame twice": (put(*BOX, "frame", value=0), "b.json: track 1: frame 0 has two keyframes"),
    "xyxy missing": (drop(*BOX, "xyxy"), f"{FINITE}nothing."),
    "xyxy text": (put(*BOX, "xyxy", value="1234"), f'{FINITE}"1234".'),
    "xyxy three": (put(*BOX, "xyxy", value=[1, 2, 3]), f"{FINITE}[1, 2, 3]."),
    "xyxy five": (put(*BOX, "xyxy", value=[1, 2, 3, 4, 5]), f"{FINITE}[1, 2, 3, 4, 5]."),
    "xyxy bool": (put(*BOX, "xyxy", value=[False, 0, 9, 9]), f"{FINITE}[false, 0, 9, 9]."),
    "NaN": (put(*BOX, "xyxy", value=[math.nan, 0, 9, 9]), f"{FINITE}[NaN, 0, 9, 9]."),
    "inf": (put(*BOX, "xyxy", value=[0, 0, math.inf, 9]), f"{FINITE}[0, 0, Infinity, 9]."),
    "huge": (put(*BOX, "xyxy", value=[0, 0, 10**400, 9]), f"{FINITE}[0, 0, 1000"),
    "x1 = x0": (put(*BOX, "xyxy", value=[9, 0, 9, 9]), f"{ORDER}[9.0, 0.0, 9.0, 9.0]. Swap"),
    "y1 < y0": (put(*BOX, "xyxy", value=[0, 9, 9, 8.5]), f"{ORDER}[0.0, 9.0, 9.0, 8.5]. Swap"),
    "wholly right": (
        put(*BOX, "xyxy", value=[854, 0, 900, 9]),
        "b.json: track 1, frame 5: the box must overlap the frame of 854 x 480 pixels, got "
        "[854.0, 0.0, 900.0, 9.0], wholly outside.",
    ),
    "wholly above": (
        put(*BOX, "xyxy", value=[0, -9, 9, 0]),
        "b.json: track 1, frame 5: the box must overlap",
    ),
    "outside": (put(*BOX, "outside", value=1), "b.json: track 1, frame 5: outside must be true"),
    "occluded": (put(*BOX, "occluded", value="no"), "b.json: track 1, frame 5: occluded must be"),
}


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_every_fault_is_one_line_with_file_track_and_frame(
    data: dict[str, Any], change: Any, message: str
) -> None:
    change(data)
    with pytest.raises(InputError) as caught:
        boxes_from_json(data, where="b.json")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("value", [None, 3, "x", [], [{}]])
def test_content_that_is_no_object(value: object) -> None:
    with pytest.raises(InputError, match=r"boxes file: expected a boxes file as an object"):
        boxes_from_json(value)


def test_a_session_may_hold_no_track_yet(tmp_path: Path) -> None:
    empty = BoxTracks(3, 9, 8, None, ())
    write_boxes(tmp_path / "boxes.json", empty)
    assert read_boxes(tmp_path / "boxes.json", allow_empty=True) == empty
    with pytest.raises(
        InputError, match=re.escape(f"{tmp_path / 'boxes.json'}: expected at least")
    ):
        read_boxes(tmp_path / "boxes.json")


def test_a_file_that_is_not_json_names_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text('{"version": 1,\n "video" 3}', encoding="utf-8")
    with pytest.raises(InputError, match=r"boxes\.json is not JSON: .* at line 2, column 10\."):
        read_boxes(tmp_path / "boxes.json")


@pytest.mark.parametrize(
    "keyframe", [Keyframe(0, (math.nan, 0, 1, 1)), Keyframe(3, (0, 0, 1, 1)), Keyframe(0, None)]
)
def test_boxes_that_could_not_be_read_again_are_not_written(
    tmp_path: Path, keyframe: Keyframe
) -> None:
    path = tmp_path / "boxes.json"
    write_boxes(path, BoxTracks(3, 9, 8, None, (Track(1, "car", (Keyframe(0, (0, 0, 1, 1)),)),)))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"track 1"):
        write_boxes(path, BoxTracks(3, 9, 8, None, (Track(1, "car", (keyframe,)),)))
    assert path.read_bytes() == before


def test_a_full_disk_keeps_the_previous_boxes(
    data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "boxes.json"
    write_boxes(path, boxes_from_json(data))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"The disk is full: .* nothing was changed"):
        write_boxes(path, BoxTracks(3, 9, 8, None, ()))
    assert read_boxes(path) == boxes_from_json(data)
    assert os.listdir(tmp_path) == ["boxes.json"]


names = st.text(min_size=1, max_size=8).map(lambda text: f"x_{text}")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
extras = st.dictionaries(names, json_values, max_size=2)


@st.composite
def box_tracks(draw: st.DrawFn) -> BoxTracks:
    num_frames, height, width = (draw(st.integers(1, 60)) for _ in range(3))
    coordinate = st.floats(0.0, 1.0, exclude_max=True)

    def side(size: int) -> tuple[float, float]:
        halves = draw(st.sampled_from([True, False]))
        low, high = sorted(draw(coordinate) * size for _ in range(2))
        low, high = (math.floor(v * 2) / 2 for v in (low, high)) if halves else (low, high)
        return low, min(float(size), high + 0.5)

    def keyframe(frame: int) -> Keyframe:
        occluded, extra = draw(st.booleans()), draw(extras)
        if draw(st.booleans()):
            return Keyframe(frame, None, True, occluded, extra)
        (x0, x1), (y0, y1) = side(width), side(height)
        return Keyframe(frame, (x0, y0, x1, y1), False, occluded, extra)

    def track(track_id: int) -> Track:
        frames = sorted(draw(st.sets(st.integers(0, num_frames - 1), max_size=4)))
        return Track(
            track_id, draw(st.text(max_size=6)), tuple(map(keyframe, frames)), None, draw(extras)
        )

    def region() -> IgnoreRegion:
        (x0, x1), (y0, y1) = side(width), side(height)
        corners = rectangle((x0, y0, x1, y1))
        corners = corners if draw(st.booleans()) else corners[1:]
        frame = draw(st.integers(0, num_frames - 1))
        until = draw(st.none() | st.integers(frame, num_frames - 1))
        return IgnoreRegion(corners, frame, until, draw(extras))

    ids = draw(st.lists(st.integers(1, 2**63), unique=True, max_size=3))
    fps = draw(st.none() | st.floats(0.1, 1000.0))
    ignore = tuple(region() for _ in range(draw(st.integers(0, 2))))
    extra = draw(extras)
    if video := draw(extras):
        extra["video"] = video
    return BoxTracks(num_frames, height, width, fps, tuple(map(track, ids)), ignore, extra)


@SEEDED
@given(tracks=box_tracks())
def test_any_tracks_survive_a_write_and_read_exactly(
    tracks: BoxTracks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.json"
    write_boxes(path, tracks)
    assert read_boxes(path, allow_empty=True) == tracks
