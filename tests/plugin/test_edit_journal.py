"""Each change is kept as it is made: without a window."""

from __future__ import annotations

import errno
import os

import pytest

from edited_session import FRAMES, MINE, all_of, killed, opened, records, work
from maskfree.config import JournalConfig
from maskfree.session import Session
from maskfree.tracks import read_boxes
from napari_maskfree import edit_journal
from napari_maskfree.saving import save_session_boxes
from napari_maskfree.unsaved import unsaved_folder


@pytest.fixture
def session(unedited):
    return unedited


@pytest.fixture
def state(edited):
    return edited


def test_nothing_is_written_by_opening(session, state):
    assert records(session) == []
    killed(state)


def test_what_was_not_saved_is_back_with_its_steps(session, state, clip_folder):
    work(state)
    before = all_of(state)
    killed(state)
    assert len(session.boxes.tracks[0].keyframes) == 2, "nothing was saved"
    again, said = opened(session, clip_folder)
    assert all_of(again) == before
    assert again.undo_name == "new track 3"
    assert again.redo_name == "paint frame 2"
    assert again.dirty
    assert len(said) == 1
    assert "not saved when the program ended are back (3 tracks, 5 keyframes)" in said[0]
    for _ in range(5):
        again.undo()
    assert again.undo_name is None
    assert again.tracks == read_boxes(session.path / "boxes.json")
    assert again.corrections.items() == {}
    for _ in range(7):
        again.redo()
    assert again.redo_name is None
    assert again.track(2) is None
    killed(again)


def test_what_was_saved_has_its_steps_and_says_nothing(session, state, clip_folder):
    work(state)
    save_session_boxes(state)
    before = all_of(state)
    killed(state)
    again, said = opened(session, clip_folder)
    assert (all_of(again), said, again.dirty) == (before, [], False)
    assert session.corrections.read_all() == {2: MINE}
    killed(again)


def test_it_goes_on_over_many_openings(session, state, clip_folder):
    for number in range(4):
        state.set_box(1, (number, 6, 50, 40), number)
        if number % 2:
            save_session_boxes(state)
        killed(state)
        state, _ = opened(session, clip_folder)
    assert len(state.history_steps[0]) == 4
    assert [r["kind"] for r in records(session)].count("base") == 1
    killed(state)


def test_an_edit_costs_hundreds_of_bytes_whatever_there_is(session, state, clip_folder):
    tracks = state.tracks
    for number in range(1, 60):
        state.set_box(1, (number / 9, 6, 50, 40), number % FRAMES)
    path = session.path / "journal.jsonl"
    size = path.stat().st_size
    state.set_box(2, (7, 7, 9.5, 9.5), 3)
    assert path.stat().st_size - size < 500
    assert tracks is not state.tracks
    killed(state)


def test_an_edit_while_the_boxes_are_being_saved_is_not_saved_with_them(
    session, state, clip_folder
):
    state.dirty = True
    mark, boxes = state.journal.mark(), state.tracks
    state.set_box(1, (1, 2, 30, 40), 5)  # the first of all: the journal begins in between
    session.save_boxes(boxes, state.journal.announcing(mark))
    state.journal.saved("0" * 64, mark)
    before = all_of(state)
    killed(state)
    again, said = opened(session, clip_folder)
    assert (all_of(again), again.dirty, len(said)) == (before, True, 1)
    assert "are back" in said[0]
    killed(again)


def test_killed_between_the_announcement_and_the_file(session, state, clip_folder, monkeypatch):
    work(state)
    save_session_boxes(state)
    state.set_box(1, (1, 2, 30, 40), 5)
    before = all_of(state)

    def killed_now(self, tracks, announce=None):
        announce("0" * 64)
        raise SystemExit

    monkeypatch.setattr(Session, "save_boxes", killed_now)
    with pytest.raises(SystemExit):
        save_session_boxes(state)
    monkeypatch.undo()
    killed(state)
    again, said = opened(session, clip_folder)
    assert (all_of(again), again.dirty) == (before, True)
    assert "kept in" not in " ".join(said)
    killed(again)


def test_killed_between_the_file_and_the_word_that_it_is_there(session, state, clip_folder):
    work(state)
    state.journal.saved = lambda *_: None
    save_session_boxes(state)
    before = all_of(state)
    killed(state)
    again, said = opened(session, clip_folder)
    assert (all_of(again), said, again.dirty) == (before, [], False)
    killed(again)


# ---- the disk


def fail(monkeypatch, code):
    """Let no journal be written."""

    def full(*_args, **_options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("maskfree.journal.write_all", full)
    monkeypatch.setattr("maskfree.journal.atomic_write", full_write(code))


def full_write(code):
    from maskfree.storage import writing

    def write(path, _data):
        with writing(path):
            raise OSError(code, os.strerror(code))

    return write


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("begun", [True, False])
def test_what_cannot_be_written_waits(session, state, clip_folder, monkeypatch, code, begun):
    if begun:
        state.set_box(1, (1, 2, 30, 40), 5)
    fail(monkeypatch, code)
    state.set_box(1, (1, 2, 30, 50), 5)
    state.undo()
    assert state.journal.behind
    assert "journal.jsonl" in state.journal.problem
    with pytest.raises(Exception, match=r"journal\.jsonl"):
        state.journal.retry()
    state.redo()
    monkeypatch.undo()
    state.journal.retry()
    assert not state.journal.behind
    before = all_of(state)
    killed(state)
    again, _ = opened(session, clip_folder)
    assert all_of(again) == before
    killed(again)


def test_boxes_are_saved_though_the_journal_cannot_be(session, state, clip_folder, monkeypatch):
    fail(monkeypatch, errno.ENOSPC)
    state.set_box(1, (1, 2, 30, 50), 5)
    save_session_boxes(state)
    assert [k.frame for k in session.boxes.tracks[0].keyframes] == [0, 5, 6]
    assert state.journal.behind
    killed(state)
    monkeypatch.undo()
    again, said = opened(session, clip_folder)
    assert (again.tracks, said) == (session.boxes, [])
    killed(again)


def test_a_journal_that_somebody_removed_begins_anew(session, state, clip_folder):
    state.set_box(1, (1, 2, 30, 50), 5)
    (session.path / "journal.jsonl").unlink()
    state.set_box(1, (1, 2, 30, 60), 5)
    state.set_box(2, (1, 2, 30, 60), 5)
    now = state.tracks
    killed(state)
    again, _ = opened(session, clip_folder)
    again.undo()
    again.redo()
    assert again.tracks == now or read_boxes(session.path / "boxes.other.json") == now
    killed(again)


def test_a_folder_that_is_gone_is_not_made(session, state):
    state.set_box(1, (1, 2, 30, 50), 5)
    away = session.path.with_name("away")
    session.path.rename(away)
    state.set_box(1, (1, 2, 30, 60), 5)
    assert state.journal.behind
    assert not session.path.exists()
    away.rename(session.path)
    state.journal.retry()
    assert [r["kind"] for r in records(session)] == ["base", "open", "edit", "edit"]
    killed(state)


def test_a_large_journal_is_written_anew_with_its_steps(session, state, clip_folder, monkeypatch):
    work(state)
    for number in range(40):
        state.set_box(1, (number / 9, 6, 50, 40), number % FRAMES)
        state.undo()
    state.undo()
    small = JournalConfig(most_bytes=2000)
    monkeypatch.setattr(edit_journal, "JournalConfig", lambda: small)
    path, before = session.path / "journal.jsonl", all_of(state)
    size = path.stat().st_size
    save_session_boxes(state)
    assert path.stat().st_size < size / 2
    assert all_of(state) == before
    killed(state)
    again, said = opened(session, clip_folder)
    assert (all_of(again), said, again.dirty) == (before, [], False)
    again.redo()
    assert again.history_steps[1] == before[2][0][1][:-1]
    killed(again)


# ---- two windows, other folders


def test_the_second_window_keeps_nothing_and_harms_nothing(session, state, clip_folder):
    state.set_box(1, (1, 2, 30, 50), 5)
    other, said = opened(session, clip_folder)
    assert said == []
    other.set_box(1, (1, 2, 30, 60), 6)
    other.set_session(session)
    other.set_box(1, (1, 2, 30, 60), 7)
    assert not other.journal.behind
    before = all_of(state)
    killed(other)
    killed(state)
    again, _ = opened(session, clip_folder)
    assert all_of(again) == before
    killed(again)


def test_it_goes_along_into_another_folder(session, state, clip_folder, tmp_path):
    work(state)
    state.set_folder(tmp_path / "t")
    state.set_box(1, (3, 3, 9, 9), 7)
    before = all_of(state)
    other = Session.create(tmp_path / "t", video_source=str(clip_folder), boxes=state.boxed())
    state.set_session(other)
    assert all_of(state) == before
    killed(state)
    again, _ = opened(other, clip_folder)
    assert all_of(again) == before
    killed(again)
    first, _ = opened(session, clip_folder)
    assert first.keyframe(1, 7) is None
    assert not list(unsaved_folder().glob("*.jsonl"))
    killed(first)
