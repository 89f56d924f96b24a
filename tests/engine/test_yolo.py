"""YOLO: labels as Ultralytics trains on them and writes them, masks to the pixel, faults."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged_files import is_read_or_refused, mutations
from drawn_annotations import masks_of, videos
from drawn_tracks import drawn, save, states
from maskfree.errors import InputError, InputWarning
from maskfree.formats import FORMATS, Annotations, VideoFacts, convert, export, yolo
from maskfree.formats.base import boxes_in
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B, everything, rectangle

if TYPE_CHECKING:
    from pathlib import Path

FACTS = VideoFacts(3, *SHAPE, 25.0, ["a", "b", "c"])


def mixed() -> Annotations:
    """A mask with a hole and one of an unknown id; nothing; boxes."""
    car = Track(3, "car", (Keyframe(0, (0.0, 0.0, 8.0, 6.0), occluded=True),))
    bee = Track(1, "bee: #1", (Keyframe(2, (1.25, 1.0, 3.0, 4.5)),))
    hole = A & ~rectangle(2, 3, 4, 5)
    masks = [
        InstanceMasks((3, 9), np.stack([hole, A | B]), (1.0, 0.5)),
        InstanceMasks((), np.zeros((0, *SHAPE), bool), ()),
        None,
    ]
    boxes = BoxTracks(3, *SHAPE, 25.0, (car, bee))
    return Annotations(boxes, ["a", "b", "c"], masks.__getitem__)


def labelled(folder: Path, **files: str) -> Path:
    for stem, text in files.items():
        save(folder / "labels" / f"{stem}.txt", text)
    return folder


def shown(path: Path, facts: VideoFacts = FACTS) -> list[dict[int, tuple[float, ...]]]:
    back = yolo.read_of(path, facts)
    return [boxes_in(back, frame) for frame in range(len(back.frame_names))]


# --- written ---------------------------------------------------------------------------------


def test_files_as_ultralytics_reads_them(tmp_path: Path) -> None:
    report = export(mixed(), tmp_path / "out", "yolo")
    assert (report.frames, report.instances) == (2, 3)
    assert report.losses == (
        "1 of 3 frames were never predicted and get boxes only, or none: c",
        "in predicted frames the boxes drawn give way to the masks' own boxes",
        "Ultralytics takes a folder of outlines and boxes for one of boxes",
        "'occluded' is not kept",
        "every frame gets a box: which of them were drawn is not kept",
        "scores are not kept",
    )
    out = tmp_path / "out"
    text = {name: data.decode() for name, data in everything(out).items()}
    assert text["labels/b.txt"] == text["track_ids/b.txt"] == ""
    bee = "1 0.1328125 0.22916666666666666 0.109375 0.2916666666666667\n"
    assert text["labels/c.txt"] == f"0 0.25 0.25 0.5 0.5\n{bee}"
    assert text["track_ids/c.txt"] == "3\n1\n"
    # Class, then pairs of coordinates between 0 and 1: what Ultralytics' check of labels asks for.
    for line in text["labels/a.txt"].splitlines():
        kind, *parts = line.split()
        assert kind in ("0", "2")
        assert len(parts) % 2 == 0
        assert all(0 <= float(part) <= 1 for part in parts)
    assert text["data.yaml"].startswith(
        "path: .\ntrain: images\nval: images\nnames:\n  0: car\n  1: 'bee: #1'\n  2: object\n"
    )


def test_read_back(tmp_path: Path) -> None:
    export(mixed(), tmp_path / "out", "yolo")
    back = yolo.read(tmp_path / "out")
    assert FORMATS["yolo"].compare(mixed(), back).difference == ""
    assert list(back.frame_names) == ["a", "b", "c"]
    assert (back.boxes.height, back.boxes.width, back.boxes.fps) == (*SHAPE, 25.0)
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (1, "bee: #1"),
        (3, "car"),
        (9, "object"),
    ]
    empty = back.read_masks(1)
    assert empty is not None
    assert empty.track_ids == ()
    assert back.read_masks(2) is None


@settings(max_examples=40, deadline=None, derandomize=True)
@given(videos() | drawn())
def test_anything_comes_back(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    folder = tmp_path_factory.mktemp("yolo") / "out"
    try:
        export(annotations, folder, "yolo")
    except InputError as error:
        assert "neither a box nor a mask" in str(error)
        return
    back = yolo.read(folder)
    masked = any(masks_of(annotations, n) for n in range(len(annotations.frame_names)))
    for frame in range(len(annotations.frame_names)):
        assert masks_of(back, frame) == masks_of(annotations, frame)
        if annotations.read_masks(frame) is None:
            wanted, found = boxes_in(annotations, frame), states(back)[frame]
            assert wanted.keys() == found.keys()
            for track_id, box in wanted.items():
                np.testing.assert_allclose(found[track_id][0], box, rtol=0, atol=1e-6)
            assert not wanted or back.read_masks(frame) is None
        elif masked:
            assert back.read_masks(frame) is not None


def test_an_order_that_names_do_not_tell_is_named(tmp_path: Path) -> None:
    names = ["b", "a", "c"]
    losses = export(
        dataclasses.replace(mixed(), frame_names=names), tmp_path / "out", "yolo"
    ).losses
    assert any(
        loss.startswith("read without --video, files become other frames") for loss in losses
    )


def test_an_export_replaces_its_own_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(mixed(), out, "yolo")
    export(mixed(), out, "yolo")
    save(out / "labels/c.txt", "0 0.5 0.5 0.1 0.1\n1 0.1 0.1 0.1 0.1\n")
    before = everything(tmp_path)
    with pytest.raises(InputError, match='holds "labels", which no export of this format wrote'):
        export(mixed(), out, "yolo")
    assert everything(tmp_path) == before


def test_what_differs_is_found(tmp_path: Path) -> None:
    entry, out, source = FORMATS["yolo"], tmp_path / "out", mixed()
    entry.write(source, out)
    assert entry.reopen is not None
    for name, old, new, said in (
        ("labels/c.txt", "0 0.25", "0 0.26", "frame c: the box of track 3"),
        ("labels/c.txt", "0 0.25", "1 0.25", 'frame c: track 3 is labelled "bee: #1"'),
        ("labels/a.txt", "0.5", "0.4375", "frame a: the"),
        ("track_ids/c.txt", "3\n", "4\n", "frame c: ids [1, 4] instead of [1, 3]"),
        ("data.yaml", "fps: 25.0", "fps: 24.0", "the video's size or frames a second differ"),
    ):
        path = out / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        save(path, text.replace(old, new, 1))
        assert said in entry.compare(source, entry.reopen(out, source)).difference
        save(path, text)


# --- read ------------------------------------------------------------------------------------


def test_ids_and_confidences_behind_the_shapes(tmp_path: Path) -> None:
    """As ``save_txt`` of Ultralytics' trackers has them; frames of a video count from 1."""
    ids = labelled(tmp_path / "ids", clip_1="0 0.5 0.5 0.25 0.5 7\n2 0.5 0.5 0.5 0.5 12", clip_3="")
    first = {7: (6, 3, 10, 9), 12: (4, 3, 12, 9)}
    assert shown(ids) == [first, first, {}]  # nobody looked at the second: the boxes stay
    both = labelled(tmp_path / "both", a="0 0.5 0.5 0.25 0.5 0.9 1", b="0 0.5 0.5 0.5 0.5 0.25 1")
    assert shown(both)[:2] == [{1: (6, 3, 10, 9)}, {1: (4, 3, 12, 9)}]
    sure = labelled(tmp_path / "sure", a="0 0.5 0.5 0.25 0.5 0.9", b="0 0.5 0.5 0.5 0.5 1")
    with pytest.warns(InputWarning, match="2 shapes have no id"):
        assert shown(sure)[:2] == [{1: (6, 3, 10, 9)}, {2: (4, 3, 12, 9)}]
    square = "0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"
    outlines = labelled(tmp_path / "outlines", a=f"0 {square} 5", b=f"0 {square} 5", c="")
    back = yolo.read_of(outlines, FACTS)
    for frame in (0, 1):
        masks = back.read_masks(frame)
        assert masks is not None
        assert masks.track_ids == (5,)
        np.testing.assert_array_equal(masks.masks[0], rectangle(3, 4, 9, 12))
    scored = yolo.read_of(labelled(tmp_path / "scored", a=f"0 {square} 0.5 5"), FACTS).read_masks(0)
    assert scored is not None
    assert (scored.track_ids, scored.scores) == ((5,), (0.5,))


def test_a_data_set_without_ids(tmp_path: Path) -> None:
    folder = labelled(tmp_path, a="1 0.5 0.5 0.25 0.5\n0 0.5 0.5 0.5 0.5\n", c="3 0.5 0.5 1.5 0.5")
    save(tmp_path / "data.yaml", "nc: 2\nnames: [cat, 'dog # 2']\n")
    with pytest.warns(InputWarning, match="3 shapes have no id: each is a track of its own"):
        back = yolo.read_of(folder / "labels", FACTS)
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (1, "dog # 2"),
        (2, "cat"),
        (3, "class 3"),
    ]
    assert boxes_in(back, 2) == {3: (0, 3, 16, 9)}  # cut at the frame's edges
    (tmp_path / "data.yaml").unlink()
    save(tmp_path / "labels/classes.txt", "cat\ndog\n")
    with pytest.warns(InputWarning, match="no id"):
        labels = [track.label for track in yolo.read_of(folder, FACTS).boxes.tracks]
    assert labels == ["dog", "cat", "class 3"]


def test_a_size_that_nothing_says_is_asked_for(tmp_path: Path) -> None:
    labelled(tmp_path / "in", a="0 0.5 0.5 0.25 0.5 7")
    with pytest.raises(InputError, match=r"does not say the size .* --video PATH"):
        convert(tmp_path / "in", tmp_path / "out", "yolo", "boxes")
    convert(tmp_path / "in", tmp_path / "out.json", "yolo", "boxes", video=FACTS)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": "0 0.5 0.5 0.25"}, r"line 1: expected numbers: class cx cy w h"),
        ({"a": "\n0 0.5 x 0.25 1"}, r"a\.txt, line 2: expected numbers"),
        ({"a": "0 nan 0.5 0.25 1"}, "expected numbers"),
        ({"a": "0 120 64 30 20"}, r"shape 1: coordinates must be parts .* Divide pixels"),
        ({"a": "0.5 0.5 0.5 0.25 0.5"}, "a class must be a whole number from 0, got 0.5"),
        ({"a": "0 0.5 0.5 0.25 0.5 1.5"}, "a confidence must lie in 0 to 1, got 1.5"),
        ({"a": "0 0.5 0.5 0.25 0.5", "z": ""}, r"z\.txt is no frame of the video: its 3 frames"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*no id:maskfree.errors.InputWarning")
def test_files_at_fault(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        yolo.read_of(labelled(tmp_path, **files), FACTS)


def test_subsets(tmp_path: Path) -> None:
    save(tmp_path / "labels/train/a.txt", "0 0.5 0.5 0.25 0.5 7")
    save(tmp_path / "labels/val/b.txt", "0 0.5 0.5 0.25 0.25 7")
    save(tmp_path / "labels/val/c.txt", "")
    (one,) = yolo.read_of(tmp_path, FACTS).boxes.tracks
    assert (one.id, [each.frame for each in one.keyframes]) == (7, [0, 1, 2])
    save(tmp_path / "flat/labels/b.txt", "")
    save(tmp_path / "flat/labels/train/a.txt", "0 0.5 0.5 0.25 0.5 7")
    with pytest.warns(InputWarning, match="only its own label files are read, not those in train"):
        assert not yolo.read_of(tmp_path / "flat", FACTS).boxes.tracks
    save(tmp_path / "labels/val/a.txt", "")
    with pytest.raises(InputError, match=r"train/a\.txt and val/a\.txt, which are of one frame"):
        yolo.read_of(tmp_path, FACTS)


def test_folders_at_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist\. Give the folder that holds labels"):
        yolo.read(tmp_path / "none")
    save(tmp_path / "labels/train/deep/a.txt", "")
    with pytest.raises(InputError, match=r"holds no label file \(\.txt\)\. Its folders are train"):
        yolo.read(tmp_path)
    labelled(tmp_path, a="0 0.5 0.5 0.25 0.5")
    save(tmp_path / "track_ids/a.txt", "1\n2\n")
    with pytest.raises(InputError, match="has 1 shapes, its file in track_ids 2 ids"):
        yolo.read_of(tmp_path, FACTS)
    save(tmp_path / "track_ids/a.txt", "0\n")
    with pytest.raises(InputError, match="must hold a whole number from 1 a line"):
        yolo.read_of(tmp_path, FACTS)
    save(tmp_path / "data.yaml", "names: [")
    with pytest.raises(InputError, match=r"data\.yaml is no YAML"):
        yolo.read_of(tmp_path, FACTS)


def test_a_yaml_of_a_stranger_runs_nothing(tmp_path: Path) -> None:
    labelled(tmp_path, a="0 0.5 0.5 0.25 0.5 3")
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old}]\n"
        for old, new in zip("abcdefghijkl", "bcdefghijklm", strict=True)
    )
    save(tmp_path / "data.yaml", f"{bomb}names: !!python/object/apply:os.system [echo]\n")
    back = yolo.read_of(tmp_path, FACTS)
    assert back.boxes.tracks[0].label == "echo"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_strangers_files(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "strange"
    if not folder.exists():
        export(mixed(), folder, "yolo")
    names = ["labels/a.txt", "labels/c.txt", "track_ids/a.txt", "data.yaml"]
    name = data.draw(st.sampled_from(names))
    valid = (folder / name).read_bytes()
    save(folder / name, data.draw(mutations(valid)))
    try:
        is_read_or_refused(lambda: yolo.read(folder))
    finally:
        save(folder / name, valid)


def test_outlines_that_end_on_the_lower_edge(tmp_path: Path) -> None:
    four = "0 0.2 0.5 0.6 0.5 0.6 1 0.2 1"
    with pytest.warns(InputWarning, match="taken for a confidence and the id 1"):
        (one,) = yolo.read_of(labelled(tmp_path / "one", a=four, b=four), FACTS).boxes.tracks
    assert one.id == 1
    # Two of one id in a frame: they are no ids.
    with pytest.warns(InputWarning, match="2 shapes have no id"):
        back = yolo.read_of(labelled(tmp_path / "two", a=f"{four}\n{four}"), FACTS)
    masks = back.read_masks(0)
    assert masks is not None
    width, height = 0.4 * SHAPE[1], 0.5 * SHAPE[0]
    assert masks.masks[0].sum() == pytest.approx(width * height, rel=0.1)
