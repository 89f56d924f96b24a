"""The queue of masks to review. No Qt here but in the last tests, which have a window."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.corrections import Correction
from maskfree.types import InstanceMasks
from napari_maskfree.constants import REVIEW_APART
from napari_maskfree.correction_book import CorrectionBook
from napari_maskfree.review import Item, Review

SAID = Correction.whole(np.ones((4, 4), bool))


def scores(**rows: list[float]) -> dict[int, np.ndarray]:
    return {int(k[1:]): np.array(v, np.float32) for k, v in rows.items()}


def test_the_least_sure_first_and_never_one_that_was_reviewed():
    book, review = CorrectionBook(), Review()
    known = scores(t1=[0.9] * 20, t2=[0.8] * 20)
    known[2][3], known[1][15], known[1][0] = 0.25, 0.5, np.nan
    assert review.next(known, book) == Item(2, 3, 0.25)
    assert review.next(known, book) == Item(1, 15, 0.5)
    book.put({3: {2: SAID}, 15: {1: SAID}})
    review.restart()
    assert review.next(known, book).score == pytest.approx(0.8)


def test_neighbours_of_what_was_shown_come_later_in_the_pass():
    book, review = CorrectionBook(), Review()
    known = scores(t1=list(np.linspace(0.5, 0.9, 3 * REVIEW_APART)))
    frames = [review.next(known, book).frame for _ in range(3)]
    assert frames == [0, REVIEW_APART, 2 * REVIEW_APART]
    assert review.next(known, book).frame == 0  # a new pass


def test_it_ends_when_all_were_reviewed():
    book, review = CorrectionBook(), Review()
    known = scores(t1=[0.5, 0.6])
    shown = []
    while item := review.next(known, book):
        shown.append(item.frame)
        book.put({item.frame: {1: SAID}})
    assert sorted(shown) == [0, 1]
    assert Review.progress(known, book) == (2, 2)
    assert review.next({}, book) is None


def test_what_lost_pixels_to_another_is_still_to_be_reviewed():
    book, review = CorrectionBook(), Review()
    lost = Correction.make(np.zeros((4, 4), bool), np.eye(4, dtype=bool))
    painted = Correction.make(np.eye(4, dtype=bool), np.zeros((4, 4), bool))
    book.put({0: {1: lost, 2: painted}})
    known = scores(t1=[0.5], t2=[0.5])
    assert Review.progress(known, book) == (1, 2)
    assert review.next(known, book).track_id == 1


def test_progress_counts_masks_that_are_there():
    book = CorrectionBook()
    known = scores(t1=[0.5, np.nan, 0.7], t2=[0.5, 0.5, 0.5])
    assert Review.progress(known, book) == (0, 5)
    book.put({0: {1: SAID, 9: SAID}, 1: {1: SAID}, 40: {2: SAID}})
    assert Review.progress(known, book) == (1, 5)
    assert Review.progress({}, book) == (0, 0)


@pytest.fixture
def masked(boxed, save_masks):
    """Masks of two tracks in eight frames; track 2 is least sure in frame 5."""
    boxed.state.new_track("dog")
    boxed.state.set_box(2, (48, 0, 96, 64), 0)
    masks = np.zeros((2, 64, 96), bool)
    masks[0, :, :40], masks[1, :, 50:] = True, True
    low = [0.25 if frame == 5 else 0.75 for frame in range(8)]
    save_masks(*(InstanceMasks((1, 2), masks, (0.9, score)) for score in low))
    return boxed


def test_a_person_reviews(masked, hands, qtbot):
    bar = masked.masks.review
    masked.show_section("masks")
    qtbot.waitUntil(bar.isVisible, timeout=10_000)
    assert bar.bar.format() == "0 of 16 masks reviewed"
    hands.press(bar.next)
    assert (masked.state.frame, masked.state.selected) == (5, 2)
    assert bar.where.text() == "Frame 5: 2 dog, score 0.25"
    hands.press(bar.accept)
    assert bar.bar.format() == "2 of 16 masks reviewed"
    assert masked.state.frame == 0
    for _ in range(7):
        hands.press(bar.accept)
    assert bar.bar.format() == "16 of 16 masks reviewed"
    assert not bar.next.isEnabled()
    masked.state.undo()
    assert bar.next.isEnabled()


def test_without_masks_there_is_nothing_to_review(widget, viewer, clip):
    viewer.add_image(clip.frames, rgb=True, name="clip")
    assert not widget.masks.review.isVisibleTo(widget.masks)
