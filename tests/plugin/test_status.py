"""What a track is in a frame, in words. No Qt, no napari."""

from __future__ import annotations

import pytest

from maskfree.types import Keyframe, Track
from napari_maskfree.status import status_of

BOX = (0.0, 0.0, 9.0, 9.0)
DOG = Track(
    1,
    "dog",
    (Keyframe(2, BOX), Keyframe(5, BOX, occluded=True), Keyframe(8, None, True), Keyframe(11, BOX)),
)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (1, "absent"),
        (2, "keyframe"),
        (4, "interpolated"),
        (5, "keyframe, occluded"),
        (7, "interpolated, occluded"),
        (8, "outside (keyframe)"),
        (9, "absent"),
        (11, "keyframe"),
        (12, "interpolated"),
    ],
)
def test_each_word(frame, words):
    assert status_of(DOG, frame) == words


def test_a_track_without_a_box():
    assert status_of(Track(2, "cat", ()), 3) == "no box yet"
