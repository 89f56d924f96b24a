"""The list of boxes that are worth a look."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.types import InstanceMasks

SOON = 10_000


@pytest.fixture
def drawn(widget, viewer):
    """Track 1 jumps at frame 1, track 2 has one box."""
    viewer.add_image(np.zeros((10, 48, 64), np.uint8), name="clip")
    widget.project.show_boxes()
    widget.state.set_box(1, (10, 10, 20, 20), 0)
    widget.state.set_box(1, (30, 10, 40, 20), 1)
    widget.state.set_box(1, (30, 10, 40, 20), 9)
    widget.state.new_track("dog")
    widget.state.set_box(2, (40, 30, 50, 40), 4)
    widget.project.go_to(6)
    return widget


def messages(audit) -> list[str]:
    return [audit.rows.item(n).text() for n in range(audit.rows.count())]


def test_it_lists_what_is_odd_and_goes_there(drawn, qtbot):
    audit = drawn.boxes.audit
    qtbot.waitUntil(lambda: audit.rows.count() == 2, timeout=SOON)
    assert audit.fold.text() == "2 things to look at"
    assert messages(audit)[0] == "Track 1 jumps between the frames 0 and 1"
    assert "Is it the same object?" in audit.rows.item(0).toolTip()
    audit.rows.itemClicked.emit(audit.rows.item(0))
    assert (drawn.state.selected, drawn.state.frame) == (1, 1)
    audit.rows.itemClicked.emit(audit.rows.item(1))
    assert (drawn.state.selected, drawn.state.frame) == (2, 4)
    assert drawn.finetune.start.isEnabled()
    drawn.state.delete_keyframe(1, 1)
    qtbot.waitUntil(lambda: audit.rows.count() == 1, timeout=SOON)
    drawn.state.remove_track(2)
    qtbot.waitUntil(lambda: audit.rows.count() == 0, timeout=SOON)
    assert not audit.isVisible()


def test_a_click_on_what_is_gone_is_no_harm(drawn, qtbot):
    audit = drawn.boxes.audit
    qtbot.waitUntil(lambda: audit.rows.count() == 2, timeout=SOON)
    drawn.state.remove_track(2)
    audit.rows.itemClicked.emit(audit.rows.item(1))
    assert (drawn.state.selected, drawn.state.frame) == (1, 4)


def test_with_masks_boxes_are_held_against_them(drawn, qtbot, tmp_path):
    drawn.state.set_folder(tmp_path / "work.maskfree")
    session = drawn.project.session_job()()
    masks = np.zeros((1, 48, 64), bool)
    masks[0, 30:40, 46:50] = True
    session.mask_store().write(4, InstanceMasks((2,), masks, (1.0,)))
    (session.path / "masks" / "00000.json").write_text("no masks")
    drawn.state.set_session(session)
    audit = drawn.boxes.audit
    loose = "Track 2 is loose in frame 4: left"
    qtbot.waitUntil(lambda: any(loose in m for m in messages(audit)), timeout=SOON)


def test_a_look_is_given_up_when_something_changes(drawn, qtbot):
    audit = drawn.boxes.audit
    qtbot.waitUntil(lambda: audit.rows.count() == 2, timeout=SOON)
    audit._look()  # it is at work, or done and waits to be shown
    drawn.state.remove_track(2)
    qtbot.waitUntil(lambda: audit.rows.count() == 1, timeout=SOON)
    qtbot.wait(300)
    assert audit.rows.count() == 1
