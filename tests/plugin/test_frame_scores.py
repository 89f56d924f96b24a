"""The scores of one frame: their order, their words and colours. No window, but for one layer."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.corrections import Correction
from maskfree.types import BoxTracks, Keyframe, Track
from napari_maskfree import constants as c
from napari_maskfree.correction_book import CorrectionBook
from napari_maskfree.frame_scores import FrameScore, frame_scores, open_scores, score_words
from napari_maskfree.score_colours import ScoreColours, score_colormap

NONE, SOME = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
ACCEPTED, GONE = Correction.whole(SOME), Correction.whole(NONE)
PAINTED, ERASED = Correction.make(SOME, NONE), Correction.make(NONE, SOME)
NAME = "track {}".format


def rows(**values: list[float]) -> dict[int, np.ndarray]:
    return {int(k[1:]): np.array(v, np.float32) for k, v in values.items()}


def test_the_least_sure_first():
    scores = rows(t1=[0.75, 0.5], t2=[0.25, np.nan], t3=[0.5, 0.5])
    assert frame_scores(scores, {}, 0) == [
        FrameScore(2, 0.25),
        FrameScore(3, 0.5),
        FrameScore(1, 0.75),
    ]
    assert [f.track_id for f in frame_scores(scores, {}, 1)] == [1, 3]
    assert frame_scores(scores, {}, 2) == []
    assert frame_scores({}, {}, 0) == []


def test_what_a_person_did():
    scores = rows(t1=[0.25], t2=[0.5], t3=[0.75], t5=[0.5])
    own = {1: ACCEPTED, 2: PAINTED, 3: ERASED, 4: PAINTED, 5: GONE, 6: ERASED}
    assert frame_scores(scores, own, 0) == [
        FrameScore(2, 0.5, "corrected"),
        FrameScore(3, 0.75, "corrected"),
        FrameScore(1, 1.0, "accepted"),
        FrameScore(4, 1.0, "corrected"),
    ]


def test_a_mask_of_which_no_pixel_is_left_is_none():
    scores = rows(t3=[0.75], t4=[0.5])
    found = frame_scores(scores, {3: ERASED}, 0, left={4})
    assert [f.track_id for f in found] == [4]


def test_these_are_the_scores_that_masks_are_exported_with():
    from maskfree.corrections import apply_corrections
    from maskfree.types import InstanceMasks

    masks = InstanceMasks((1, 2, 3, 5), np.ones((4, 4, 4), bool), (0.25, 0.5, 0.75, 0.5))
    own = {1: ACCEPTED, 2: PAINTED, 3: ERASED, 4: PAINTED, 5: GONE, 6: ERASED}
    real = apply_corrections(masks, own)
    scores = rows(t1=[0.25], t2=[0.5], t3=[0.75], t5=[0.5])
    found = {f.track_id: f.score for f in frame_scores(scores, own, 0)}
    assert found == dict(zip(real.track_ids, real.scores, strict=True))


def test_how_many_to_review_are_less_sure():
    book = CorrectionBook()
    scores = rows(t1=[0.25, 0.5, np.nan], t2=[0.5, 0.125, 0.75])
    assert int((open_scores(scores, book) < 0.5).sum()) == 2
    book.put({0: {1: ACCEPTED}, 1: {2: ERASED}, 9: {1: ACCEPTED}, 2: {7: ACCEPTED}})
    assert int((open_scores(scores, book) < 0.5).sum()) == 1  # erasing alone is no review
    assert not len(open_scores({}, book))


def test_one_or_two_sentences():
    two = [FrameScore(2, 0.41), FrameScore(1, 0.9)]
    assert score_words(two, 12, NAME, lambda s: 2 if s == 0.41 else 0) == (
        "Frame 12: track 2 is the least sure, 0.41. "
        "2 masks that are still to be reviewed are less sure."
    )
    assert score_words(two[1:], 12, NAME, lambda _: 0) == (
        "Frame 12: track 1 has the score 0.90. No mask that is still to be reviewed is less sure."
    )
    assert "1 mask that is still to be reviewed is less" in score_words(two, 12, NAME, lambda _: 1)
    done = [FrameScore(2, 0.41, "corrected"), FrameScore(1, 0.9)]
    assert "track 1 is the least sure, 0.90" in score_words(done, 12, NAME, lambda _: 0)
    assert score_words(done[:1], 12, NAME, lambda _: 0) == (
        "Frame 12: every mask was corrected or accepted by hand."
    )
    assert score_words([], 12, NAME, lambda _: 0) == "Frame 12 has no masks."


def tracks(*ids: int) -> BoxTracks:
    made = tuple(Track(i, "dog", (Keyframe(0, (0, 0, 9, 9)),)) for i in ids)
    return BoxTracks(3, 48, 64, None, made)


def test_the_colours_are_the_timelines():
    found = [FrameScore(1, c.SCORE_RANGE[0]), FrameScore(9, 1.0)]
    colours = score_colormap(found, tracks(1, 2)).color_dict
    assert colours[1][:3] == pytest.approx(np.array(c.SCORE_COLOURS[0]) / 255)
    assert colours[9][:3] == pytest.approx(np.array(c.SCORE_COLOURS[-1]) / 255)
    assert colours[2][:3] == pytest.approx(np.array(c.NO_SCORE_COLOUR) / 255)
    assert colours[0][3] == 0


def test_a_layer_gets_its_own_colours_back():
    from napari.layers import Labels

    from maskfree.colours import track_colour
    from napari_maskfree.masks_layer import track_colormap

    layer, shown, two = Labels(np.zeros((4, 4), np.uint16)), ScoreColours(), tracks(1, 2)
    colours = {i: track_colour(i) for i in (1, 2)}
    layer.colormap = track_colormap(colours)
    restored = []

    def restore():
        restored.append(True)
        layer.colormap = track_colormap(colours)

    shown.end(restore)
    assert not restored
    changed = []
    layer.events.colormap.connect(changed.append)
    found = [FrameScore(1, 0.5), FrameScore(2, 0.95)]
    shown.show(layer, found, two)
    shown.show(layer, found, two)
    assert len(changed) == 1  # nothing is drawn anew where nothing changed
    layer.colormap = track_colormap(colours)  # as when masks are shown anew
    shown.show(layer, found, two)
    assert layer.colormap.color_dict[1][:3] == pytest.approx(np.array(c.SCORE_COLOURS[0]) / 255)
    shown.end(restore)
    assert restored
    assert layer.colormap.color_dict[1][:3] == pytest.approx(np.array(track_colour(1)) / 255)
