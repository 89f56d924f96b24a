"""Exports that fail: the old one stays, nothing is half-written, what is read back is compared."""

from __future__ import annotations

import dataclasses
import errno
import os
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, VideoFacts, export, read
from maskfree.tracks import write_boxes
from maskfree.types import InstanceMasks, Keyframe, Track
from mots_examples import annotated
from plain_annotations import A, B, everything, video

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = [
    ("davis", "out"),
    ("ytvis", "out.json"),
    ("boxes", "out.json"),
    ("coco", "out.json"),
    ("mots", "out.txt"),
    ("mots-png", "out"),
]


def failing_write(failure: BaseException, name: str) -> object:
    write = FORMATS[name].write

    def fail(annotations: Annotations, path: Path) -> None:
        write(annotations, path)
        raise failure

    return fail


@pytest.mark.parametrize(("name", "target"), TARGETS)
@pytest.mark.parametrize(
    ("failure", "seen", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), InputError, "The disk is full"),
        (OSError(errno.EACCES, "Permission denied"), InputError, "may not be written"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
)
def test_a_failure_leaves_the_old_export(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    target: str,
    failure: BaseException,
    seen: type[BaseException],
    message: str | None,
) -> None:
    export(video(A), tmp_path / target, name)
    before = everything(tmp_path)
    entry = dataclasses.replace(FORMATS[name], write=failing_write(failure, name))  # type: ignore[arg-type]
    monkeypatch.setitem(FORMATS, name, entry)
    with pytest.raises(seen, match=message):
        export(video(B), tmp_path / target, name)
    assert everything(tmp_path) == before
    with pytest.raises(seen):
        export(video(B), tmp_path / "new/folder" / target, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [target]


def test_a_failed_swap_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(video(A), tmp_path / "out", "davis")
    before = everything(tmp_path)
    replace = os.replace

    def fail_second(source: Path, target: Path) -> None:
        if not source.name.endswith("-old") and target.name == "out":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises(KeyboardInterrupt):
        export(video(B), tmp_path / "out", "davis")
    assert everything(tmp_path) == before


def test_a_mounted_disk_cannot_be_swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()

    def busy(source: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(InputError, match=r"disk is a mounted disk .* Name a folder inside it"):
        export(video(), tmp_path / "disk", "davis")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "disk"]


def wrong_pixel(annotations: Annotations, path: Path) -> None:
    masks = annotations.read_masks(0)
    assert masks is not None
    wrong = masks.masks.copy()
    wrong[0, 0, 0] ^= True
    changed = InstanceMasks(masks.track_ids, wrong, masks.scores)
    WRITE["davis"](
        dataclasses.replace(
            annotations, read_masks=lambda n: changed if n else annotations.read_masks(n)
        ),
        path,
    )


def wrong_id(annotations: Annotations, path: Path) -> None:
    WRITE["davis"](video(track_id=2), path)


def frame_missing(annotations: Annotations, path: Path) -> None:
    WRITE["davis"](annotations, path)
    (path / "00001.png").unlink()


def wrong_label(annotations: Annotations, path: Path) -> None:
    tracks = (dataclasses.replace(annotations.boxes.tracks[0], label="other"),)
    boxes = dataclasses.replace(annotations.boxes, tracks=tracks)
    WRITE["ytvis"](dataclasses.replace(annotations, boxes=boxes), path)


def wrong_name(annotations: Annotations, path: Path) -> None:
    WRITE["ytvis"](dataclasses.replace(annotations, frame_names=["00000", "00002"]), path)


def wrong_box(annotations: Annotations, path: Path) -> None:
    write_boxes(path, video(track_id=3).boxes)


WRITE = {name: entry.write for name, entry in FORMATS.items()}


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("davis", wrong_pixel, "frame 00001: the mask of track 1 differs"),
        ("davis", wrong_id, r"frame 00000: ids \[2\] instead of \[1\]"),
        ("davis", frame_missing, "frame 00001: its masks are missing"),
        ("ytvis", wrong_label, 'track 1 is labelled "other", not "object"'),
        ("ytvis", wrong_name, "the frames' names differ"),
        ("boxes", wrong_box, "track 1 differs"),
    ],
)
def test_what_is_read_back_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: object, message: str
) -> None:
    entry = dataclasses.replace(FORMATS[name], write=write)  # type: ignore[arg-type]
    monkeypatch.setitem(FORMATS, name, entry)
    with pytest.raises(InputError, match=message):
        export(video(), tmp_path / "out", name)
    assert list(tmp_path.iterdir()) == []


def test_wrong_boxes_in_ytvis_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = dataclasses.replace(video(), read_masks=lambda _: None)
    moved = Track(1, "object", (Keyframe(0, (0.0, 0.0, 8.0, 6.001)),))

    def write(annotations: Annotations, path: Path) -> None:
        boxes = dataclasses.replace(annotations.boxes, tracks=(moved,))
        WRITE["ytvis"](dataclasses.replace(annotations, boxes=boxes), path)

    monkeypatch.setitem(FORMATS, "ytvis", dataclasses.replace(FORMATS["ytvis"], write=write))
    with pytest.raises(InputError, match="frame 00000: boxes"):
        export(source, tmp_path / "out.json", "ytvis")


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a name for each of the 2 frames, got 1 names"):
        export(dataclasses.replace(video(), frame_names=["0"]), tmp_path / "out", "davis")
    with pytest.raises(InputError, match="a file name for each of the 2 frames, or none, got 1"):
        export(dataclasses.replace(video(), file_names=["0.jpg"]), tmp_path / "out", "davis")


def test_masks_are_held_one_frame_at_a_time(tmp_path: Path) -> None:
    made: list[weakref.ref[np.ndarray]] = []
    most = 0

    def read_masks(frame: int) -> InstanceMasks:
        nonlocal most
        masks = np.stack([A, B])
        made.append(weakref.ref(masks))
        most = max(most, sum(ref() is not None for ref in made))
        return InstanceMasks((1, 2), masks, (1.0, 1.0))

    source = dataclasses.replace(video(num_frames=12), read_masks=read_masks)
    for name, target in TARGETS:
        export(source, tmp_path / name / target, name)
    assert len(made) > 12
    assert most == 2  # this frame and, until its name is bound anew, the one before it


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("mot", 10**9),
        ("cvat", 10**18 - 1),
        ("csv", 10**18 - 1),
        ("bdd100k", 10**18 - 1),
        ("labelstudio", 10**18 - 1),
        ("boxes", 2**62),
        ("coco", 2**62),
        ("ytvis", 2**62),
        ("npz", 2**62),
    ],
)
def test_ids_up_to_the_largest_come_back(tmp_path: Path, name: str, most: int) -> None:
    box = Keyframe(0, (0.0, 0.0, 8.0, 6.0)), Keyframe(1, (1.0, 0.0, 8.0, 6.0))
    given = annotated([None] * 2, Track(most, "a", box), Track(3, "a", box))
    export(given, tmp_path / "out", name)
    facts = VideoFacts(2, given.boxes.height, given.boxes.width, 24.0, given.frame_names)
    found = read(tmp_path / "out", name, video=facts if name == "csv" else None)
    assert {track.id for track in found.boxes.tracks} == {3, most}
    if FORMATS[name].most_id is None:
        return
    beyond = annotated([None] * 2, Track(most + 1, "a", box))
    with pytest.raises(InputError, match=f"{name} holds ids up to {most}, but there is a track"):
        export(beyond, tmp_path / "out", name)
