"""How often an export reads what it writes; its report's figures come from comparing."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.errors import InputError
from maskfree.formats import Annotations, davis, export
from maskfree.types import InstanceMasks
from plain_annotations import SHAPE, A, B, video

if TYPE_CHECKING:
    from pathlib import Path


def counted(source: Annotations) -> tuple[Annotations, list[int]]:
    reads: list[int] = []

    def read_masks(frame: int) -> InstanceMasks | None:
        reads.append(frame)
        return source.read_masks(frame)

    return dataclasses.replace(source, read_masks=read_masks), reads


@pytest.mark.parametrize(("name", "target"), [("davis", "out"), ("ytvis", "out.json")])
def test_masks_are_read_for_the_losses_for_writing_and_for_comparing(
    tmp_path: Path, name: str, target: str
) -> None:
    source, reads = counted(video(num_frames=4))
    export(source, tmp_path / target, name)
    assert reads == [*range(4)] * 3


def test_each_png_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []

    def read_ids(path: str) -> np.ndarray:
        files.append(os.path.basename(path))
        return READ_IDS(path)

    monkeypatch.setattr(davis, "read_ids", read_ids)
    export(video(num_frames=3), tmp_path / "out", "davis")
    assert files == ["00000.png", "00001.png", "00002.png"]


READ_IDS = davis.read_ids


def test_the_report_counts_ids_and_frames_with_a_png(tmp_path: Path) -> None:
    frames = [
        None,
        InstanceMasks((1, 9), np.stack([A, A]), (0.2, 0.8)),
        InstanceMasks((4,), B[None], (1.0,)),
        InstanceMasks((), np.zeros((0, *SHAPE), bool), ()),
    ]
    source = dataclasses.replace(video(num_frames=4), read_masks=frames.__getitem__)
    report = export(source, tmp_path / "out", "davis")
    assert (report.frames, report.instances) == (3, 2)  # 1 lies wholly under 9
    report = export(source, tmp_path / "out.json", "ytvis")
    assert (report.frames, report.instances) == (3, 3)


def test_frames_that_the_file_tells_to_be_empty_are_counted(tmp_path: Path) -> None:
    frames = [None, InstanceMasks((1,), A[None], (1.0,))]
    boxes = dataclasses.replace(video().boxes, tracks=())
    source = Annotations(boxes, ["0", "1"], frames.__getitem__)
    assert export(source, tmp_path / "out.json", "ytvis").frames == 2
    assert export(source, tmp_path / "out", "davis").frames == 1


def test_a_source_numbered_with_gaps_is_read_back_by_name(tmp_path: Path) -> None:
    names = ["0", "2", "10"]
    source = dataclasses.replace(video(num_frames=3), frame_names=names)
    assert export(source, tmp_path / "out", "davis").frames == 3
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {*names}


def test_masks_of_two_sizes_are_refused(tmp_path: Path) -> None:
    smaller = InstanceMasks((1,), A[None, :, :8], (1.0,))
    plain = video()
    source = dataclasses.replace(
        plain, read_masks=lambda frame: smaller if frame else plain.read_masks(frame)
    )
    with pytest.raises(InputError, match="frame 00001 are 8x12 pixels, those before it 16x12"):
        export(source, tmp_path / "out", "davis")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [0, 10, 60, 90])
def test_a_png_cut_short_on_the_disk_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    def encode_ids(ids: np.ndarray) -> bytes:
        return ENCODE_IDS(ids)[:left]

    monkeypatch.setattr(davis, "encode_ids", encode_ids)
    with pytest.raises(InputError, match=r"00000\.png is (not a|a damaged) PNG"):
        export(video(), tmp_path / "out", "davis")
    assert list(tmp_path.iterdir()) == []


ENCODE_IDS = davis.encode_ids
