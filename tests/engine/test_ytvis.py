"""YouTube-VIS: round trips, files as pycocotools and other tools write them, files at fault."""

from __future__ import annotations

import copy
import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from maskfree import rle
from maskfree.errors import InputError, InputWarning
from maskfree.formats import Annotations, export
from maskfree.formats.segmentation import parse
from maskfree.formats.ytvis import read
from maskfree.tracks import boxes_at
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (12, 16)
H, W = SHAPE


def rectangle(y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


A, B = rectangle(0, 0, 6, 8), rectangle(3, 4, 9, 12)


def instances(masks: dict[int, np.ndarray]) -> InstanceMasks:
    stack = np.stack(list(masks.values())) if masks else np.zeros((0, *SHAPE), bool)
    return InstanceMasks(tuple(masks), stack, (1.0,) * len(masks))


def video(frames: list[InstanceMasks | None], *tracks: Track, **options: Any) -> Annotations:
    names = [f"{n:05d}" for n in range(len(frames))]
    boxes = BoxTracks(len(frames), H, W, 24.0, tracks)
    return Annotations(boxes, names, frames.__getitem__, **options)


# --- segmentations ---------------------------------------------------------------------------


@given(mask=hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
@settings(max_examples=60, deadline=None)
def test_both_forms_of_rle(mask: np.ndarray) -> None:
    height, width = mask.shape
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int))).tolist()
    runs = np.diff([0, *changes, flat.size]).tolist()
    for counts in (by_pycocotools(mask)["counts"], runs):
        text = parse({"size": [height, width], "counts": counts}, height, width, "here")
        assert (text is None) == (not mask.any())
        if text is not None:
            np.testing.assert_array_equal(rle.decode(text, height, width), mask)


@pytest.mark.parametrize(
    "counts",
    [
        "",
        "abc",
        "32",
        "0" * 50,
        "P" * 9,
        "é",
        "`",
        "P6P",
        "X6H",  # 200 and -8: the sum is right
        [3, 2],
        [193],
        [-1, 193],
        [],
        [0.5],
        None,
        7,
    ],
)
def test_runs_that_do_not_add_up(counts: object) -> None:
    with pytest.raises(InputError, match=r"here: .*(192 pixels|whole number)"):
        parse({"size": [H, W], "counts": counts}, H, W, "here")


def test_segmentations_at_fault() -> None:
    with pytest.raises(InputError, match=r"\[height, width\] = \[12, 16\], got \[16, 12\]"):
        parse({"size": [W, H], "counts": [192]}, H, W, "here")
    with pytest.raises(InputError, match="three points or more"):
        parse([[1, 1, 2, 2]], H, W, "here")
    with pytest.raises(InputError, match="must lie in the frame"):
        parse([[0, 0, 1e12, 0, 5, 5]], H, W, "here")
    with pytest.raises(InputError, match="RLE, a list of polygons or null, got 5"):
        parse(5, H, W, "here")
    assert parse(None, H, W, "here") is None
    assert parse([], H, W, "here") is None


# --- what is written -------------------------------------------------------------------------


def test_the_file_by_hand(tmp_path: Path) -> None:
    frames = [instances({7: A, 3: B}), instances({7: A}), None]
    tracks = (
        Track(3, "rabbit", (Keyframe(0, (1.0, 2.0, 4.0, 6.5)), Keyframe(2, (3.0, 2.0, 6.0, 6.5)))),
        Track(7, "bird", (Keyframe(0, (0.0, 0.0, 8.0, 6.0)), Keyframe(1, None, outside=True))),
    )
    path = tmp_path / "out.json"
    report = export(video(frames, *tracks), path, "ytvis")
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["videos"] == [
        {
            "id": 1,
            "file_names": ["00000.jpg", "00001.jpg", "00002.jpg"],
            "width": 16,
            "height": 12,
            "length": 3,
            "fps": 24.0,
        }
    ]
    assert [(c["id"], c["name"]) for c in data["categories"]] == [(1, "rabbit"), (2, "bird")]
    three, seven = data["annotations"]
    assert (three["id"], three["category_id"], three["video_id"]) == (3, 1, 1)
    assert (seven["id"], seven["category_id"], seven["iscrowd"]) == (7, 2, 0)
    assert three["bboxes"] == [[4, 3, 8, 6], None, [3, 2, 3, 4.5]]  # mask, absent, its own box
    assert three["areas"] == [48, None, None]
    assert three["segmentations"][1:] == [None, None]
    assert isinstance(three["segmentations"][0]["counts"], str)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools 2.0.11 under numpy 2
        np.testing.assert_array_equal(coco.decode(three["segmentations"][0]), B)
    assert seven["bboxes"] == [[0, 0, 8, 6], [0, 0, 8, 6], None]
    assert (report.frames, report.instances) == (2, 2)
    assert report.losses == (
        "1 of 3 frames were never predicted and get boxes only: 00002",
        "in predicted frames the boxes drawn give way to the masks' own boxes",
        "every frame gets a box: which of them were drawn is not kept",
    )


def test_every_loss_is_named(tmp_path: Path) -> None:
    masks = InstanceMasks((1,), A[None], (0.5,))
    tracks = (
        Track(1, "cell", (Keyframe(0, (0.0, 0.0, 4.0, 4.0), occluded=True),)),
        Track(2, "cell", (Keyframe(0, (0.0, 0.0, 4.0, 4.0)),), parent=1),
    )
    annotations = video([masks], *tracks)
    boxes = BoxTracks(1, H, W, None, tracks, ignore=({"frame": 0},))
    report = export(
        Annotations(boxes, annotations.frame_names, annotations.read_masks),
        tmp_path / "out.json",
        "ytvis",
    )
    assert report.losses == (
        "in predicted frames the boxes drawn give way to the masks' own boxes",
        "'occluded' is not kept",
        "parents (divisions) are not kept",
        "'ignore' regions are not kept",
        "scores are not kept",
    )


def test_boxes_only(tmp_path: Path) -> None:
    track = Track(
        5,
        "car",
        (
            Keyframe(1, (0.1, 0.2, 5.3, 7.7)),
            Keyframe(3, (2.1, 0.2, 16.0, 12.0)),
            Keyframe(4, None, outside=True),
        ),
    )
    source = video([None] * 6, track)
    report = export(source, tmp_path / "out.json", "ytvis")
    assert report.losses == (
        "no frame has masks: the file holds boxes only",
        "every frame gets a box: which of them were drawn is not kept",
    )
    assert (report.frames, report.instances) == (3, 1)
    back = read(tmp_path / "out.json")
    assert all(back.read_masks(frame) is None for frame in range(6))
    for frame in range(6):
        wanted, got = boxes_at(source.boxes, frame), boxes_at(back.boxes, frame)
        assert wanted.keys() == got.keys()
        for track_id in wanted:
            assert got[track_id].xyxy == pytest.approx(wanted[track_id].xyxy, abs=1e-9)


def test_names_of_the_source(tmp_path: Path) -> None:
    files = ["clip/img.0001.exr", "clip/img.0002.exr"]
    source = video([instances({1: A})] * 2, file_names=files)
    export(source, tmp_path / "out.json", "ytvis")
    back = read(tmp_path / "out.json")
    assert back.file_names == files
    named = Annotations(source.boxes, ["img.0001", "img.0002"], source.read_masks)
    export(named, tmp_path / "out.json", "ytvis")
    assert read(tmp_path / "out.json").frame_names == ["img.0001", "img.0002"]


def test_predicted_frames_beyond_the_boxes(tmp_path: Path) -> None:
    boxes = BoxTracks(1, H, W, None, (Track(1, "car", (Keyframe(0, (0.0, 0.0, 4.0, 4.0)),)),))
    names = ["00000", "00001"]
    export(Annotations(boxes, names, lambda _: instances({1: B})), tmp_path / "o.json", "ytvis")
    back = read(tmp_path / "o.json")
    assert back.boxes.num_frames == 2
    assert back.read_masks(1) is not None


def test_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a box nor a mask"):
        export(video([None], Track(1, "car", ())), tmp_path / "out.json", "ytvis")
    assert list(tmp_path.iterdir()) == []


@given(data=st.data(), num_frames=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, num_frames: int
) -> None:
    ids = data.draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=3, unique=True))
    labels = {i: data.draw(st.text(st.characters(exclude_categories=["Cs"]))) for i in ids}
    drawn = data.draw(hnp.arrays(bool, (num_frames, len(ids), *SHAPE)))
    drawn[0, 0, 0, 0] = True
    frames = [InstanceMasks(tuple(ids), drawn[n], (1.0,) * len(ids)) for n in range(num_frames)]
    tracks = [Track(i, labels[i], (Keyframe(0, (0.0, 0.0, 1.0, 1.0)),)) for i in ids]
    path = tmp_path_factory.mktemp("ytvis") / "out.json"
    export(video(list(frames), *tracks), path, "ytvis")
    back = read(path)
    assert {track.id: track.label for track in back.boxes.tracks} == labels
    for n in range(num_frames):
        found = back.read_masks(n)
        assert found is not None
        got = dict(zip(found.track_ids, found.masks, strict=True))
        for index, track_id in enumerate(ids):
            assert (track_id in got) == drawn[n, index].any()
            if track_id in got:
                np.testing.assert_array_equal(got[track_id], drawn[n, index])


# --- what other tools write ------------------------------------------------------------------


def by_pycocotools(mask: np.ndarray) -> dict[str, Any]:
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode()}


@pytest.fixture
def foreign() -> dict[str, Any]:
    """A file as the tools around YouTube-VIS write it, without anything that is ours."""
    return {
        "info": {},
        "licenses": [],
        "videos": [
            {
                "id": 17,
                "width": W,
                "height": H,
                "length": 3,
                "file_names": ["a0/00000.jpg", "a0/00005.jpg", "a0/00010.jpg"],
            }
        ],
        "categories": [{"id": 40, "name": "zebra"}, {"id": 2, "name": "panda"}],
        "annotations": [
            {
                "id": 9,
                "video_id": 17,
                "category_id": 40,
                "iscrowd": 0,
                "length": 1,
                "segmentations": [by_pycocotools(A), None, by_pycocotools(B)],
                "bboxes": [[0, 0, 8, 6], None, [4, 3, 8, 6]],
                "areas": [48, None, 48],
            },
            {
                "id": 4,
                "video_id": 17,
                "category_id": 2,
                "iscrowd": 1,
                "segmentations": [
                    {"size": [H, W], "counts": [12, 12, 168]},
                    [[4, 3, 12, 3, 12, 9, 4, 9]],
                    None,
                ],
            },
        ],
    }


def save(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_reads_a_foreign_file(tmp_path: Path, foreign: dict[str, Any]) -> None:
    back = read(save(tmp_path / "a.json", foreign))
    assert back.frame_names == ["00000", "00005", "00010"]
    assert [(t.id, t.label, dict(t.extra)) for t in back.boxes.tracks] == [
        (4, "panda", {"iscrowd": 1}),
        (9, "zebra", {}),
    ]
    first, second, third = (back.read_masks(n) for n in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.track_ids, second.track_ids, third.track_ids) == ((4, 9), (4,), (9,))
    np.testing.assert_array_equal(first.masks, [rectangle(0, 1, 12, 2), A])
    np.testing.assert_array_equal(second.masks[0], B)  # the polygon
    panda, zebra = back.boxes.tracks
    assert zebra.keyframes == (
        Keyframe(0, (0.0, 0.0, 8.0, 6.0)),
        Keyframe(1, None, outside=True),
        Keyframe(2, (4.0, 3.0, 12.0, 9.0)),
    )
    assert panda.keyframes[0].xyxy == (1.0, 0.0, 2.0, 12.0)  # no bboxes: the mask's own
    export(back, tmp_path / "b.json", "ytvis")
    again = read(tmp_path / "b.json")
    assert again.file_names == foreign["videos"][0]["file_names"]
    assert again.boxes.tracks == back.boxes.tracks


def test_which_frames_are_known(tmp_path: Path, foreign: dict[str, Any]) -> None:
    nine, four = foreign["annotations"]
    four["segmentations"], four["bboxes"] = [None] * 3, [None, [1, 1, 4, 4], None]
    nine["segmentations"][2] = nine["bboxes"][2] = None
    back = read(save(tmp_path / "a.json", foreign))
    first, second, third = (back.read_masks(n) for n in range(3))
    assert first is not None
    assert first.track_ids == (9,)
    assert second is None  # a box without a mask
    assert third is not None  # nothing there at all
    assert third.masks.shape == (0, H, W)


def test_boxes_are_clipped_and_empty_ones_dropped(tmp_path: Path, foreign: dict[str, Any]) -> None:
    four = foreign["annotations"][1]
    four["segmentations"] = [None] * 3
    four["bboxes"] = [[-2, 5, 6, 99], [0, 0, 0, 0], [15.5, 2, 4.5, 3]]
    foreign["annotations"][0]["bboxes"][0] = [0.5, 0.5, 8, 6]  # not quite the mask's own: kept
    panda, zebra = read(save(tmp_path / "a.json", foreign)).boxes.tracks
    assert zebra.keyframes[0].xyxy == (0.5, 0.5, 8.5, 6.5)
    assert [k.xyxy for k in panda.keyframes] == [
        (0.0, 5.0, 4.0, 12.0),
        None,
        (15.5, 2.0, 16.0, 5.0),
    ]


def test_ids_from_zero_are_numbered_anew(tmp_path: Path, foreign: dict[str, Any]) -> None:
    foreign["annotations"][0]["id"] = 0
    with pytest.warns(InputWarning, match="numbered 1 to 2 in the file's order"):
        back = read(save(tmp_path / "a.json", foreign))
    assert [(t.id, t.label) for t in back.boxes.tracks] == [(1, "zebra"), (2, "panda")]


def broken(foreign: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    data = copy.deepcopy(foreign)
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place: Any = data
    for step in way:
        place = place[step]
    place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("videos", None, "videos must be a list, got nothing"),
        ("videos", [{}, {}], "expected one video, got 2. Split the file"),
        ("videos/0/width", 0, "width must be a whole number of at least 1, got 0"),
        ("videos/0/length", 5, "length is 5, but there are 3 file_names"),
        ("videos/0/file_names", [1, 2, 3], "file_names must be the names"),
        ("categories/0/name", 3, "name must be text, got 3"),
        ("annotations/0/category_id", 5, "there is no category 5, only \\[2, 40\\]"),
        ("annotations/0/id", 4, "two annotations have the id 4"),
        ("annotations/0/segmentations", [None], "one entry for each of the 3 frames, got 1"),
        ("annotations/0/segmentations/0/counts", "zz", "annotation 9, frame 0: the runs"),
        ("annotations/0/segmentations/0/size", [5, 5], "size of the RLE must be"),
        ("annotations/0/bboxes/0", [1, 2, 3], "four finite numbers \\[x, y, width, height\\]"),
        ("annotations/0/bboxes/0", [1, 2, 3, float("nan")], "four finite numbers"),
        ("annotations/0", 3, "annotations\\[0\\]: expected an annotation"),
    ],
)
def test_files_at_fault(
    tmp_path: Path, foreign: dict[str, Any], path: str, value: object, message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        read(save(tmp_path / "a.json", broken(foreign, path, value)))
    assert str(error.value).count("\n") == 0
    assert "a.json" in str(error.value)
