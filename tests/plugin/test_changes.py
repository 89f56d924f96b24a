"""Which frames a correction changed: in words, in the timeline, and one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.changed_frames import FrameChange
from maskfree.correction_store import CorrectionStore
from maskfree.corrections import Correction
from maskfree.types import InstanceMasks
from napari_maskfree.changes import Changes, spans
from napari_maskfree.constants import CHANGED_COLOUR
from napari_maskfree.correction_book import CorrectionBook

FRAMES = 8
DASH = "\N{EN DASH}"


def changed(*frames: int, share: float = 0.05) -> tuple[FrameChange, ...]:
    return tuple(FrameChange(f, 10, share) for f in frames)


# ---- without a window


def test_frames_as_people_write_them():
    assert spans([12, 13, 14]) == f"12{DASH}14"
    assert spans([2, 4, 5, 9]) == f"2, 4{DASH}5, 9"
    assert spans([0, 2, 4, 6, 8]) == "0, 2, 4, 6, …"


def test_words():
    changes = Changes()
    assert changes.said(1) == ""
    changes.show("Carried from frame 11", {1: (*changed(*range(12, 17)), *changed(17, share=0.08))})
    assert changes.said(1) == (
        f"Carried from frame 11: changed frames 12{DASH}17 (6 frames); biggest change in frame 17: "
        "8 % of the mask."
    )
    assert "no frame changed of this track (of track 1: yes)" in changes.said(2)
    changes.show("Run 2 beside run 1", {1: changed(3, share=0.001)})
    assert changes.said(1) == (
        "Run 2 beside run 1: changed frame 3; biggest change in frame 3: less than 1 % of the mask."
    )


def test_one_after_the_other():
    changes = Changes()
    changes.show("why", {1: changed(2, 3, 7)})
    assert [changes.next(1, f, 1) for f in (0, 2, 3, 7)] == [2, 3, 7, None]
    assert [changes.next(1, f, -1) for f in (9, 7, 3, 2)] == [7, 3, 2, None]
    assert changes.next(2, 0, 1) is None
    assert changes.next(None, 0, 1) is None


def test_what_was_undone_is_left_out(tmp_path):
    book, mask = CorrectionBook(), np.ones((4, 4), bool)
    book.open(CorrectionStore(tmp_path / "corrections"))
    book.put({2: {1: Correction.whole(mask)}, 3: {1: Correction.whole(mask)}})
    changes = Changes()
    changes.show("Carried", {1: changed(2, 3)}, source=1)
    changes.follow(book)
    assert [c.frame for c in changes.of(1)] == [2, 3]
    book.put({2: {}})
    changes.follow(book)
    assert [c.frame for c in changes.of(1)] == [3]
    book.put({3: {}})
    changes.follow(book)
    assert changes.tracks() == []
    assert changes.said(1) == ""


# ---- in a window


@pytest.fixture
def masked(boxed, save_masks, left_half):
    """Masks of track 1, the left half of every frame."""
    save_masks(*[InstanceMasks((1,), left_half[None], (0.5,))] * FRAMES)
    boxed.show_section("masks")
    return boxed


def test_a_person_goes_through_what_was_carried(masked, hands, qtbot):
    state, bar = masked.state, masked.masks.changed
    assert not bar.isVisible()
    masked.timeline.show()
    masked.project.go_to(4)
    y, x = np.mgrid[0:20, 0:20]
    masked.project.masks.data_setitem((np.full(y.size, 4), y.ravel(), x.ravel()), 0)
    masked.project.editor.commit()
    hands.press(masked.masks.carry.button)
    qtbot.waitUntil(bar.isVisible, timeout=60000)
    frames = [c.frame for c in masked.changes.of(1)]
    assert {3, 5} <= set(frames)
    assert bar.words.text().startswith("Carried from frame 4: changed frames ")
    hands.press(bar.next)
    assert state.frame == 5
    assert "This frame: " in bar.words.text()
    hands.press(bar.previous)
    assert state.frame == 3  # frame 4 is the correction itself
    line = masked.timeline.content.line
    pixels = line.viewport().grab().toImage()
    lowest = {
        pixels.pixelColor(x, y).getRgb()[:3]
        for x in range(round(line.x_of(5)) - 2, round(line.x_of(5)) + 3)
        for y in range(22, 22 + 18)
    }
    assert CHANGED_COLOUR in lowest
    hands.press(masked.boxes.undo)
    assert not bar.isVisible()


def test_a_run_is_held_against_the_one_before(masked, qtbot, tmp_path):
    session, bar = masked.state.session, masked.masks.changed
    from maskfree.kept_masks import keep_masks
    from maskfree.presets import preset

    first = session.new_run(preset("tiny"), seed=0)
    session.predict_log.append({"status": "done", "run": first.name, "message": ""})
    keep_masks(session)
    second = session.new_run(preset("tiny"), seed=0)
    session.predict_log.clear()
    session.predict_log.append({"status": "done", "run": second.name, "message": ""})
    mask = np.zeros((1, 64, 96), bool)
    mask[0, :, :24] = True
    session.mask_store().write(6, InstanceMasks((1,), mask, (0.5,)))
    bar.compare()
    qtbot.wait(50)
    assert not bar.isVisible()  # nobody corrected anything: it is no correction's doing
    masked.project.go_to(1)
    masked.project.accept_frame()
    masked.jobs.finished.disconnect(masked.finetune._finished)  # it knows of no job
    masked.jobs.finished.emit()
    qtbot.waitUntil(bar.isVisible, timeout=30000)
    assert bar.words.text() == (
        f"Run {second.name} beside run {first.name}: changed frame 6; biggest change in frame 6: "
        "50 % of the mask."
    )
