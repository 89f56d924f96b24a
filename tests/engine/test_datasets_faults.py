"""What is at fault in a data set is skipped with its reason; a file that is none is refused."""

from __future__ import annotations

import copy
import json
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree.config import FormatConfig
from maskfree.datasets import gathering
from maskfree.datasets.gathering import relative_name
from maskfree.datasets.layouts import KINDS
from maskfree.datasets.opening import open_dataset
from maskfree.errors import InputError, InputWarning
from small_datasets import painted, save, save_frames, scalabel, write_json, ytvis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

YTVIS = "train/instances.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save_frames(tmp_path / "train" / "JPEGImages")
    return tmp_path


def named(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return data["videos"][0], data["annotations"][0]


def _no_length(data: dict[str, Any]) -> None:
    named(data)[0]["length"] = 7


def _outside(data: dict[str, Any]) -> None:
    named(data)[0]["file_names"][1] = "../../secret.png"


def _absolute(data: dict[str, Any]) -> None:
    named(data)[0]["file_names"][1] = "/etc/hosts"


def _missing(data: dict[str, Any]) -> None:
    named(data)[0]["file_names"][1] = "aa/00009.png"


def _huge(data: dict[str, Any]) -> None:
    named(data)[0]["height"] = 10**9


def _other_video(data: dict[str, Any]) -> None:
    named(data)[1]["video_id"] = 77


def _other_category(data: dict[str, Any]) -> None:
    named(data)[1]["category_id"] = 5


def _short(data: dict[str, Any]) -> None:
    named(data)[1]["bboxes"].pop()


def _absent(data: dict[str, Any]) -> None:
    named(data)[1]["bboxes"] = [None] * 3


def _no_number(data: dict[str, Any]) -> None:
    named(data)[1]["bboxes"][0] = [1, 2, "x", 4]


def _crowd(data: dict[str, Any]) -> None:
    named(data)[1]["iscrowd"] = 1


BOXLESS = ("video aa", "it has no box of an object. Annotate it, or leave it.")
ANNOTATION = "annotation 10"


@pytest.mark.parametrize(
    ("spoil", "what", "why"),
    [
        (_no_length, "video 1", "its length is 7, but there are 3 file_names."),
        (_outside, "video 1", "the name of a picture must be a path below"),
        (_absolute, "video 1", "the name of a picture must be a path below"),
        (_huge, "video 1", "a frame must have sides of 1 to 32768 pixels"),
        (_missing, "video aa", "1 of its 3 pictures are missing, first aa/00009.png. Copy"),
        (_other_video, ANNOTATION, "there is no video 77, or it was skipped."),
        (_other_category, "annotation 10 of video aa", "there is no category 5. Add it."),
        (_short, ANNOTATION, "bboxes must have one entry for each of the 3 frames, got 2."),
        (_absent, ANNOTATION, "it has no box in any frame. Draw one, or remove it."),
        (_no_number, ANNOTATION, "a bbox must be four finite numbers"),
        (_crowd, *BOXLESS),
    ],
)
def test_an_item_at_fault_is_skipped_with_its_reason(
    root: Path, spoil: Callable[[dict[str, Any]], None], what: str, why: str
) -> None:
    data = ytvis()
    spoil(data)
    write_json(root / YTVIS, data)
    with pytest.warns(InputWarning, match=f"skipped . items?, first {re.escape(what)}: ") as said:
        found = open_dataset("ytvis2021", root, "train")
    assert len(said) == 1
    assert [video.name for video in found.videos] == ["bb"]
    assert found.skipped[0].what == what
    assert found.skipped[0].why.startswith(why)
    if "annotation" in what:
        assert (found.skipped[-1].what, found.skipped[-1].why) == BOXLESS


def test_a_box_without_a_pixel_counts_as_none_and_is_said(root: Path) -> None:
    data = ytvis()
    boxes = data["annotations"][0]["bboxes"]
    boxes[1], boxes[2] = [20, 10, -4, 6], [500, 10, 4, 6]
    data["annotations"][1]["bboxes"][0] = [0, 0, 0, 0]  # as some write where it is absent
    write_json(root / YTVIS, data)
    with pytest.warns(InputWarning, match="skipped 1 item, first annotation 10: "):
        found = open_dataset("ytvis2021", root, "train")
    absent = [np.isnan(each.boxes[:, 0]).tolist() for v in found.videos for each in v.instances]
    assert absent == [[False, True, True], [True, False, False]]
    assert found.skipped[0].why == (
        "2 of its 3 boxes hold no pixel of their frame, first [20, 10, -4, 6] in frame 1: they "
        "count as none."
    )


def test_ids_that_come_twice_are_skipped(root: Path) -> None:
    data = ytvis()
    data["annotations"].append(copy.deepcopy(data["annotations"][0]))
    data["videos"].append(copy.deepcopy(data["videos"][1]))
    write_json(root / YTVIS, data)
    with pytest.warns(InputWarning):
        found = open_dataset("ytvis2021", root, "train")
    assert [len(video.instances) for video in found.videos] == [1, 1]
    assert [each.what for each in found.skipped] == ["video 2", "annotation 10"]


def test_videos_without_a_box_are_kept_to_predict_on(root: Path) -> None:
    data = ytvis()
    data["annotations"].pop(0)
    write_json(root / YTVIS, data)
    with pytest.warns(InputWarning, match="skipped 1 item, first video aa: it has no box"):
        assert len(open_dataset("ytvis2021", root, "train").videos) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = open_dataset("ytvis2021", root, "train", without_boxes=True)
    assert [len(video.instances) for video in found.videos] == [0, 1]


def test_a_file_without_annotations_is_for_prediction(root: Path) -> None:
    data = {**ytvis(), "annotations": None}
    write_json(root / YTVIS, data)
    with pytest.raises(InputError, match="has no annotations: one can predict on it, not train"):
        open_dataset("ytvis2021", root, "train")
    assert len(open_dataset("ytvis2021", root, "train", without_boxes=True).videos) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "expected a file of annotations as an object"),
        ('{"videos": [', "is not JSON"),
        ("", "is empty"),
        ('{"videos": 3, "categories": [], "annotations": []}', "videos must be a list, got 3"),
        ('{"categories": [{"id": 1, "name": "a"}]}', "videos must be a list, got nothing"),
        ('{"videos": []}', "categories must be a list, got nothing"),
        ('{"videos": [], "categories": []}', "has no categories"),
        ('{"videos": [], "categories": [{"id": 1, "name": 3}]}', "name must be text, got 3"),
        (
            json.dumps({**ytvis(), "annotations": [], "videos": []}),
            "hold no video that can be used. Check that they belong together.",
        ),
    ],
)
def test_a_file_that_is_none_is_refused(root: Path, text: str, message: str) -> None:
    (root / YTVIS).write_text(text)
    with pytest.raises(InputError, match=re.escape(message)):
        open_dataset("ytvis2021", root, "train")


def test_what_is_not_found_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'no kind of data set "ytvis", only .*Did you mean "y'):
        open_dataset("ytvis", tmp_path, "train")
    with pytest.raises(InputError, match="There is no folder"):
        open_dataset("coco", tmp_path / "nowhere", "train")
    for kind in KINDS:
        with pytest.raises(InputError, match=f"does not hold the split val of {kind}: looked for"):
            open_dataset(kind, tmp_path, "val")
    for split in ("", "..", "a/b", "{0}"):
        with pytest.raises(InputError, match="The split must be a name"):
            open_dataset("coco", tmp_path, split)


def test_a_folder_of_labels_without_files(tmp_path: Path) -> None:
    (tmp_path / "labels/box_track_20/train").mkdir(parents=True)
    (tmp_path / "images/track/train").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds no \*\.json file"):
        open_dataset("bdd100k", tmp_path, "train")


def test_thousands_of_videos_in_one_file(root: Path) -> None:
    data = ytvis([f"v{n:04d}" for n in range(3000)], length=1)
    for n in range(3000):
        data["videos"][n]["file_names"] = ["aa/00000.png"]
    write_json(root / YTVIS, data)
    found = open_dataset("ytvis2019", root, "train")
    assert len(found.videos) == len({video.name for video in found.videos}) == 3000


def test_a_small_file_does_not_ask_for_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, length in (("a", 4), ("b", 3)):
        frames = scalabel(name, length)
        for t, frame in enumerate(frames):
            save(tmp_path / "images/track/train" / name / frame["name"], painted(t))
            frame["labels"][0]["id"] = str(t)  # as many tracks as frames
        write_json(tmp_path / f"labels/box_track_20/train/{name}.json", frames)
    monkeypatch.setattr(gathering, "FormatConfig", lambda: FormatConfig(most_boxes=20))
    with pytest.warns(InputWarning, match="skipped 1 item, first video b: its frames times its"):
        found = open_dataset("bdd100k", tmp_path, "train")
    assert [len(video.instances) for video in found.videos] == [4]
    assert "are 9, 4 are left of the 20 of a data set. Split the video." in found.skipped[0].why


@pytest.mark.parametrize(
    "name",
    ["", "/a.png", "../a.png", "a/../../b.png", "C:\\a.png", "\\\\host\\a.png", "a\0.png", 3, None],
)
def test_names_that_lead_out_of_the_folder(name: object) -> None:
    with pytest.raises(InputError, match="here: the name of a picture must be a path below"):
        relative_name(name, "here")


def test_names_below_the_folder() -> None:
    assert relative_name("a\\b/./c.png", "here") == "a/b/c.png"
