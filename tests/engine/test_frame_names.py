"""Exports carry the names of the source's frames, or say that they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.formats import FORMATS, Annotations, export
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["img_0007", "img_0009", "img_0012"]
KEEP = {
    "davis",
    "ytvis",
    "ovis",
    "coco",
    "mots-png",
    "bdd100k",
    "bdd100k-masks",
    "labelme",
    "yolo",
    "npz",
    "csv",
}
"""Formats that have a place for them; every other one names them as a loss."""
SIZE = (24, 32)


def annotations(boxes_only: bool) -> Annotations:
    keyframes = tuple(Keyframe(t, (2.0, 3.0, 12.0, 13.0)) for t in range(3))
    boxes = BoxTracks(3, *SIZE, 5.0, (Track(1, "car", keyframes),))
    mask = np.zeros((1, *SIZE), bool)
    mask[0, 3:13, 2:12] = True
    masks = InstanceMasks((1,), mask, (1.0,))
    return Annotations(boxes, NAMES, lambda _: None if boxes_only else masks)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_names_of_frames(name: str, tmp_path: Path) -> None:
    wanted = annotations(boxes_only=not FORMATS[name].needs_masks and name not in KEEP)
    report = export(wanted, tmp_path / "out", name)
    written = [p for p in (report.path, *report.path.rglob("*")) if p.is_file()]
    text = b" ".join(str(p).encode() + p.read_bytes() for p in written)
    kept = [each.encode() in text for each in NAMES] if name != "npz" else [_in_npz(report.path)]
    assert all(kept) == (name in KEEP)
    if name not in KEEP and name != "boxes":
        told = " ".join(report.losses).lower()
        assert "names" in told, report.losses


def _in_npz(path: Path) -> bool:
    with np.load(path) as file:
        found = b" ".join(np.asarray(file[key]).tobytes() for key in file.files)
    return all(each.encode() in found.replace(b"\x00", b"") for each in NAMES)
