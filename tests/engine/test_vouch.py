"""Whole masks that a person vouches for, where masks lie, and what follows from a frame's word."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.click_correction import click_on
from maskfree.clicks import Click
from maskfree.config import ClicksConfig, ProposalConfig
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.mask_place import box_of_mask, ids_elsewhere, is_where_boxed, labels_of
from maskfree.propagate import with_proposed
from maskfree.tidy_mask import tidy_frame
from maskfree.track_classes import class_colours
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from maskfree.vouch import accepted, belongs, gold_of, is_marked, without_gold

H, W = 12, 16
LEFT, RIGHT = np.s_[:, :6], np.s_[:, 10:]


def mask(*places) -> np.ndarray:
    made = np.zeros((H, W), bool)
    for place in places:
        made[place] = True
    return made


def track(track_id: int, x0: float, x1: float, label: str = "dog") -> Track:
    drawn = tuple(Keyframe(f, (x0, 0.0, x1, float(H)), occluded=f == 0) for f in (0, 8))
    return Track(track_id, label, drawn)


TRACKS = BoxTracks(9, H, W, None, (track(1, 0, 6), track(2, 10, 16, "cat")))
BOTH = InstanceMasks((1, 2), np.stack([mask(LEFT), mask(LEFT)]), (0.5, 0.5))
"""Of the second the mask lies where the first is boxed."""


def test_a_mask_is_its_tracks_where_that_is_boxed_or_painted():
    assert belongs(TRACKS, 1, 3, mask(LEFT), {})
    assert not belongs(TRACKS, 2, 3, mask(LEFT), {})
    assert not belongs(TRACKS, 7, 3, mask(LEFT), {})
    painted = Correction.make(mask(LEFT), mask())
    carried = Correction.make(mask(LEFT), mask(), carried=1)
    assert belongs(TRACKS, 2, 3, mask(LEFT), {2: painted})
    assert not belongs(TRACKS, 2, 3, mask(LEFT), {2: carried})


def test_what_lies_elsewhere_is_not_accepted():
    own = Correction.make(mask(), mask(np.s_[0, 0]))
    assert accepted(TRACKS, 3, BOTH, {2: own}) == (
        {1: Correction.whole(mask(LEFT)), 2: own},
        [2],
    )
    gold = {2: Correction.whole(mask(RIGHT), gold=True)}
    made, left_out = accepted(TRACKS, 3, BOTH, gold)
    assert made[1].gold
    assert left_out == []  # what was said by hand is the track's own, wherever it lies


def test_gold_says_of_every_boxed_track_what_is_so():
    one = InstanceMasks((1,), mask(LEFT)[None], (0.5,))
    made, empty, strays = gold_of(TRACKS, 3, one, {})
    assert (empty, strays) == ([2], [])
    assert made == {
        1: Correction.whole(mask(LEFT), gold=True),
        2: Correction.whole(mask(), gold=True),
    }
    assert is_marked(TRACKS, 3, made)
    assert not is_marked(TRACKS, 3, {1: made[1]})
    assert not is_marked(None, 3, {})
    assert without_gold(made)[1] == Correction.whole(mask(LEFT))
    assert gold_of(TRACKS, 3, BOTH, {})[2] == [2]


def test_the_box_is_tight_and_never_too_small():
    assert box_of_mask(mask(np.s_[3:7, 2:9])) == (2, 3, 9, 7)
    assert box_of_mask(mask(np.s_[11, 15])) == (14, 10, 16, 12)
    with pytest.raises(ValueError, match="got an empty one"):
        box_of_mask(mask())


def test_of_two_masks_the_surer_is_on_top():
    masks = InstanceMasks((7, 3), np.stack([mask(LEFT), mask(np.s_[:, :9])]), (0.9, 0.5))
    labels = labels_of(masks, H, W)
    assert labels[0, [0, 7, 12]].tolist() == [7, 3, 0]
    assert labels_of(None, 2, 3).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_only_a_track_with_a_mask_is_tidied():
    with pytest.raises(InputError, match=r"Track 9 has no mask .* that have: 1, 2"):
        tidy_frame(BOTH, {}, track_id=9)
    speck = InstanceMasks((1,), mask(np.s_[2:10, 1:8], np.s_[0, 15])[None], (0.5,))
    found = tidy_frame(speck, {})
    assert (found.filled, found.dropped) == (0, 1)
    assert found.changed[1] == Correction.make(mask(), mask(np.s_[0, 15]))


def test_as_many_proposed_boxes_as_are_needed_become_keyframes():
    way = {f: (float(f), 0.0, 6.0 + f, 12.0) for f in range(1, 6)}
    tracks, frames = with_proposed(TRACKS, 1, 0, way, config=ProposalConfig())
    assert frames == [5]
    assert tracks.tracks[0].keyframes[1] == Keyframe(5, way[5], occluded=True)


def test_tracks_of_a_class_share_its_colour():
    three = BoxTracks(9, H, W, None, (*TRACKS.tracks, track(3, 0, 6, "dog")))
    colours = class_colours(three)
    assert colours[1] == colours[3] != colours[2]


def test_a_click_says_its_pixel_also_where_it_agrees():
    picture = np.full((H, W, 3), 90, np.uint8)
    box, click = (0.0, 0.0, 6.0, float(H)), Click(4, 3, True)
    labels = np.where(mask(LEFT), 1, 0)
    made, changed = click_on(picture, labels, box, 1, click, {}, config=ClicksConfig())
    assert changed == 0
    assert made == {1: Correction.make(mask(np.s_[4, 3]), mask())}


@pytest.mark.parametrize("large", [1, 1 << 20])
def test_ids_elsewhere_are_those_that_are_not_where_boxed(large: int) -> None:
    rng = np.random.default_rng(0)
    keyframes = (Keyframe(0, (2.0, 2.0, 10.0, 10.0)), Keyframe(4, (2.0, 2.0, 10.0, 10.0)))
    tracks = BoxTracks(6, 24, 32, None, tuple(Track(i * large, "x", keyframes) for i in (1, 2, 3)))
    labels = np.zeros((24, 32), np.int32)
    labels[3:9, 3:9] = 1 * large
    labels[12:20, 12:20] = 2 * large
    labels[rng.integers(0, 24, 9), rng.integers(20, 32, 9)] = 7 * large
    assert ids_elsewhere(tracks, 2, labels) == [2 * large, 7 * large]
    assert ids_elsewhere(tracks, 5, labels) == [7 * large], "followed: not known"
    for track in tracks.tracks[:2]:
        stray = not is_where_boxed(track, 2, labels == track.id)
        assert stray == (track.id in ids_elsewhere(tracks, 2, labels))
