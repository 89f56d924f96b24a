"""A YouTube-VIS file is written in a stream: the bytes are those of the whole content at once."""

from __future__ import annotations

import dataclasses
import errno
import functools
import io
import json
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskfree import rle
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats import Annotations, export, ytvis
from maskfree.formats.base import present, tight_box
from maskfree.tracks import boxes_at
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, everything, video

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


def plain(annotations: Annotations) -> dict[str, Any]:
    """The content of the file, all lists whole."""
    boxes, names = annotations.boxes, annotations.frame_names
    lists: dict[int, dict[str, list[Any]]] = {track.id: empty(len(names)) for track in boxes.tracks}
    labels = {track.id: track.label for track in boxes.tracks}
    crowds = {track.id: track.extra.get("iscrowd", 0) for track in boxes.tracks}
    for frame in range(len(names)):
        masks = annotations.read_masks(frame)
        if masks is None:
            for track_id, state in boxes_at(boxes, frame).items():
                lists[track_id]["bboxes"][frame] = xywh(state.xyxy)
            continue
        for track_id, mask in present(masks).items():
            own = lists.setdefault(track_id, empty(len(names)))
            counts = rle.encode(mask[None])[0]
            own["segmentations"][frame] = {"size": list(mask.shape), "counts": counts}
            own["bboxes"][frame] = xywh(tight_box(mask))
            own["areas"][frame] = int(mask.sum())
    kinds = dict.fromkeys([labels.get(track_id, "object") for track_id in lists])
    categories = {label: n for n, label in enumerate(kinds, start=1)}
    return {
        "info": {"description": "written by napari-maskfree"},
        "videos": [
            {
                "id": 1,
                "file_names": list(annotations.file_names) or [f"{name}.jpg" for name in names],
                "width": boxes.width,
                "height": boxes.height,
                "length": len(names),
                "fps": boxes.fps,
            }
        ],
        "categories": [
            {"id": n, "name": label, "supercategory": "object"} for label, n in categories.items()
        ],
        "annotations": [
            {
                "id": track_id,
                "video_id": 1,
                "category_id": categories[labels.get(track_id, "object")],
                "iscrowd": crowds.get(track_id, 0),
                "height": boxes.height,
                "width": boxes.width,
                **lists[track_id],
            }
            for track_id in sorted(lists)
        ],
    }


def empty(length: int) -> dict[str, list[Any]]:
    return {name: [None] * length for name in ("segmentations", "bboxes", "areas")}


def xywh(box: tuple[float, ...]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def check(annotations: Annotations, path: Path, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ytvis, "FormatConfig", functools.partial(FormatConfig, spool_bytes=most))
        export(annotations, path, "ytvis")
    text = json.dumps(plain(annotations), separators=(",", ":"), ensure_ascii=False)
    assert path.read_bytes() == text.encode("utf-8")


@st.composite
def videos(draw: st.DrawFn) -> Annotations:
    length = draw(st.integers(1, 7))
    tracks = []
    for track_id in draw(st.lists(st.integers(1, 400), min_size=1, max_size=3, unique=True)):
        first, last = draw(st.integers(0, length - 1)), draw(st.booleans())
        keyframes = [Keyframe(first, (0.1, 0.25, draw(st.floats(1, 16)), 9.0))]
        if last and first < length - 1:
            keyframes.append(Keyframe(length - 1, (3.0, 0.0, 12.7, 11.0)))
        extra = {"iscrowd": 1} if draw(st.booleans()) else {}
        tracks.append(Track(track_id, draw(TEXTS), tuple(keyframes), extra=extra))
    frames: list[InstanceMasks | None] = []
    for _ in range(length):
        ids = draw(st.lists(st.sampled_from([1, 2, 5, 77]), unique=True))
        masks = draw(hnp.arrays(bool, (len(ids), *SHAPE)))
        known = InstanceMasks(tuple(ids), masks, (1.0,) * len(ids))
        frames.append(known if draw(st.booleans()) else None)
    names = draw(st.lists(TEXTS.filter(str.strip), min_size=length, max_size=length))
    files = draw(st.sampled_from([(), tuple(f"ä/{n}.png" for n in range(length))]))
    boxes = BoxTracks(length, *SHAPE, draw(st.sampled_from([None, 25.0, 29.97])), tuple(tracks))
    return Annotations(boxes, names, frames.__getitem__, files)


@given(annotations=videos(), most=st.sampled_from([1, 50, 1 << 20]))
@settings(max_examples=60, deadline=None)
def test_the_same_bytes_as_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations, most: int
) -> None:
    drawn = [boxes_at(annotations.boxes, n) for n in range(len(annotations.frame_names))]
    masks = [annotations.read_masks(n) for n in range(len(annotations.frame_names))]
    if any(b if m is None else present(m) for b, m in zip(drawn, masks, strict=True)):
        check(annotations, tmp_path_factory.mktemp("ytvis") / "out.json", most)


@pytest.mark.parametrize("most", [1, 300, 1 << 20])
def test_fifty_tracks_that_come_late(tmp_path: Path, most: int) -> None:
    def read_masks(frame: int) -> InstanceMasks:
        ids = tuple(range(1, 51 if frame > 30 else 2))
        masks = np.zeros((len(ids), *SHAPE), bool)
        for index in range(len(ids)):
            masks[index, index % 12, : 1 + index % 16] = True
        return InstanceMasks(ids, masks, (1.0,) * len(ids))

    names = [f"{n:05d}" for n in range(33)]
    source = Annotations(BoxTracks(33, *SHAPE, None, ()), names, read_masks)
    check(source, tmp_path / "out.json", most)
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


class FullDisk(io.BytesIO):
    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_no_room_for_the_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(video(), tmp_path / "out.json", "ytvis")
    before = everything(tmp_path)
    folders = []

    def temporary(**options: Path) -> FullDisk:
        folders.append(options["dir"])
        return FullDisk()

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)
    monkeypatch.setattr(ytvis, "FormatConfig", functools.partial(FormatConfig, spool_bytes=1))
    with pytest.raises(InputError, match=r"The disk is full: .*out\.json could not be written"):
        export(video(num_frames=3), tmp_path / "out.json", "ytvis")
    assert folders == [tmp_path]
    assert everything(tmp_path) == before


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), InputError("broken mask")])
def test_an_export_that_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    monkeypatch.setattr(ytvis, "FormatConfig", functools.partial(FormatConfig, spool_bytes=1))
    seen = []

    def read_masks(frame: int) -> InstanceMasks:
        seen.append(frame)
        if len(seen) == 7:  # of 4 frames: writing, after the losses
            raise failure
        return InstanceMasks((1,), A[None], (1.0,))

    boxes = BoxTracks(4, *SHAPE, None, ())
    source = Annotations(boxes, [str(n) for n in range(4)], read_masks)
    with pytest.raises(type(failure)):
        export(source, tmp_path / "out.json", "ytvis")
    assert list(tmp_path.iterdir()) == []


def test_masks_without_a_pixel(tmp_path: Path) -> None:
    nothing = InstanceMasks((1,), np.zeros((1, *SHAPE), bool), (1.0,))
    source = dataclasses.replace(video(), read_masks=[None, nothing].__getitem__)
    report = export(source, tmp_path / "out.json", "ytvis")
    assert (report.frames, report.instances) == (1, 1)
    assert (
        "no mask has a pixel: the file holds boxes only, and no frame known as empty"
        in report.losses
    )


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    boxes = BoxTracks(1, *SHAPE, None, (Track(1, "a", (Keyframe(0, (0.0, 0.0, 4.0, 4.0)),)),))
    source = Annotations(boxes, ["bild_\udce4"], lambda _: None)
    with pytest.raises(InputError, match=r"no text that UTF-8 can hold: .*bild_.udce4.*Rename it"):
        export(source, tmp_path / "out.json", "ytvis")
    assert list(tmp_path.iterdir()) == []
