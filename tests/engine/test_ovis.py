"""OVIS: YouTube-VIS with how much of each instance is hidden."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings

from drawn_annotations import masks_of, videos
from drawn_tracks import drawn, save, states
from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, export, ovis, ytvis
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B

if TYPE_CHECKING:
    from pathlib import Path


def source() -> Annotations:
    """A mask whose object is hidden in part, one that is not, then boxes."""
    bird = (
        Keyframe(0, (0.0, 0.0, 8.0, 6.0), occluded=True),
        Keyframe(1, (1.0, 0.0, 8.0, 6.0)),
        Keyframe(2, (1.5, 0.0, 8.0, 6.0), occluded=True, extra={"ovis": {"occlusion": SEVERE}}),
    )
    tracks = (Track(2, "Bird", bird), Track(1, "Fish", (Keyframe(2, (3.0, 3.0, 9.0, 9.0)),)))
    masks = [
        InstanceMasks((2,), A[None], (1.0,)),
        InstanceMasks((2, 1), np.stack([A, B]), (1.0, 1.0)),
        None,
    ]
    boxes = BoxTracks(3, *SHAPE, None, tracks)
    return Annotations(boxes, ["x_1", "x_2", "x_3"], masks.__getitem__)


NONE, SLIGHT, SEVERE = "no_occlusion", "slight_occlusion", "severe_occlusion"


def file(path: Path, **annotation: Any) -> Path:
    """A file as the data set's own: boxes, masks, words and areas of one instance."""
    names = [f"2cb3/img_{n:07d}.jpg" for n in (1, 2, 3)]
    video = {"id": 1, "file_names": names, "width": 16, "height": 12, "length": 3}
    box = [2.0, 1.0, 5.0, 4.0]
    given = {
        "id": 4,
        "video_id": 1,
        "category_id": 2,
        "iscrowd": 0,
        "segmentations": [None, None, None],
        "bboxes": [box, None, box],
        "areas": [20, None, 20],
        "occlusion": [NONE, None, SEVERE],
        **annotation,
    }
    kinds = [{"id": 2, "name": "Bird", "supercategory": "object"}]
    content = {"videos": [video], "annotations": [given], "categories": kinds}
    return save(path, json.dumps(content))


def words(path: Path) -> dict[int, list[str | None]]:
    content = json.loads(path.read_text())
    return {each["id"]: each["occlusion"] for each in content["annotations"]}


def test_words_a_frame(tmp_path: Path) -> None:
    report = export(source(), tmp_path / "out.json", "ovis")
    assert "'occluded' is kept only in frames where the object has a mask or a box" in report.losses
    assert "'occluded' is not kept" not in report.losses
    content = json.loads((tmp_path / "out.json").read_text())
    assert words(tmp_path / "out.json") == {2: [SLIGHT, NONE, SEVERE], 1: [None, NONE, NONE]}
    # All else is a YouTube-VIS file to the byte.
    export(source(), tmp_path / "plain.json", "ytvis")
    for each in content["annotations"]:
        del each["occlusion"]
    assert content == json.loads((tmp_path / "plain.json").read_text())


def test_words_come_back(tmp_path: Path) -> None:
    export(source(), tmp_path / "out.json", "ovis")
    back = ovis.read(tmp_path / "out.json")
    bird = next(track for track in back.boxes.tracks if track.id == 2)
    assert [keyframe.occluded for keyframe in bird.keyframes] == [True, False, True]
    assert bird.keyframes[2].extra == {"ovis": {"occlusion": SEVERE}}
    export(back, tmp_path / "again.json", "ovis")
    assert words(tmp_path / "again.json") == words(tmp_path / "out.json")
    # A YouTube-VIS reader does not know them.
    plain = ytvis.read(tmp_path / "out.json")
    assert not any(k.occluded for track in plain.boxes.tracks for k in track.keyframes)


def test_a_file_of_boxes_alone(tmp_path: Path) -> None:
    back = ovis.read(file(tmp_path / "f.json"))
    (bird,) = back.boxes.tracks
    assert (bird.id, bird.label) == (4, "Bird")
    assert states(back) == [{4: ((2, 1, 7, 5), False)}, {}, {4: ((2, 1, 7, 5), True)}]
    assert [back.read_masks(n) for n in range(3)] == [None] * 3
    assert back.file_names[0] == "2cb3/img_0000001.jpg"
    report = export(back, tmp_path / "out.json", "ovis")
    assert (report.frames, report.instances) == (2, 1)


def test_one_word_for_all_frames_and_none(tmp_path: Path) -> None:
    one = ovis.read(file(tmp_path / "f.json", occlusion=SLIGHT))
    assert [k.occluded for k in one.boxes.tracks[0].keyframes if not k.outside] == [True, True]
    none = ovis.read(file(tmp_path / "f.json", occlusion=None))
    assert not any(k.occluded for k in none.boxes.tracks[0].keyframes)
    with pytest.raises(InputError, match="occlusion must have one entry for each of the 3 frames"):
        ovis.read(file(tmp_path / "f.json", occlusion=[NONE]))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(videos() | drawn())
def test_anything_comes_back(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    path = tmp_path_factory.mktemp("ovis") / "out.json"
    try:
        export(annotations, path, "ovis")
    except InputError as error:
        assert "neither a box nor a mask" in str(error)
        return
    back = ovis.read(path)
    assert FORMATS["ovis"].compare(annotations, back).difference == ""
    for n in range(len(annotations.frame_names)):
        assert masks_of(back, n) == masks_of(annotations, n)
        if annotations.read_masks(n) is None:
            hidden = {i: state[1] for i, state in states(annotations)[n].items()}
            assert {i: state[1] for i, state in states(back)[n].items()} == hidden


def test_a_wrong_word_is_found(tmp_path: Path) -> None:
    entry, path = FORMATS["ovis"], tmp_path / "out.json"
    entry.write(source(), path)
    save(path, path.read_text().replace(SEVERE, SLIGHT))
    assert entry.reopen is not None
    found = entry.compare(source(), entry.reopen(path, source())).difference
    assert found.startswith("frame x_3: occlusion")
    shorter = dataclasses.replace(source(), frame_names=["x_1", "x_2", "y"])
    assert entry.compare(shorter, entry.reopen(path, shorter)).difference
