"""Every format into every other one: what it takes are masks, or boxes, or the video's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.formats import FORMATS, Annotations, VideoFacts, convert, export, get_format
from maskfree.formats.base import boxes_in, present, tight_box
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path

SIZE, COUNT = (12, 16), 3
NAMES = [f"{n:05d}" for n in range(COUNT)]


def mask(number: int, frame: int) -> np.ndarray:
    made = np.zeros(SIZE, bool)
    made[2 : 5 + number, 8 * number + frame : 8 * number + 4 + frame] = True
    return made


def annotations() -> Annotations:
    """Two tracks in three frames, whose boxes are their masks' own."""
    masks = [
        InstanceMasks((1, 2), np.stack([mask(n, t) for n in range(2)]), (1.0, 1.0))
        for t in range(COUNT)
    ]
    tracks = tuple(
        Track(n + 1, "car", tuple(Keyframe(t, tight_box(mask(n, t))) for t in range(COUNT)))
        for n in range(2)
    )
    boxes = BoxTracks(COUNT, *SIZE, None, tracks)
    return Annotations(boxes, NAMES, masks.__getitem__)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_each_into_each(source: str, target: str, tmp_path: Path) -> None:
    facts = VideoFacts(COUNT, *SIZE, None, NAMES)
    export(annotations(), tmp_path / "first", source)
    read = get_format(source)
    first = (
        read.read_of(tmp_path / "first", facts) if read.read_of else read.read(tmp_path / "first")
    )
    masked = any(first.read_masks(t) is not None for t in range(COUNT))
    if get_format(target).needs_masks and not masked:
        pytest.skip(f"{source} holds no masks")
    convert(tmp_path / "first", tmp_path / "second", source, target, video=facts)
    kind = get_format(target)
    second = (
        kind.read_of(tmp_path / "second", facts) if kind.read_of else kind.read(tmp_path / "second")
    )
    for t in range(COUNT):
        masks = second.read_masks(t)
        if masks is not None:
            found = [tight_box(each) for each in present(masks).values()]
        else:
            found = list(boxes_in(second, t).values())
        wanted = [tight_box(mask(n, t)) for n in range(2)]
        np.testing.assert_allclose(sorted(found), sorted(wanted), atol=1e-5)
