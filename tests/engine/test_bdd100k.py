"""BDD100K: Scalabel's JSON and the MOTS bitmasks, as BDD100K's own tools write and read them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from damaged_files import is_read_or_refused, mutations
from drawn_annotations import masks_of, videos
from drawn_tracks import drawn, save, states
from maskfree import rle
from maskfree.errors import InputError, InputWarning
from maskfree.formats import FORMATS, Annotations, VideoFacts, bdd100k, bdd100k_masks, export
from maskfree.formats.base import boxes_in
from maskfree.types import BoxTracks, IgnoreRegion, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B, everything

if TYPE_CHECKING:
    from pathlib import Path

FACTS = VideoFacts(3, *SHAPE, 25.0, ["a", "b", "c"])
BOX = {"x1": 2.0, "y1": 1.0, "x2": 7.0, "y2": 4.5}


def mixed() -> Annotations:
    """Masks that overlap, one of an unknown id; nothing; boxes; a crowd, an ignored corner."""
    tracks = (
        Track(300, "car", (Keyframe(0, (0.0, 0.0, 8.0, 6.0), occluded=True),)),
        Track(1, "bee", (Keyframe(2, (1.25, 1.0, 3.0, 4.5)),), extra={"iscrowd": 1}),
    )
    masks = [
        InstanceMasks((300, 9), np.stack([A, A | B]), (1.0, 0.5)),
        InstanceMasks((1,), A[None], (1.0,)),
        None,
    ]
    corner = ((12.0, 0.0), (16.0, 0.0), (16.0, 3.0), (12.0, 3.0))
    boxes = BoxTracks(3, *SHAPE, None, tracks, (IgnoreRegion(corner, 0, None),))
    return Annotations(boxes, ["a", "b", "c"], masks.__getitem__)


def label(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "category": "car", "attributes": None, "box2d": BOX, **more}


def frame(n: int, *labels: Any, **more: Any) -> dict[str, Any]:
    name = f"b1c66a42-6f7d68ca-{n + 1:07d}.jpg"
    return {"name": name, "videoName": "b1c66a42", "frameIndex": n, "labels": [*labels], **more}


def stored(path: Path, *frames: Any) -> Path:
    return save(path, json.dumps(list(frames)))


# --- the JSON file ---------------------------------------------------------------------------


def test_a_file_as_scalabel_has_it(tmp_path: Path) -> None:
    report = export(mixed(), tmp_path / "out.json", "bdd100k")
    assert (report.frames, report.instances) == (3, 3)
    assert report.losses == (
        "1 of 3 frames were never predicted and get boxes only, or none: c",
        "in predicted frames the boxes drawn give way to the masks' own boxes",
        "'occluded' is kept only in frames where the object has a mask or a box",
        "'ignore' regions are not kept",
        "every frame gets a box: which of them were drawn is not kept",
    )
    first, _, third = json.loads((tmp_path / "out.json").read_text())
    assert {k: v for k, v in first.items() if k != "labels"} == {
        "name": "a.jpg",
        "videoName": "video",
        "frameIndex": 0,
        "size": {"width": 16, "height": 12},
    }
    car, other = first["labels"]
    assert car == {
        "id": "300",
        "category": "car",
        "attributes": {"occluded": True, "crowd": False},
        # Scalabel's boxes hold their last pixel.
        "box2d": {"x1": 0.0, "y1": 0.0, "x2": 7.0, "y2": 5.0},
        "rle": {"counts": rle.encode(A[None])[0], "size": [12, 16]},
    }
    assert (other["id"], other["category"], other["score"]) == ("9", "object", 0.5)
    assert [each["id"] for each in third["labels"]] == ["300", "1"]
    assert third["labels"][1]["attributes"] == {"occluded": False, "crowd": True}
    assert "rle" not in third["labels"][0]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(videos() | drawn())
def test_anything_comes_back(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    path = tmp_path_factory.mktemp("bdd") / "out.json"
    try:
        export(annotations, path, "bdd100k")
    except InputError as error:
        assert "neither a box nor a mask" in str(error)
        return
    back = bdd100k.read(path)
    assert list(back.frame_names) == list(annotations.frame_names)
    for n in range(len(annotations.frame_names)):
        masks, found = annotations.read_masks(n), back.read_masks(n)
        assert masks_of(back, n) == masks_of(annotations, n)
        if masks_of(annotations, n) and masks is not None and found is not None:
            scores = dict(zip(masks.track_ids, masks.scores, strict=True))
            assert [scores[i] for i in found.track_ids] == list(found.scores)
        if masks is None:
            wanted = states(annotations)[n]
            assert wanted.keys() == states(back)[n].keys()
            for track_id, (box, occluded) in wanted.items():
                again, hidden = states(back)[n][track_id]
                np.testing.assert_allclose(again, box, rtol=0, atol=1e-6)
                assert hidden == occluded


def test_a_file_of_the_data_set(tmp_path: Path) -> None:
    """Ids are text, nothing says the size, a frame is missing, a box reaches out of its frame."""
    polygon = {"vertices": [[4, 3], [12, 3], [12, 9], [4, 9]], "types": "LLLL", "closed": True}
    wide = label("00091079", box2d={"x1": -3, "y1": 2, "x2": 30, "y2": 5}, category="rider")
    hidden = label("00091078", attributes={"occluded": True, "truncated": False, "crowd": False})
    path = stored(tmp_path / "f.json", frame(2, hidden), frame(0, label("00091078"), wide))
    with pytest.warns(InputWarning, match=r'such as "a-1"'):
        back = bdd100k.read_of(stored(tmp_path / "g.json", frame(0, label("a-1"))), FACTS)
    assert back.boxes.tracks[0].id == 1
    with pytest.raises(InputError, match=r"does not say the size .* --video PATH"):
        bdd100k.read(path)
    back = bdd100k.read_of(path, FACTS)
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (91078, "car"),
        (91079, "rider"),
    ]
    assert boxes_in(back, 0) == {91078: (2, 1, 8, 5.5), 91079: (0, 2, 16, 6)}
    assert boxes_in(back, 1) == boxes_in(back, 0)  # nobody looked at it: the boxes stay
    assert states(back)[2] == {91078: ((2, 1, 8, 5.5), True)}
    assert back.read_masks(0) is None
    config = {"imageSize": {"width": 16, "height": 12}}
    sized = {"frames": [frame(0, label("4", poly2d=[polygon]))], "config": config}
    masks = bdd100k.read(save(tmp_path / "h.json", json.dumps(sized))).read_masks(0)
    assert masks is not None
    assert masks.masks[0][3:9, 4:12].all()
    assert masks.masks[0].sum() == 48


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "holds no frame"),
        ([1], "frame 0: expected a frame as an object"),
        ([frame(0), frame(0)], "has frame 0 twice"),
        ([frame(0), {**frame(1), "videoName": "x"}], "is of another video"),
        ([frame(7)], "has a frame 7, the video has only 3 frames"),
        ([{**frame(0), "name": 3}], "name must be the picture's file, got 3"),
        ([frame(0, label("1"), label("1"))], 'track "1" comes twice'),
        ([frame(0, label("1", category=None))], "category must be text, got nothing"),
        ([frame(0, label("1", box2d={"x1": 1}))], "box2d must have x1, y1, x2 and y2"),
        ([frame(0, label("1", score=2))], "score must be a number from 0 to 1, got 2"),
        ([frame(0, label("1", rle={"counts": "1", "size": [9, 9]}))], "the size of the RLE"),
        ([frame(0, {"category": "car"})], "id must be the track's, text, got nothing"),
        (
            [frame(0, size={"width": 10**9, "height": 10**9})],
            "is for a video of 1000000000 x",
        ),
    ],
)
def test_files_at_fault(tmp_path: Path, frames: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        bdd100k.read_of(stored(tmp_path / "f.json", *frames), FACTS)


def test_sizes_and_lengths_are_bounded(tmp_path: Path) -> None:
    huge = frame(0, label("1"), size={"width": 10**9, "height": 10**9})
    with pytest.raises(InputError, match="a frame must have sides of"):
        bdd100k.read(stored(tmp_path / "f.json", huge))
    for number, said in (
        (10**6, "has a frame 1000000 and only 1 frames"),
        (10**12, "a video may have up to"),
    ):
        late = frame(number, label("1"), size={"width": 16, "height": 12})
        with pytest.raises(InputError, match=said):
            bdd100k.read(stored(tmp_path / "f.json", late))


def test_what_differs_is_found(tmp_path: Path) -> None:
    entry, path, source = FORMATS["bdd100k"], tmp_path / "out.json", mixed()
    entry.write(source, path)
    text = path.read_text()
    assert entry.reopen is not None
    for old, new, said in (
        ('"car"', '"cat"', "frame a: track 300 is labelled"),
        ('"occluded":true', '"occluded":false', "frame a: occluded of track 300"),
        ('"score":0.5', '"score":0.25', "frame a: score of track 9 is 0.25"),
        ('"crowd":true', '"crowd":false', "frame b: crowd of track 1"),
        ('"x1":1.25', '"x1":1.5', "frame c: the box of track 1"),
        ('"a.jpg"', '"b.jpg"', "the frames' names differ"),
    ):
        assert old in text
        save(path, text.replace(old, new, 1))
        assert said in entry.compare(source, entry.reopen(path, source)).difference


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_strangers_files(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "strange.json"
    if not path.exists():
        export(mixed(), path, "bdd100k")
    valid = path.read_bytes()
    save(path, data.draw(mutations(valid)))
    try:
        is_read_or_refused(lambda: bdd100k.read(path))
    finally:
        save(path, valid)


# --- the bitmasks ----------------------------------------------------------------------------


def test_pictures_as_the_data_set_has_them(tmp_path: Path) -> None:
    report = export(mixed(), tmp_path / "out", "bdd100k-masks")
    assert (report.frames, report.instances) == (2, 3)
    assert report.losses == (
        "1 of 3 frames were never predicted and get no PNG: c",
        "a pixel has one id: where instances overlap, the higher score, then the smaller id wins "
        "(frames a)",
        'labels are kept as category numbers (9 = "bee"); BDD100K has 1 to 8',
        "boxes are not kept, only masks",
        "'occluded' is kept only in frames where the object has a mask",
        "'ignore' regions become pixels of the predicted frames, without those that an instance "
        "covers",
        "scores are not kept",
    )
    assert sorted(everything(tmp_path / "out")) == ["a.png", "b.png"]
    with Image.open(tmp_path / "out/a.png") as image:
        assert image.mode == "RGBA"
        red, green, blue, alpha = np.moveaxis(np.array(image), -1, 0)
    assert {(red[y, x], green[y, x]) for y, x in np.argwhere(A)} == {(3, 4)}  # a car, occluded
    assert int(blue[0, 0]) * 256 + int(alpha[0, 0]) == 300
    only = B & ~A
    assert {(red[y, x], alpha[y, x]) for y, x in np.argwhere(only)} == {(10, 9)}
    assert (green[0:3, 12:16] == 1).all()
    assert not red[0:3, 12:16].any()
    with Image.open(tmp_path / "out/b.png") as image:
        assert np.array(image)[0, 0].tolist() == [9, 2, 0, 1]  # the crowd


def test_bitmasks_come_back(tmp_path: Path) -> None:
    export(mixed(), tmp_path / "out", "bdd100k-masks")
    back = bdd100k_masks.read(tmp_path / "out")
    assert [(t.id, t.label, dict(t.extra)) for t in back.boxes.tracks] == [
        (1, "class 9", {"iscrowd": 1}),
        (9, "class 10", {}),
        (300, "car", {}),
    ]
    masks = back.read_masks(0)
    assert masks is not None
    np.testing.assert_array_equal(masks.masks, [B, A])
    assert back.boxes.ignore[0].polygon == ((12, 0), (16, 0), (16, 3), (12, 3))
    assert states(back)[0][300][1]
    export(back, tmp_path / "again", "bdd100k-masks")
    first, again = everything(tmp_path / "out"), everything(tmp_path / "again")
    assert first == again


@pytest.mark.filterwarnings("ignore:.*ignored parts:maskfree.errors.InputWarning")
@settings(max_examples=30, deadline=None, derandomize=True)
@given(videos(ids=st.integers(1, 65535)))
def test_any_bitmasks_come_back(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    folder = tmp_path_factory.mktemp("bdd") / "out"
    try:
        export(annotations, folder, "bdd100k-masks")
    except InputError as error:
        assert "no frame has any" in str(error)
        return
    back = bdd100k_masks.read(folder)
    assert FORMATS["bdd100k-masks"].losses(back) is not None
    for n, name in enumerate(back.frame_names):
        own = list(annotations.frame_names).index(name)
        masks, found = annotations.read_masks(own), back.read_masks(n)
        assert (masks is None) == (found is None)
        if masks is not None and found is not None:
            np.testing.assert_array_equal(masks.masks.any(axis=0), found.masks.any(axis=0))


def test_bitmasks_at_fault(tmp_path: Path) -> None:
    large = dataclasses.replace(
        mixed(), read_masks=lambda _: InstanceMasks((65536,), A[None], (1.0,))
    )
    with pytest.raises(InputError, match="holds ids up to 65535, but there is a track 65536"):
        export(large, tmp_path / "out", "bdd100k-masks")
    assert everything(tmp_path) == {}
    two = np.zeros((*SHAPE, 4), np.uint8)
    two[:4] = (1, 0, 0, 5)
    two[4:] = (2, 0, 0, 5)
    Image.fromarray(two).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="instance 5 has several categories"):
        bdd100k_masks.read(tmp_path)
    Image.fromarray(two[..., :3]).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="is no RGBA PNG of 8 bits a channel"):
        bdd100k_masks.read(tmp_path)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_strangers_bitmasks(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "strange-masks"
    if not folder.exists():
        export(mixed(), folder, "bdd100k-masks")
    valid = (folder / "a.png").read_bytes()
    save(folder / "a.png", data.draw(mutations(valid)))
    try:
        is_read_or_refused(lambda: bdd100k_masks.read(folder))
    finally:
        save(folder / "a.png", valid)
