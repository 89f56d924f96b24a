"""The list of boxes that are worth a look."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from maskfree.boxed_masks import BoxedMasks
from maskfree.types import InstanceMasks
from napari_maskfree.saving import session_job

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
    assert audit.fold.text() == "▸ 2 things to look at"
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
    session = session_job(drawn.project)()
    masks = np.zeros((1, 48, 64), bool)
    masks[0, 30:40, 46:50] = True
    other = np.zeros((1, 48, 64), bool)
    other[0, 12:14, 32:34] = True
    session.mask_store().write(1, InstanceMasks((1,), other, (1.0,)))
    session.mask_store().write(4, InstanceMasks((2,), masks, (1.0,)))
    (session.path / "masks" / "00000.json").write_text("no masks")
    drawn.state.set_session(session)
    audit = drawn.boxes.audit
    loose = "Track 2 is loose in frame 4: left"
    qtbot.waitUntil(lambda: any(loose in m for m in messages(audit)), timeout=SOON)
    assert any("Track 1 is loose in frame 1" in m for m in messages(audit))


def test_masks_of_boxes_that_have_changed_since_say_nothing(drawn, qtbot, tmp_path):
    from maskfree.kept_tubes import KeptTubes

    drawn.state.set_folder(tmp_path / "work.maskfree")
    session = session_job(drawn.project)()
    boxes, slack = np.zeros((2, 10, 4)), np.zeros((2, 10))
    run = SimpleNamespace(kept_tube_path=tmp_path / "boxes.npz")
    run.kept_tube_path.write_bytes(KeptTubes.of(drawn.state.tracks, boxes, slack).to_bytes())
    masks = np.zeros((2, 48, 64), bool)
    masks[:, 12:14, 34:36] = True
    session.mask_store().write(1, InstanceMasks((1, 2), masks, (1.0, 1.0)))
    session.latest_run = lambda: run
    reader = BoxedMasks(session, drawn.state.tracks)
    assert reader.read(1).track_ids == (1, 2)
    drawn.state.set_box(1, (31, 10, 41, 20), 1)
    assert BoxedMasks(session, drawn.state.tracks).read(1).track_ids == (2,)
    assert BoxedMasks(session, drawn.state.tracks).read(7) is None
    run.kept_tube_path.write_bytes(b"no boxes")
    assert BoxedMasks(session, drawn.state.tracks).read(1).track_ids == ()


def test_a_look_is_given_up_when_something_changes(drawn, qtbot):
    audit = drawn.boxes.audit
    qtbot.waitUntil(lambda: audit.rows.count() == 2, timeout=SOON)
    audit._look()  # it is at work, or done and waits to be shown
    drawn.state.remove_track(2)
    qtbot.waitUntil(lambda: audit.rows.count() == 1, timeout=SOON)
    qtbot.wait(300)
    assert audit.rows.count() == 1


def test_the_next_one_is_the_next_also_after_an_edit(drawn, qtbot, notices):
    audit, state = drawn.boxes.audit, drawn.state
    state.new_track("empty")
    qtbot.waitUntil(lambda: audit.rows.count() == 3, timeout=SOON)
    seen = []
    for _ in range(4):
        audit.next()
        seen.append((state.selected, state.frame))
        state.rename_track(1, f"name {len(seen)}")
        audit._timer.stop()
        audit._look()
        qtbot.wait(200)
    # the empty track is selected where one is: it has no frame to go to
    assert seen == [(3, 6), (1, 1), (2, 4), (3, 4)]
    for track_id in (1, 2, 3):
        state.remove_track(track_id)
    qtbot.waitUntil(lambda: audit.rows.count() == 0, timeout=SOON)
    audit.next()
    assert "no box to look at" in notices[-1]


def test_an_open_list_grows_with_what_it_holds(drawn, qtbot):
    audit, state = drawn.boxes.audit, drawn.state
    qtbot.waitUntil(lambda: audit.rows.count() == 2, timeout=SOON)
    audit.fold.expand(animate=False)
    for _ in range(3):
        state.new_track()
    qtbot.waitUntil(lambda: audit.rows.count() == 5, timeout=SOON)
    assert audit.fold.content().maximumHeight() >= audit.rows.height()


def test_a_run_does_not_wait_for_it(drawn, qtbot, monkeypatch):
    import threading

    from napari_maskfree._qt import audit_list

    go_on, done = threading.Event(), []
    monkeypatch.setattr(audit_list, "audit_boxes", lambda *_, **__: go_on.wait(10) and [])
    drawn.boxes.audit._look()
    drawn.background.run(lambda: 1, done.append)
    qtbot.waitUntil(lambda: done == [1], timeout=5000)
    go_on.set()
