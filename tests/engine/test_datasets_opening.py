"""Data sets are opened in every layout, and what is at fault in them is skipped with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree import rle
from maskfree.datasets.opening import open_dataset
from maskfree.errors import InputWarning
from small_datasets import (
    HEIGHT,
    WIDTH,
    box2d,
    coco,
    painted,
    run_lengths,
    save,
    save_frames,
    scalabel,
    write_json,
    xyxy_in,
    ytvis,
)

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.datasets.types import VideoDataset

YTVIS = "train/instances.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save_frames(tmp_path / "train" / "JPEGImages")
    return tmp_path


def check_ytvis(found: VideoDataset, root: Path) -> None:
    assert (found.classes, found.class_ids) == (("dog", "fish", "cat"), (2, 4, 9))
    assert [(v.id, v.name, v.height, v.width) for v in found.videos] == [
        (1, "aa", HEIGHT, WIDTH),
        (2, "bb", HEIGHT, WIDTH),
    ]
    assert found.videos[1].files == ("bb/00000.png", "bb/00001.png", "bb/00002.png")
    assert all((found.root / file).is_file() for v in found.videos for file in v.files)
    for video in found.videos:
        (instance,) = video.instances
        assert (instance.id, instance.class_index, instance.crowd) == (10 * video.id, 1, False)
        assert instance.boxes.dtype == np.float32
        np.testing.assert_array_equal(instance.boxes, [xyxy_in(t) for t in range(3)])


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("ytvis2019", "annotations/instances_train_sub.json"),
        ("ytvis2019", "train.json"),
        ("ytvis2019", "annotations/train.json"),
        ("ytvis2021", "train/instances.json"),
        ("ytvis2021", "annotations/instances_train.json"),
        ("ovis", "annotations_train.json"),
        ("ovis", "annotations/annotations_train.json"),
        ("ovis", "train/instances.json"),
    ],
)
def test_each_layout_of_videos_is_found(root: Path, kind: str, path: str) -> None:
    write_json(root / path, ytvis())
    found = open_dataset(kind, root, "train")
    check_ytvis(found, root)
    assert found.name == f"{kind} train"
    assert found.root == root / "train" / "JPEGImages"
    assert not found.skipped


def test_pictures_of_ovis_lie_in_the_split_itself(tmp_path: Path) -> None:
    save_frames(tmp_path / "train")
    write_json(tmp_path / "annotations_train.json", ytvis())
    check_ytvis(open_dataset("ovis", tmp_path, "train"), tmp_path)


@pytest.mark.parametrize("order", [("annotations", "videos"), ("categories", "annotations")])
def test_fields_may_come_in_any_order(root: Path, order: tuple[str, ...]) -> None:
    data = ytvis()
    write_json(root / YTVIS, {name: data[name] for name in (*order, *data) if name in data})
    check_ytvis(open_dataset("ytvis2021", root, "train"), root)


def test_boxes_are_those_of_masks_where_there_are_only_masks(root: Path) -> None:
    write_json(root / YTVIS, ytvis(boxes=False, masks=True))
    found = open_dataset("ytvis2019", root, "train")
    check_ytvis(found, root)
    assert all(each.segments is None for video in found.videos for each in video.instances)


def test_masks_are_kept_where_asked_for(root: Path) -> None:
    write_json(root / YTVIS, ytvis(masks=True))
    found = open_dataset("ytvis2019", root, "train", masks=True)
    segments = found.videos[0].instances[0].segments
    assert segments is not None
    for frame in range(3):
        mask = rle.decode(segments[frame], HEIGHT, WIDTH)
        np.testing.assert_array_equal(mask, (painted(frame) == (220, 40, 30)).all(-1))


def test_a_polygon_gives_a_box_and_a_box_is_kept_within_the_frame(root: Path) -> None:
    data = ytvis()
    first, second = data["annotations"]
    first["bboxes"] = None
    first["segmentations"] = [[[4, 6, 10, 6, 10, 12, 4, 12]], None, None]
    second["bboxes"] = [[-5, -5, 15, 20], [70, 40, 50, 50], [0, 0, 0, 0]]
    del second["segmentations"]
    write_json(root / YTVIS, data)
    one, other = open_dataset("ytvis2019", root, "train").videos
    nothing = [np.nan] * 4
    np.testing.assert_array_equal(one.instances[0].boxes, [[4, 6, 10, 12], nothing, nothing])
    np.testing.assert_array_equal(
        other.instances[0].boxes, [[0, 0, 10, 15], [70, 40, WIDTH, HEIGHT], nothing]
    )


def test_boxes_only_are_the_same_as_boxes_and_masks(root: Path) -> None:
    write_json(root / YTVIS, ytvis(masks=False))
    boxes_only = open_dataset("ytvis2019", root, "train")
    write_json(root / YTVIS, ytvis(masks=True))
    with_masks = open_dataset("ytvis2019", root, "train")
    for one, other in zip(boxes_only.videos, with_masks.videos, strict=True):
        np.testing.assert_array_equal(one.instances[0].boxes, other.instances[0].boxes)


# ---- COCO


@pytest.mark.parametrize(
    ("path", "pictures"),
    [
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train.json", "images/train"),
    ],
)
def test_each_image_of_coco_is_a_video_of_one_frame(
    tmp_path: Path, path: str, pictures: str
) -> None:
    write_json(tmp_path / path, coco())
    for n in range(2):
        save(tmp_path / pictures / f"{n:012d}.png", painted(n))
    found = open_dataset("coco", tmp_path, "train")
    assert (found.classes, found.class_ids) == (("person", "car"), (1, 3))
    assert [(v.id, v.name, v.files) for v in found.videos] == [
        (100, "000000000000", ("000000000000.png",)),
        (101, "000000000001", ("000000000001.png",)),
    ]
    assert [v.instances[0].class_index for v in found.videos] == [1, 1]
    np.testing.assert_array_equal(found.videos[1].instances[0].boxes, [xyxy_in(1)])


# ---- BDD100K


def polygon(frame: int) -> list[Any]:
    x0, y0, x1, y1 = xyxy_in(frame)
    return [{"vertices": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], "types": "LLLL", "closed": True}]


@pytest.mark.parametrize(
    ("labels", "pictures", "label"),
    [
        ("labels/seg_track_20/rles/train", "images/seg_track_20/train", "rle"),
        ("labels/seg_track_20/polygons/train", "images/seg_track_20/train", "poly2d"),
        ("labels/box_track_20/train", "images/track/train", None),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_each_layout_of_bdd100k_is_found(
    tmp_path: Path, labels: str, pictures: str, label: str | None, whole: bool
) -> None:
    for name in ("v-1", "v-2"):
        frames = scalabel(name)
        for t, frame in enumerate(frames):
            save(tmp_path / pictures / name / frame["name"], painted(t))
            if label is not None:
                del frame["labels"][0]["box2d"]
                value = run_lengths(t) if label == "rle" else polygon(t)
                frame["labels"][0][label] = value
        frames.reverse()  # frameIndex says their order
        write_json(tmp_path / labels / f"{name}.json", {"frames": frames} if whole else frames)
    found = open_dataset("bdd100k", tmp_path, "train", masks=label is not None)
    assert found.classes[2] == "car"
    assert found.class_ids == (1, 2, 3, 4, 5, 6, 7, 8)
    assert [(v.id, v.name, v.height, v.width) for v in found.videos] == [
        (1, "v-1", HEIGHT, WIDTH),
        (2, "v-2", HEIGHT, WIDTH),
    ]
    assert found.videos[0].files[2] == "v-1/v-1-0000003.png"
    for video in found.videos:
        (car,) = video.instances
        assert (car.id, car.class_index, car.crowd) == (1, 2, False)
        np.testing.assert_array_equal(car.boxes, [xyxy_in(t) for t in range(3)])
        assert (car.segments is None) == (label is None)
        for t, counts in (car.segments or {}).items():
            expected = (painted(t) == (220, 40, 30)).all(-1)
            np.testing.assert_array_equal(rle.decode(counts, HEIGHT, WIDTH), expected)


def test_unscored_categories_are_crowds_and_unknown_ones_are_named_once(tmp_path: Path) -> None:
    frames = scalabel("v")
    for t, frame in enumerate(frames):
        save(tmp_path / "images/track/train/v" / frame["name"], painted(t))
        label = frame["labels"][0]
        for number, category in enumerate(("other vehicle", "van", "traffic light")):
            frame["labels"].append({**label, "id": str(number), "category": category})
        frame["labels"].append({**label, "id": "8", "attributes": {"crowd": True}})
    write_json(tmp_path / "labels/box_track_20/train/v.json", frames)
    with pytest.warns(InputWarning, match="skipped 1 item, first video v, frame 0, label 3"):
        found = open_dataset("bdd100k", tmp_path, "train")
    (video,) = found.videos
    assert [(each.class_index, each.crowd) for each in video.instances] == [
        (2, False),
        (2, True),
        (2, False),
        (2, True),
    ]
    assert [each.why for each in found.skipped] == [
        '"traffic light" is none of the tracked categories.'
    ]


def test_what_the_package_marks_as_ignored_is_crowd(tmp_path: Path) -> None:
    frames = scalabel("v")
    for t, frame in enumerate(frames):
        save(tmp_path / "images/track/train/v" / frame["name"], painted(t))
        label = frame["labels"][0]
        frame["labels"].append({**label, "id": "3", "attributes": {"ignored": True}})
        frame["labels"] += [{**label, "id": "-1", "category": c} for c in ("car", "bus")]
    frames[1]["labels"][-2:] = []
    write_json(tmp_path / "labels/box_track_20/train/v.json", frames)
    found = open_dataset("bdd100k", tmp_path, "train")
    (video,) = found.videos
    assert found.skipped == ()
    assert [each.crowd for each in video.instances] == [False, True, True, True]
    there = [np.isfinite(each.boxes[:, 0]).tolist() for each in video.instances[2:]]
    assert there == [[True, False, True]] * 2


def test_a_track_that_changes_and_a_box_without_a_pixel_are_said(tmp_path: Path) -> None:
    frames = scalabel("v")
    for t, frame in enumerate(frames):
        save(tmp_path / "images/track/train/v" / frame["name"], painted(t))
        frame["labels"].append({"id": "9", "category": "bus", "box2d": box2d(t)})
        frame["labels"][0]["category"] = "truck" if t else "car"
    frames[2]["labels"][1]["box2d"] = {"x1": 500, "y1": 4, "x2": 510, "y2": 9}
    write_json(tmp_path / "labels/box_track_20/train/v.json", frames)
    with pytest.warns(InputWarning, match="skipped 2 items"):
        found = open_dataset("bdd100k", tmp_path, "train")
    (video,) = found.videos
    assert [found.classes[each.class_index] for each in video.instances] == ["car", "bus"]
    assert np.isnan(video.instances[1].boxes[:, 0]).tolist() == [False, False, True]
    assert [(each.what, each.why) for each in found.skipped] == [
        (
            "video v, frame 1, label 0",
            'track "00091079" is a truck here, and was a car: it stays what it was first.',
        ),
        ("video v, frame 2, label 1", "it has no box or mask with a pixel of its frame."),
    ]


def test_a_damaged_file_of_labels_is_one_video_at_fault(tmp_path: Path) -> None:
    frames = scalabel("good")
    for t, frame in enumerate(frames):
        save(tmp_path / "images/track/train/good" / frame["name"], painted(t))
    write_json(tmp_path / "labels/box_track_20/train/good.json", frames)
    write_json(tmp_path / "labels/box_track_20/train/lost.json", scalabel("lost"))
    (tmp_path / "labels/box_track_20/train/odd.json").write_text('[{"name": ')
    with pytest.warns(InputWarning, match="skipped 2 items"):
        found = open_dataset("bdd100k", tmp_path, "train")
    assert [video.name for video in found.videos] == ["good"]
    assert [each.what for each in found.skipped] == ["video lost", "file odd.json"]
    assert "lost/lost-0000001.png is missing" in found.skipped[0].why
