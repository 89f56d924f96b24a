"""COCO as other tools write it: polygons, track ids of all kinds, files at fault."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from pycocotools import mask as rles

from maskfree.errors import InputError, InputWarning
from maskfree.formats import VideoFacts, coco, convert
from maskfree.formats.boxes import read as read_boxes_file
from maskfree.types import IgnoreRegion, Keyframe
from mutated_files import mutated, read_all
from plain_annotations import SHAPE, A, B, rectangle

if TYPE_CHECKING:
    from maskfree.formats import Annotations

FILES = Path(__file__).parent / "files/datumaro"
H, W = SHAPE
POLYGON = [[4, 3, 12, 3, 12, 9, 4, 9]]


def by_pycocotools(mask: np.ndarray) -> dict[str, Any]:
    rle = rles.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode()}


def image(number: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": W, "height": H, **fields}


def instance(number: int, image_id: int, segmentation: Any, **fields: Any) -> dict[str, Any]:
    given = {} if segmentation is ... else {"segmentation": segmentation}
    return {"id": number, "image_id": image_id, "category_id": 40, "iscrowd": 0, **given, **fields}


def content() -> dict[str, Any]:
    """As CocoVID has it: two tracks over three frames, the images out of order."""
    return {
        "videos": [{"id": 9, "name": "clip", "fps": 12.5}],
        "images": [
            image(31, "clip/b.jpg", video_id=9, frame_id=2),
            image(12, "clip/c.jpg", video_id=9, frame_id=0),
            image(77, "clip/a.jpg", video_id=9, frame_id=1),
        ],
        "annotations": [
            instance(1, 31, by_pycocotools(B), instance_id=4, bbox=[9, 7, 6, 4], area=24),
            instance(2, 12, {"size": [H, W], "counts": [12, 12, 168]}, instance_id=4, score=0.5),
            instance(3, 12, POLYGON, instance_id=6, category_id=2, bbox=[4, 3, 8, 6]),
        ],
        "categories": [{"id": 40, "name": "zebra"}, {"id": 2, "name": "panda"}],
    }


def save(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def masks(annotations: Annotations, frame: int) -> dict[int, np.ndarray]:
    found = annotations.read_masks(frame)
    assert found is not None
    return dict(zip(found.track_ids, found.masks, strict=True))


def test_reads_a_video_as_cocovid_has_it(tmp_path: Path) -> None:
    back = coco.read(save(tmp_path / "a.json", content()))
    assert back.frame_names == ["c", "a", "b"]
    assert back.file_names == ["clip/c.jpg", "clip/a.jpg", "clip/b.jpg"]
    assert (back.boxes.num_frames, back.boxes.height, back.boxes.fps) == (3, H, 12.5)
    assert [(track.id, track.label) for track in back.boxes.tracks] == [(4, "zebra"), (6, "panda")]
    first = back.read_masks(0)
    assert first is not None
    assert (first.track_ids, first.scores) == ((4, 6), (0.5, 1.0))
    np.testing.assert_array_equal(first.masks, [rectangle(0, 1, 12, 2), rectangle(3, 4, 9, 12)])
    assert masks(back, 1) == {}  # an image without annotations: nothing is there
    np.testing.assert_array_equal(masks(back, 2)[4], B)
    assert back.boxes.tracks[0].keyframes == (
        Keyframe(0, (1.0, 0.0, 2.0, 12.0)),  # no bbox: the mask's own
        Keyframe(1, None, outside=True),
        Keyframe(2, (9.0, 7.0, 15.0, 11.0)),
    )


def test_fields_may_come_in_any_order(tmp_path: Path) -> None:
    wanted = coco.read(save(tmp_path / "a.json", content()))
    draw = random.Random(0)
    for _ in range(20):
        names = list(content())
        draw.shuffle(names)
        back = coco.read(save(tmp_path / "b.json", {name: content()[name] for name in names}))
        assert back.boxes == wanted.boxes
        for frame in range(3):
            np.testing.assert_array_equal(
                list(masks(back, frame).values()), list(masks(wanted, frame).values())
            )


def test_without_track_ids_each_is_a_track_of_its_frame(tmp_path: Path) -> None:
    data = content()
    for each in data["annotations"][:2]:
        del each["instance_id"]
    data["images"] = [image(31, "10.jpg"), image(12, "9.jpg"), image(77, "x.jpg")]
    back = coco.read(save(tmp_path / "a.json", data))
    assert back.frame_names == ["9", "10", "x"]  # in natural order
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (6, "panda"),
        (7, "zebra"),
        (8, "zebra"),
    ]
    assert back.boxes.tracks[1].keyframes == (
        Keyframe(1, (9.0, 7.0, 15.0, 11.0)),
        Keyframe(2, None, outside=True),
    )
    assert sorted(masks(back, 0)) == [6, 8]


def test_numbers_for_those_without_follow_the_largest(tmp_path: Path) -> None:
    data = content()
    for each in data["annotations"][::2]:
        del each["instance_id"]
    back = coco.read(save(tmp_path / "a.json", data))
    tracks = [(track.id, track.label) for track in back.boxes.tracks]
    assert tracks == [(4, "zebra"), (5, "zebra"), (6, "panda")]


@pytest.mark.parametrize("empty", [None, [], ...])
def test_boxes_without_masks(tmp_path: Path, empty: object) -> None:
    data = content()
    data["annotations"] = [
        instance(1, 12, empty, track_id=3, bbox=[1.5, 2, 4, 5], attributes={"occluded": True}),
        instance(2, 31, empty, track_id=3, bbox=[-2, 2, 4, 50]),
    ]
    back = coco.read(save(tmp_path / "a.json", data))
    assert [back.read_masks(frame) for frame in range(3)] == [None, None, None]
    assert back.boxes.tracks[0].keyframes == (
        Keyframe(0, (1.5, 2.0, 5.5, 7.0), occluded=True),
        Keyframe(1, None, outside=True),
        Keyframe(2, (0.0, 2.0, 2.0, 12.0)),
    )
    convert(tmp_path / "a.json", tmp_path / "boxes.json", "coco", "boxes")
    assert read_boxes_file(tmp_path / "boxes.json").boxes.tracks == back.boxes.tracks


def test_a_frame_with_boxes_alone_has_no_known_masks(tmp_path: Path) -> None:
    data = content()
    data["annotations"].append(instance(9, 77, [], track_id=4, bbox=[1, 1, 3, 3]))
    back = coco.read(save(tmp_path / "a.json", data))
    assert [back.read_masks(frame) is None for frame in range(3)] == [False, True, False]


def test_track_ids_as_cvat_writes_them(tmp_path: Path) -> None:
    data = content()
    for each, number in zip(data["annotations"], (0, 0, 5), strict=True):
        del each["instance_id"]
        each["attributes"] = {"track_id": number, "occluded": False}
    with pytest.warns(InputWarning, match=r"one is 0; the tracks are numbered 1 to 2"):
        back = coco.read(save(tmp_path / "a.json", data))
    assert [(track.id, track.label) for track in back.boxes.tracks] == [(1, "zebra"), (2, "panda")]
    assert sorted(masks(back, 0)) == [1, 2]


def test_a_track_of_two_categories(tmp_path: Path) -> None:
    data = content()
    data["annotations"][1]["category_id"] = 2
    with pytest.warns(InputWarning, match=r"several categories: \[4\]\. Each keeps its first"):
        back = coco.read(save(tmp_path / "a.json", data))
    assert back.boxes.tracks[0].label == "zebra"


def test_crowds_are_ignored_or_tracks(tmp_path: Path) -> None:
    data = content()
    data["annotations"] += [
        instance(5, 12, [[1, 1, 9, 1, 1, 8]], iscrowd=1),
        instance(6, 77, [[1, 1, 9, 1, 1, 8]], iscrowd=1),
        instance(7, 31, by_pycocotools(A), iscrowd=1),
        instance(8, 31, [], iscrowd=1, bbox=[2, 2, 3, 3]),
        instance(10, 12, [], iscrowd=1, bbox=[2, 2, 3, 3]),
        instance(9, 31, by_pycocotools(A), iscrowd=1, track_id=8),
    ]
    with pytest.warns(InputWarning, match=r"1 masks marked as crowds .* set iscrowd to 0"):
        back = coco.read(save(tmp_path / "a.json", data))
    assert back.boxes.ignore == (
        IgnoreRegion(((1.0, 1.0), (9.0, 1.0), (1.0, 8.0)), 0, 1),
        IgnoreRegion(((2.0, 2.0), (5.0, 2.0), (5.0, 5.0), (2.0, 5.0)), 0, 0),
        IgnoreRegion(((0.0, 0.0), (8.0, 0.0), (8.0, 6.0), (0.0, 6.0)), 2, 2),
        IgnoreRegion(((2.0, 2.0), (5.0, 2.0), (5.0, 5.0), (2.0, 5.0)), 2, 2),
    )
    assert dict(back.boxes.tracks[-1].extra) == {"iscrowd": 1}
    assert sorted(masks(back, 2)) == [4, 8]


def test_a_crowd_that_is_no_polygon_becomes_boxes(tmp_path: Path) -> None:
    data = content()
    both = A.copy()
    both[5, 5] = False
    both |= rectangle(8, 10, 10, 12)
    data["annotations"].append(instance(5, 12, by_pycocotools(both), iscrowd=1))
    with (
        pytest.warns(InputWarning, match="1 masks of them are no rectangles"),
        pytest.warns(InputWarning, match="1 masks marked as crowds"),
    ):
        back = coco.read(save(tmp_path / "a.json", data))
    assert [region.polygon[::2] for region in back.boxes.ignore] == [
        ((0.0, 0.0), (8.0, 6.0)),
        ((10.0, 8.0), (12.0, 10.0)),
    ]


def test_a_file_of_datumaro() -> None:
    back = coco.read(FILES / "coco.json")
    first, second = back.boxes.tracks
    assert (first.id, first.label, dict(first.extra)) == (5, "car", {"iscrowd": 1})
    assert (second.id, second.label, dict(second.extra)) == (7, "pedestrian", {})
    assert second.keyframes == (
        Keyframe(0, (4.0, 7.0, 12.0, 11.0), occluded=True),
        Keyframe(1, (1.0, 1.0, 4.5, 5.0)),
    )
    np.testing.assert_array_equal(masks(back, 0)[5], A)
    np.testing.assert_array_equal(masks(back, 0)[7], rectangle(7, 4, 11, 12))
    np.testing.assert_array_equal(masks(back, 1)[5], B)


# --- with the video at hand ---------------------------------------------------------------------


def facts(*names: str) -> VideoFacts:
    return VideoFacts(len(names), H, W, 30.0, names)


def test_images_are_the_frames_of_their_names(tmp_path: Path) -> None:
    data = content()
    for each in data["images"]:
        del each["width"], each["height"]
    path = save(tmp_path / "a.json", data)
    with pytest.raises(InputError, match=r"expected height and width.* --video PATH"):
        coco.read(path)
    back = coco.read_of(path, facts("x", "a", "y", "b", "c"))
    assert (back.boxes.num_frames, back.boxes.fps, back.file_names) == (5, 30.0, ())
    assert [n for n in range(5) if back.read_masks(n) is not None] == [1, 3, 4]
    assert back.boxes.tracks[0].keyframes[0] == Keyframe(3, (9.0, 7.0, 15.0, 11.0))
    all_named = coco.read_of(path, facts("c", "b", "a"))
    assert list(all_named.file_names) == ["clip/c.jpg", "clip/b.jpg", "clip/a.jpg"]
    assert sorted(masks(all_named, 1)) == [4]
    by_number = coco.read_of(path, facts("0", "1", "2", "3"))
    assert [n for n in range(4) if by_number.read_masks(n) is not None] == [0, 1, 2]
    with pytest.raises(InputError, match=r"its 3 images are no frames of the video.*expected 2"):
        coco.read_of(path, facts("0", "1"))
    for each in data["images"]:
        del each["frame_id"]
    in_order = coco.read_of(save(path, data), facts("0", "1", "2"))
    assert list(in_order.file_names) == ["clip/a.jpg", "clip/b.jpg", "clip/c.jpg"]
    data["images"][0] |= {"width": 5, "height": 5}
    with pytest.raises(InputError, match="the image is 5 x 5 pixels, the video 16 x 12"):
        coco.read_of(save(path, data), facts("0", "1", "2"))


# --- files at fault -----------------------------------------------------------------------------


def broken(path: str, value: object) -> dict[str, Any]:
    data = copy.deepcopy(content())
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place: Any = data
    for step in way:
        place = place[step]
    place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("images", None, "images must be a list, got nothing"),
        ("images", [], "expected at least one image, got none"),
        ("images/0/id", 12, "two images have the id 12"),
        ("images/0/width", 0, "width must be a whole number of at least 1, got 0"),
        ("images/0/width", 17, "the video 17 x 12"),
        ("images/0/width", 10**9, "up to 67108864 pixels in all, got 1000000000 x 12"),
        ("images/0/file_name", "", "file_name must be the name"),
        ("images/0/file_name", "9" * 5000, "file_name must be the name"),
        ("images/0/frame_id", -1, "frame_id must be a whole number of at least 0"),
        ("images/0/video_id", 3, "expected one video, got 2. Split the file"),
        ("videos", [{}, {}], "expected one video, got 2. Split the file"),
        ("categories", 3, "categories must be a list"),
        ("categories/0/name", 3, "name must be text, got 3"),
        ("annotations", {}, "annotations must be a list"),
        ("annotations/0", 3, "annotations\\[0\\]: expected an annotation"),
        ("annotations/0/image_id", 5, "annotation 1: there is no image 5"),
        ("annotations/0/category_id", 5, "there is no category 5, only \\[2, 40\\]"),
        ("annotations/0/instance_id", 1.5, "instance_id must be a whole number"),
        ("annotations/0/image_id", 12, "track 4 comes twice in frame 0"),
        ("annotations/0/segmentation/counts", "zz", "annotation 1: the runs"),
        ("annotations/0/segmentation/size", [5, 5], "size of the RLE must be"),
        ("annotations/0/bbox", [1, 2, 3], "four finite numbers \\[x, y, width, height\\]"),
        ("annotations/1/score", 7, "score must be a number from 0 to 1, got 7"),
        ("annotations/2/segmentation", [[0, 0, 16, 12] * 40000], "1000000 pixels long together"),
    ],
)
def test_files_at_fault(tmp_path: Path, path: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        coco.read(save(tmp_path / "a.json", broken(path, value)))
    assert str(error.value).count("\n") == 0
    assert "a.json" in str(error.value)


@pytest.mark.parametrize("name", ["images", "annotations", "categories"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    data = content()
    del data[name]
    with pytest.raises(InputError, match=f"{name} must be a list, got nothing"):
        coco.read(save(tmp_path / "a.json", data))


def test_a_frame_of_too_many_masks(tmp_path: Path) -> None:
    data = content()
    height, width = 4096, 8192
    runs = {"size": [height, width], "counts": [0, height * width]}
    data["images"] = [{"id": 1, "file_name": "a.jpg", "width": width, "height": height}]
    data["annotations"] = [instance(n, 1, runs, track_id=n) for n in range(1, 18)]
    back = coco.read(save(tmp_path / "a.json", data))
    with pytest.raises(InputError, match=r"frame 0: the masks of one frame .* got 17 masks"):
        back.read_masks(0)


@given(raw=mutated(json.dumps(content()).encode()))
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_only_our_own_errors(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(raw)
    read_all(coco.read, path)
