"""COCO: round trips, what pycocotools reads of our files, what is named as lost."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from pycocotools.coco import COCO

from drawn_annotations import masks_of, videos
from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, coco, coco_reader, export
from maskfree.formats.base import boxes_in, present
from maskfree.ignore_regions import regions_at
from maskfree.tracks import boxes_at
from maskfree.types import IgnoreRegion, InstanceMasks, Keyframe, Track
from mots_examples import annotated, instances
from plain_annotations import SHAPE, A, B, everything, video

if TYPE_CHECKING:
    from pathlib import Path

H, W = SHAPE


def loaded(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


TRACKS = (
    Track(3, "rabbit", (Keyframe(0, (1.0, 2.0, 4.0, 6.5)), Keyframe(2, (3.0, 2.0, 6.0, 6.5)))),
    Track(7, "bird", (Keyframe(0, (0.0, 0.0, 8.0, 6.0)), Keyframe(1, None, outside=True))),
)


# --- what is written ----------------------------------------------------------------------------


def test_the_file_by_hand(tmp_path: Path) -> None:
    frames = [instances({7: A, 3: B}, 0.5, 0.75), instances({7: A}), None]
    path = tmp_path / "out.json"
    report = export(annotated(frames, *TRACKS), path, "coco")
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["videos"] == [
        {"id": 1, "name": "video", "width": W, "height": H, "length": 3, "fps": 24.0}
    ]
    assert data["images"][2] == {
        "id": 3,
        "video_id": 1,
        "frame_id": 2,
        "file_name": "00002.jpg",
        "width": W,
        "height": H,
    }
    assert [(c["id"], c["name"]) for c in data["categories"]] == [(1, "rabbit"), (2, "bird")]
    first, second, third, fourth = data["annotations"]
    assert {name: first[name] for name in ("id", "image_id", "video_id", "frame_id")} == {
        "id": 1,
        "image_id": 1,
        "video_id": 1,
        "frame_id": 0,
    }
    assert (first["track_id"], first["instance_id"], first["category_id"]) == (7, 7, 2)
    assert (first["score"], second["score"], third["score"]) == (0.5, 0.75, 1.0)
    assert (second["bbox"], second["area"], second["iscrowd"]) == ([9, 7, 6, 4], 24, 0)
    assert fourth["segmentation"] == []
    assert (fourth["track_id"], fourth["bbox"], fourth["area"]) == (3, [3, 2, 3, 4.5], 13.5)
    assert fourth["attributes"] == {"track_id": 3, "occluded": False}
    assert (report.frames, report.instances) == (2, 2)
    assert report.losses == (
        "1 of 3 frames were never predicted and get boxes only; one without boxes reads as empty: "
        "00002",
        "in predicted frames the boxes drawn give way to the masks' own boxes",
        "every frame gets a box: which of them were drawn is not kept",
    )


def test_occlusion_is_kept(tmp_path: Path) -> None:
    boxed = (0.0, 0.0, 8.0, 6.0)
    keys = Keyframe(0, boxed), Keyframe(1, boxed, occluded=True), Keyframe(3, boxed)
    still = Track(3, "car", (Keyframe(0, boxed, occluded=True), Keyframe(2, boxed)))
    tracks = Track(7, "bird", keys), still
    source = annotated(
        [instances({7: A}), instances({7: A, 3: B}), instances({7: A}), None], *tracks
    )
    export(source, tmp_path / "a.json", "coco")
    for back in (coco.read(tmp_path / "a.json"), coco_reader.reopen(tmp_path / "a.json", source)):
        assert FORMATS["coco"].compare(source, back).difference == ""
        for wrong in (True, False):
            said = [Keyframe(n, boxed, occluded=wrong) for n in range(4)]
            other = annotated(
                [source.read_masks(n) for n in range(4)], Track(7, "bird", tuple(said)), still
            )
            assert FORMATS["coco"].compare(other, back).difference.endswith("tracks are occluded")
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    hidden = [
        (a["frame_id"], a["track_id"])
        for a in content["annotations"]
        if a["attributes"]["occluded"]
    ]
    assert hidden == [(1, 7), (1, 3), (2, 7)]


def test_pycocotools_gives_the_very_masks(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((2, *SHAPE)) < 0.5
    frames = [instances({7: A, 3: B}), instances({3: noise[0], 900: noise[1]})]
    export(annotated(frames, *TRACKS), tmp_path / "out.json", "coco")
    read = loaded(tmp_path / "out.json")
    assert [image["file_name"] for image in read.loadImgs([1, 2])] == ["00000.jpg", "00001.jpg"]
    for frame, masks in enumerate(frames):
        found = read.loadAnns(read.getAnnIds(imgIds=[frame + 1]))
        assert [each["track_id"] for each in found] == list(masks.track_ids)
        for each, mask in zip(found, masks.masks, strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # under numpy 2
                np.testing.assert_array_equal(read.annToMask(each), mask)
            assert each["area"] == mask.sum()
    names = {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())}
    assert [names[each["category_id"]] for each in found] == ["rabbit", "object"]


def test_ignore_regions_are_crowds(tmp_path: Path) -> None:
    triangle = IgnoreRegion(((1.0, 1.0), (9.5, 1.0), (1.0, 8.25)), 1, 2)
    always = IgnoreRegion(((0.0, 8.0), (16.0, 8.0), (16.0, 12.0), (0.0, 12.0)), 0, None)
    frames = [instances({7: A}), instances({}), None, instances({7: A})]
    source = annotated(frames, *TRACKS, ignore=(triangle, always))
    report = export(source, tmp_path / "out.json", "coco")
    assert not any("ignore" in loss for loss in report.losses)
    read = loaded(tmp_path / "out.json")
    crowds = read.loadAnns(read.getAnnIds(iscrowd=True))
    assert [each["image_id"] for each in crowds] == [1, 2, 2, 3, 3, 4]
    assert all("track_id" not in each for each in crowds)
    back = coco.read(tmp_path / "out.json").boxes.ignore
    assert back == (dataclasses.replace(always, until=3), triangle)


def test_boxes_only(tmp_path: Path) -> None:
    track = Track(5, "car", (Keyframe(1, (0.1, 0.2, 5.3, 7.7)), Keyframe(3, (2.1, 0.2, 16.0, 9.0))))
    source = annotated([None] * 4, track, Track(6, "lorry", ()))
    report = export(source, tmp_path / "out.json", "coco")
    assert report.losses == (
        "no frame has masks: the file holds boxes only",
        "tracks without a mask or box in any frame are not kept: 6",
        "every frame gets a box: which of them were drawn is not kept",
    )
    assert (report.frames, report.instances) == (3, 1)
    back = coco.read(tmp_path / "out.json")
    assert all(back.read_masks(frame) is None for frame in range(4))
    assert len(loaded(tmp_path / "out.json").anns) == 3
    for frame in range(4):
        wanted = {i: state.xyxy for i, state in boxes_at(source.boxes, frame).items()}
        assert boxes_in(back, frame) == {i: pytest.approx(box) for i, box in wanted.items()}


def test_every_loss_is_named() -> None:
    tracks = (
        Track(1, "cell", (Keyframe(0, (0.0, 0.0, 4.0, 4.0), occluded=True),), extra={"by": "me"}),
        Track(2, "cell", (Keyframe(0, (0.0, 0.0, 4.0, 4.0)),), parent=1),
    )
    assert FORMATS["coco"].losses(annotated([instances({1: A})], *tracks)) == [
        "in predicted frames the boxes drawn give way to the masks' own boxes",
        "tracks without a mask or box in any frame are not kept: 2",
        "parents (divisions) are not kept",
        "other fields of the boxes file are not kept",
    ]


def test_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a box nor a mask"):
        export(annotated([None], Track(1, "car", ())), tmp_path / "out.json", "coco")
    named = dataclasses.replace(video(), frame_names=["a", "\ud800"])
    with pytest.raises(InputError, match="no text that UTF-8 can hold"):
        export(named, tmp_path / "out.json", "coco")
    assert everything(tmp_path) == {}


@given(source=videos())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, source: Annotations) -> None:
    frames = range(len(source.frame_names))
    masks = [source.read_masks(frame) for frame in frames]
    drawn = [boxes_at(source.boxes, frame) for frame in frames]
    assume(any(b if m is None else present(m) for b, m in zip(drawn, masks, strict=True)))
    path = tmp_path_factory.mktemp("coco") / "out.json"
    report = export(source, path, "coco")
    back = coco.read(path)
    assert back.boxes.fps == source.boxes.fps
    labels = {track.id: track.label for track in source.boxes.tracks}
    for track in back.boxes.tracks:
        assert track.label == labels.get(track.id, "object")
    some = any(m is not None and present(m) for m in masks)
    for frame, known in enumerate(masks):
        assert masks_of(back, frame) == masks_of(source, frame)
        read = back.read_masks(frame)
        if known is None:
            wanted = {i: state.xyxy for i, state in drawn[frame].items()}
            got = {i: state.xyxy for i, state in boxes_at(back.boxes, frame).items()}
            assert got == {i: pytest.approx(box) for i, box in wanted.items()}
        elif some:
            assert read is not None
            scores = dict(zip(known.track_ids, known.scores, strict=True))
            for track_id, score in zip(read.track_ids, read.scores, strict=True):
                assert score == scores[track_id]
        wanted_regions = {each.polygon for each in regions_at(source.boxes, frame).values()}
        assert wanted_regions == {each.polygon for each in regions_at(back.boxes, frame).values()}
    compared = FORMATS["coco"].compare(source, back)
    assert compared.difference == ""
    assert (compared.frames, compared.tracks) == (report.frames, report.instances)
    again = path.with_name("again.json")
    export(back, again, "coco")
    assert coco.read(again).boxes == back.boxes


# --- what an export reads back ------------------------------------------------------------------


def changed(old: bytes, new: bytes) -> Any:
    write = FORMATS["coco"].write

    def spoil(annotations: Annotations, path: Path) -> None:
        write(annotations, path)
        raw = path.read_bytes()
        assert old in raw
        path.write_bytes(raw.replace(old, new, 1))

    return spoil


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"score":0.5', b'"score":0.75', "frame 00000: the score of track 1 is 0.75, not 0.5"),
        (b'"bbox":[0.0,', b'"bbox":[0.5,', "frame 00000: boxes {1: "),
        (b"00000.jpg", b"00002.jpg", "the frames' names differ"),
        (b'"name":"object"', b'"name":"ob"', 'track 1 is labelled "ob", not "object"'),
        (b'"track_id":1', b'"track_id":2', r"frame 00000: ids \[2\] instead of \[1\]"),
        (b'"iscrowd":0', b'"iscrowd":1', "frame 00000: the mark iscrowd of track 1 differs"),
        (b'"fps":null', b'"fps":5', "the size or fps of the video differ"),
        (b'"counts":"', b'"counts":"z', "annotation 2: the runs of the RLE must add up"),
        (b"[[1.0,1.0,", b"[[2.0,1.0,", "frame 00000: the ignore regions differ"),
        (b"]}", b"]", "is not JSON"),
    ],
)
def test_what_the_disk_made_of_it_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes, new: bytes, message: str
) -> None:
    entry = dataclasses.replace(FORMATS["coco"], write=changed(old, new))
    monkeypatch.setitem(FORMATS, "coco", entry)
    region = IgnoreRegion(((1.0, 1.0), (9.5, 1.0), (1.0, 8.25)), 0, None)
    boxes = dataclasses.replace(video(num_frames=1).boxes, ignore=(region,))
    masks = InstanceMasks((1,), A[None], (0.5,))
    with pytest.raises(InputError, match=message):
        export(Annotations(boxes, ["00000"], lambda _: masks), tmp_path / "out.json", "coco")
    assert list(tmp_path.iterdir()) == []


def test_a_frame_that_is_not_known_as_empty_any_more(tmp_path: Path) -> None:
    source = annotated([instances({7: A}), instances({})], *TRACKS[1:])
    export(source, tmp_path / "a.json", "coco")
    back = coco.read(tmp_path / "a.json")
    compare = FORMATS["coco"].compare
    assert compare(source, back).difference == ""
    unknown = dataclasses.replace(back, read_masks=[back.read_masks(0), None].__getitem__)
    assert compare(source, unknown).difference == "frame 00001: it is not known as empty"


def test_masks_are_read_a_frame_at_a_time(tmp_path: Path) -> None:
    source = video(num_frames=9)
    FORMATS["coco"].write(source, tmp_path / "a.json")
    reopen = FORMATS["coco"].reopen
    assert reopen is not None
    reopened = reopen(tmp_path / "a.json", source)
    assert [track.keyframes for track in reopened.boxes.tracks] == [()]
    assert boxes_in(reopened, 4) == {1: (0.0, 0.0, 8.0, 6.0)}
    (tmp_path / "a.json").unlink()  # what it says of masks lies in a file of our own
    assert masks_of(reopened, 8) == {1: A.tolist()}
