"""What a person says about a mask stands above every prediction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskfree.correction_store import CorrectionStore
from maskfree.corrections import Correction, apply_corrections, from_labels, rename_tracks
from maskfree.errors import InputError
from maskfree.mask_store import MaskStore
from maskfree.session import Session
from maskfree.tracks import empty_tracks
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from pathlib import Path

SEEDED = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
SHAPE = (4, 6)
labels = hnp.arrays(np.uint16, SHAPE, elements=st.integers(0, 3))


def area(*rows: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[list(rows)] = True
    return mask


def flat(masks: InstanceMasks | None) -> np.ndarray:
    """Return ids by pixel; the masks in these tests do not overlap where that matters."""
    out = np.zeros(SHAPE, np.uint16)
    for track_id, mask in zip(masks.track_ids, masks.masks, strict=True) if masks else ():
        out[mask] = track_id
    return out


def test_pixels_that_were_painted_win_over_the_prediction() -> None:
    own = Correction.make(area(0), area(3))
    np.testing.assert_array_equal(own.apply(area(2, 3)), area(0, 2))
    np.testing.assert_array_equal(own.apply(area()), area(0))
    assert not own.accepted
    whole = Correction.whole(area(1))
    assert whole.accepted
    np.testing.assert_array_equal(whole.apply(area(0, 2, 3)), area(1))


def test_the_later_stroke_wins() -> None:
    own = Correction.make(area(0), area(3)).painted(area(3), area(0))
    np.testing.assert_array_equal(own.is_object, area(3))
    np.testing.assert_array_equal(own.is_other, area(0))
    assert Correction.whole(area(1)).painted(area(2), area(1)) == Correction.whole(area(2))


@SEEDED
@given(labels, labels, labels)
def test_what_was_painted_is_there_whatever_is_predicted_next(
    before: np.ndarray, after: np.ndarray, next_run: np.ndarray
) -> None:
    made = from_labels(before, after, {})
    changed = before != after
    for prediction in (before, next_run):
        ids = [i for i in range(1, 4) if (prediction == i).any()]
        masks = np.stack([prediction == i for i in ids]) if ids else np.zeros((0, *SHAPE), bool)
        found = apply_corrections(InstanceMasks(tuple(ids), masks, (0.5,) * len(ids)), made)
        for track_id in range(1, 4):
            now = dict(zip(found.track_ids, found.masks, strict=True)).get(track_id, area())
            assert now[changed & (after == track_id)].all()
            assert not now[changed & (before == track_id)].any()
            given = changed & (after != 0) & (after != track_id)
            untouched = ~(changed & ((before == track_id) | (after == track_id))) & ~given
            assert not now[given].any()
            np.testing.assert_array_equal(now[untouched], (prediction == track_id)[untouched])


@SEEDED
@given(labels, labels, labels)
def test_strokes_one_after_the_other_end_where_the_last_one_does(
    first: np.ndarray, second: np.ndarray, third: np.ndarray
) -> None:
    made = from_labels(second, third, from_labels(first, second, {}))
    ids = tuple(i for i in range(1, 4) if (first == i).any())
    masks = np.stack([first == i for i in ids]) if ids else np.zeros((0, *SHAPE), bool)
    found = apply_corrections(InstanceMasks(ids, masks, (0.5,) * len(ids)), made)
    np.testing.assert_array_equal(flat(found), third)


def test_what_was_carried_is_no_person_s_word_until_somebody_paints_there() -> None:
    everything = np.ones(SHAPE, bool)
    carried = Correction.make(everything, ~everything, carried=0)
    assert not carried.accepted
    assert carried != Correction.whole(everything)
    assert carried.painted(area(0), area(1)).carried is None


def test_losing_a_pixel_to_another_track_is_no_look_at_the_rest() -> None:
    before, after = np.full(SHAPE, 2), np.full(SHAPE, 2)
    after[0] = 1
    carried = Correction.make(before == 2, before != 2, carried=5)
    made = from_labels(before, after, {2: carried})
    assert (made[1].carried, made[2].carried) == (None, 5)
    after[0] = 0
    assert from_labels(before, after, {2: carried})[2].carried is None


def test_joined_tracks_keep_a_persons_word_over_what_was_carried() -> None:
    said, carried = Correction.make(area(0), area(1)), Correction.make(area(1), area(2), carried=5)
    for one, other, kept in (
        (said, carried, said),
        (carried, said, said),
        (Correction.whole(area(0), gold=True), carried, Correction.whole(area(0), gold=True)),
    ):
        assert rename_tracks({3: {1: one, 2: other}}, {2: 1}, 0) == {3: {1: kept}}
    both = rename_tracks({3: {1: carried, 2: carried}}, {2: 1}, 0)[3][1]
    assert both.carried == 5


def test_a_mask_that_was_only_carried_here_is_the_least_sure() -> None:
    found = apply_corrections(None, {1: Correction.make(area(0), area(1), carried=5)})
    assert found is not None
    assert found.scores == (0.0,)


def test_a_surer_neighbour_does_not_cover_what_was_painted() -> None:
    masks = InstanceMasks((1, 2), np.stack([area(0), area(0, 1, 2)]), (0.6, 0.9))
    found = apply_corrections(masks, {1: Correction.make(area(1), area())})
    np.testing.assert_array_equal(found.masks[0], area(0, 1))
    np.testing.assert_array_equal(found.masks[1], area(0, 2))
    both = {1: Correction.make(area(1), area()), 2: Correction.make(area(1), area())}
    found = apply_corrections(masks, both)
    assert found.masks[0][1].all()
    assert found.masks[1][1].all()


@SEEDED
@given(labels, labels)
def test_run_lengths_tell_what_decoding_would(one: np.ndarray, other: np.ndarray) -> None:
    made = Correction.make(one == 1, one == 2)
    assert Correction.from_counts(SHAPE, made.object_counts, made.other_counts) == made
    assert made.has_object == (one == 1).any()
    second = Correction.make(other == 1, other == 2)
    if ((one == 1) & (other == 1)).any():
        with pytest.raises(ValueError, match="both"):
            Correction.from_counts(SHAPE, made.object_counts, second.object_counts)
    else:
        both = Correction.from_counts(SHAPE, made.object_counts, second.object_counts)
        assert both == Correction.make(one == 1, other == 1)


def test_scores_of_what_a_person_left() -> None:
    masks = InstanceMasks((4, 1), np.stack([area(0), area(1)]), (0.25, 0.5))
    some = {4: Correction.make(area(2), area()), 7: Correction.make(area(3), area())}
    found = apply_corrections(masks, some)
    assert found.track_ids == (4, 1, 7)
    assert found.scores == (0.25, 0.5, 1.0)
    assert apply_corrections(masks, {1: Correction.whole(area(1))}).scores == (0.25, 1.0)
    gone = apply_corrections(masks, {1: Correction.make(area(), area(1))})
    assert gone.track_ids == (4,)
    assert apply_corrections(masks, {}) is masks
    assert apply_corrections(None, {}) is None
    nothing = apply_corrections(None, {1: Correction.make(area(), area(1))})
    assert nothing.masks.shape == (0, *SHAPE)


def test_corrections_move_with_their_tracks() -> None:
    one, two = Correction.make(area(0), area()), Correction.make(area(1), area(0))
    frames = {2: {1: one}, 5: {1: one, 2: two}, 6: {3: one}}
    assert rename_tracks(frames, {1: 9}, 4) == {5: {9: one, 2: two}}
    assert rename_tracks(frames, {1: 2, 2: 1}, 0) == {2: {2: one}, 5: {2: one, 1: two}}
    joined = rename_tracks(frames, {2: 1}, 0)
    assert joined == {5: {1: one.painted(area(1), area(0))}}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="both"):
        Correction.make(area(0), area(0))
    with pytest.raises(ValueError, match=r"two masks \(H, W\) of one shape"):
        Correction.make(area(0), np.zeros((2, 2), bool))
    masks = InstanceMasks((1,), np.ones((1, 2, 2), bool), (0.5,))
    with pytest.raises(InputError, match=r"frames of 6 x 4 pixels.*the masks are 2 x 2"):
        apply_corrections(masks, {1: Correction.whole(area(0))})


def test_a_round_trip_over_the_disk(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path / "corrections")
    assert store.frames() == []
    made = {2: Correction.whole(area(1)), 1: Correction.make(area(0), area(3), carried=0)}
    store.write(7, made)
    store.write(12, {1: made[1]})
    assert (store.read(7), store.read(8), store.frames()) == (made, {}, [7, 12])
    store.write(7, {})
    store.write(9, {})
    assert store.frames() == [12]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "a frame's corrections as an object"),
        ('{"tracks": [], "size": [4]}', r"size must be \[height, width\]"),
        ('{"tracks": [{"id": 0}], "size": [4, 6]}', "id"),
        ('{"tracks": [{"id": 1, "object": 3}], "size": [4, 6]}', "must be COCO run-length"),
        (
            '{"tracks": [{"id": 1, "object": "0", "other": "0", "carried": "2"}], "size": [4, 6]}',
            "track 1: carried",
        ),
        ('{"tracks": [{"id": 1, "object": "0", "other": "0"}], "size": [4, 6]}', "run lengths"),
        ("{", "json"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, words: str) -> None:
    store = CorrectionStore(tmp_path)
    (tmp_path / "00003.json").write_text(content)
    with pytest.raises(InputError, match=f"(?i){words}") as error:
        store.read(3)
    assert "00003.json" in str(error.value)


def test_both_at_once_in_a_file_is_refused(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    store.write(3, {1: Correction.whole(area(0))})
    data = json.loads((tmp_path / "00003.json").read_text())
    data["tracks"][0]["other"] = data["tracks"][0]["object"]
    (tmp_path / "00003.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="some that are both"):
        store.read(3)


def test_a_session_shows_its_masks_corrected_and_keeps_the_prediction(tmp_path: Path) -> None:
    session = Session.create(tmp_path / "s", video_source=None, boxes=empty_tracks(9, *SHAPE, None))
    predicted = InstanceMasks((1,), area(1)[None], (0.5,))
    session.mask_store().write(2, predicted)
    session.corrections.write(2, {1: Correction.make(area(2), area())})
    session.corrections.write(4, {1: Correction.whole(area(0))})
    np.testing.assert_array_equal(session.masks.read(2).masks[0], area(1, 2))
    assert session.masks.frames() == [2, 4]
    assert MaskStore(session.path / "masks").read(2).masks.sum() == predicted.masks.sum()
    assert session.masks.read(3) is None
    assert session.info()["corrections"] == {"frames": 2}
    session.mask_store().clear()  # a new prediction begins
    np.testing.assert_array_equal(session.masks.read(2).masks[0], area(2))
