"""Each change is kept as it is made: without a window."""

from __future__ import annotations

import errno
import json
import os
import shutil

import numpy as np
import pytest

from maskfree.config import JournalConfig
from maskfree.corrections import Correction
from maskfree.journal import Journal
from maskfree.session import Session
from maskfree.tracks import read_boxes, write_boxes
from napari_maskfree import edit_journal
from napari_maskfree.reopening import bring_back, reopen
from napari_maskfree.saving import end, save_session_boxes
from napari_maskfree.state import State
from napari_maskfree.unsaved import unsaved_folder
from napari_maskfree.video_info import VideoInfo

FRAMES, HEIGHT, WIDTH = 8, 64, 96


def half():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, : WIDTH // 2] = True
    return mask


MINE, THEIRS, OTHER = (
    {1: Correction.whole(half())},
    {1: Correction.whole(~half())},
    {2: Correction.whole(half())},
)


def video(clip_folder):
    return VideoInfo("clip", str(clip_folder), FRAMES, HEIGHT, WIDTH)


def opened(session, clip_folder, *, saving=True):
    """The session as a window that has just been opened has it, and what that said."""
    state = State()
    state.set_video(video(clip_folder))
    if saving:
        state.corrections.changed.connect(lambda *_: state.corrections.try_save())
    said = reopen(state, session)
    return state, said


def killed(state):
    """The window is gone from one moment to the next; so is its lock."""
    state.journal.close()


def all_of(state):
    names = [state.history_steps, state.undo_name, state.redo_name]
    return state.tracks, state.corrections.items(), names


@pytest.fixture
def session(saved):
    """A session of two tracks, as it is on the disk; no window has edited it."""
    saved.journal.close()
    (saved.session.path / "journal.jsonl").unlink()
    return Session.open(saved.session.path)


@pytest.fixture
def state(session, clip_folder):
    made, said = opened(session, clip_folder)
    assert said == []
    return made


def records(session):
    path = session.path / "journal.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def work(state):
    state.set_box(1, (20, 6, 50, 40), 3)
    state.rename_track(2, "ox")
    state.ignoring.draw([(1, 1), (9, 1), (9, 9)], 2)
    state.apply("paint frame 2", state.tracks, {2: MINE})
    state.new_track("bird")
    state.apply("paint frame 2", state.tracks, {2: THEIRS, 4: OTHER})
    state.remove_track(2)
    state.undo()
    state.undo()


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


# ---- other programs


def test_boxes_of_another_program_stand_and_ours_are_kept(session, state, clip_folder):
    state.set_box(1, (1, 2, 30, 40), 5)
    save_session_boxes(state)
    saved = state.tracks
    state.set_box(1, (1, 2, 30, 50), 6)
    ours = state.tracks
    killed(state)
    theirs = session.boxes
    theirs = type(theirs)(**{**vars(theirs), "tracks": theirs.tracks[:1]})
    write_boxes(session.path / "boxes.json", theirs)
    again, said = opened(session, clip_folder)
    assert again.tracks == theirs
    assert read_boxes(session.path / "boxes.other.json") == ours
    assert "kept in boxes.other.json, which Load… (section 2) opens" in said[0]
    assert not again.dirty
    again.undo()
    assert again.tracks == ours
    again.undo()
    assert again.tracks == saved
    killed(again)


def test_boxes_of_another_program_over_saved_ones_say_nothing(session, state, clip_folder):
    state.set_box(1, (1, 2, 30, 40), 5)
    save_session_boxes(state)
    ours = state.tracks
    killed(state)
    theirs = session.boxes
    write_boxes(session.path / "boxes.json", type(theirs)(**{**vars(theirs), "fps": 5.0}))
    again, said = opened(session, clip_folder)
    assert (again.tracks.fps, said) == (5.0, [])
    assert not list(session.path.glob("boxes.other*"))
    again.undo()
    assert again.tracks == ours
    killed(again)
    once_more, said = opened(session, clip_folder)
    assert once_more.tracks == ours, "the undo was not saved"
    assert said
    killed(once_more)


def test_boxes_taken_over_while_the_session_is_open_are_no_surprise(session, state, clip_folder):
    from napari_maskfree.elsewhere import take_boxes

    state.set_box(1, (1, 2, 30, 40), 5)
    save_session_boxes(state)
    theirs = session.boxes
    write_boxes(session.path / "boxes.json", type(theirs)(**{**vars(theirs), "fps": 5.0}))
    assert take_boxes(state)
    before = all_of(state)
    killed(state)
    again, said = opened(session, clip_folder)
    assert (all_of(again), said, again.dirty) == (before, [], False)
    killed(again)


def test_broken_boxes_are_those_of_the_journal(session, state, clip_folder):
    work(state)
    save_session_boxes(state)
    before = all_of(state)
    killed(state)
    (session.path / "boxes.json").write_text("{nope", encoding="utf-8")
    again, said = opened(session, clip_folder)
    assert (all_of(again), again.dirty) == (before, True)
    assert "The boxes that the journal knows are shown" in said[0]
    assert (session.path / "boxes.other.json").read_text(encoding="utf-8") == "{nope"
    killed(again)


def test_corrections_frame_by_frame(session, state, clip_folder):
    """Written here; not written; written by another program over either; broken."""
    state.apply("paint", state.tracks, {0: MINE, 1: MINE, 2: MINE})
    store, book = session.corrections, state.corrections
    book._store = None  # the disk is gone
    state.apply("paint", state.tracks, {1: THEIRS, 2: THEIRS, 3: THEIRS, 4: THEIRS})
    killed(state)
    store.write(0, OTHER)  # over what was written
    store.write(2, OTHER)  # over what was not
    store.write(4, OTHER)
    again, said = opened(session, clip_folder)
    expected = {0: OTHER, 1: THEIRS, 2: OTHER, 3: THEIRS, 4: OTHER}
    assert again.corrections.items() == store.read_all() == expected
    kept = [session.path / "corrections" / f"0000{n}.other.json" for n in (2, 4)]
    assert all(path.is_file() for path in kept)
    assert not (session.path / "corrections" / "00000.other.json").exists()
    assert any("00002.other.json, 00004.other.json" in words for words in said)
    assert any("are back: 1, 3" in words for words in said)
    again.undo()
    assert again.corrections.items() == dict.fromkeys((1, 2, 3, 4), THEIRS) | {0: MINE}
    killed(again)


def test_a_broken_correction_is_that_of_the_journal(session, state, clip_folder):
    state.apply("paint", state.tracks, {1: MINE})
    killed(state)
    path = session.path / "corrections" / "00001.json"
    path.write_text("{nope", encoding="utf-8")
    again, _ = opened(session, clip_folder)
    assert again.corrections.items() == session.corrections.read_all() == {1: MINE}
    assert path.with_suffix(".other.json").read_text(encoding="utf-8") == "{nope"
    killed(again)


# ---- damage


def test_a_half_written_last_line_is_said(session, state, clip_folder):
    state.set_box(1, (1, 2, 30, 40), 5)
    before = all_of(state)
    state.set_box(1, (1, 2, 30, 50), 5)
    killed(state)
    path = session.path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    again, said = opened(session, clip_folder)
    assert all_of(again) == before
    assert any("The last edit was not finished" in words for words in said)
    again.set_box(1, (1, 2, 30, 60), 5)
    after = all_of(again)
    killed(again)
    once_more, said = opened(session, clip_folder)
    assert all_of(once_more) == after
    assert not any("not finished" in words for words in said)
    killed(once_more)


@pytest.mark.parametrize("how", ["bytes", "sense"])
def test_damage_in_the_middle_is_said_and_kept(session, state, clip_folder, how):
    state.set_box(1, (1, 2, 30, 40), 5)
    before = all_of(state)
    state.set_box(1, (1, 2, 30, 50), 5)
    state.set_box(1, (1, 2, 30, 60), 5)
    killed(state)
    path = session.path / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "bytes":
        lines[3] = lines[3][:30] + b"#" + lines[3][31:]
        path.write_bytes(b"".join(lines))
    else:
        wrong = {**json.loads(lines[3]), "selected": ["x", 1]}
        rest = [json.loads(line) for line in lines[4:]]
        Journal.begin(path, [*map(json.loads, lines[:3]), wrong, *rest]).close()
    damaged = path.read_bytes()
    again, said = opened(session, clip_folder)
    assert all_of(again) == before, "what follows is about boxes that nobody knows"
    assert (session.path / "journal.damaged.jsonl").read_bytes() == damaged
    assert any("journal.damaged.jsonl" in words for words in said)
    killed(again)
    once_more, said = opened(session, clip_folder)
    assert all_of(once_more) == before
    assert not any("damaged" in words for words in said)
    killed(once_more)


def test_a_journal_of_a_newer_version_is_left_alone(session, state, clip_folder):
    killed(state)
    path = session.path / "journal.jsonl"
    Journal.begin(path, [{"kind": "base", "version": 2}]).close()
    newer = path.read_bytes()
    again, said = opened(session, clip_folder)
    assert "made by a newer napari-maskfree" in said[0]
    again.set_box(1, (1, 2, 30, 40), 5)
    save_session_boxes(again)
    again.set_session(session)
    again.set_box(1, (1, 2, 30, 50), 5)
    assert path.read_bytes() == newer
    assert not again.journal.behind
    killed(again)


def test_a_journal_of_another_video_is_not_made_use_of(session, state, clip_folder):
    killed(state)
    from maskfree.journal_records import base_record
    from maskfree.tracks import empty_tracks

    other = base_record(empty_tracks(99, 10, 10, None), None)
    Journal.begin(session.path / "journal.jsonl", [other]).close()
    again, said = opened(session, clip_folder)
    assert again.tracks == session.boxes
    assert said
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


# ---- before there is a session


@pytest.fixture
def drawn(clip_folder):
    made = State()
    made.set_video(video(clip_folder))
    made.start_boxes()
    return made


def test_a_video_that_is_opened_again_has_its_edits(drawn, clip_folder):
    drawn.set_box(1, (1, 2, 30, 50), 5)
    drawn.apply("paint", drawn.tracks, {3: MINE})
    drawn.undo()
    before = all_of(drawn)
    killed(drawn)
    again = State()
    again.set_video(video(clip_folder))
    assert again.tracks is None
    (said,) = bring_back(again)
    assert "saved nowhere when the program ended: they are back (1 tracks, 1 keyframes)" in said
    assert all_of(again) == before
    assert again.dirty
    again.redo()
    assert again.corrections.unsaved
    before = all_of(again)
    killed(again)
    third = State()
    third.set_video(video(clip_folder))
    assert bring_back(third)
    assert all_of(third) == before
    session = Session.create(
        clip_folder.parent / "t", video_source=str(clip_folder), boxes=third.boxed()
    )
    third.set_session(session)
    assert not list(unsaved_folder().glob("*.jsonl")), "they are in the session"
    assert third.corrections.try_save() == []
    killed(third)
    last, _ = opened(session, clip_folder)
    assert all_of(last) == before
    killed(last)


def test_what_was_discarded_or_kept_does_not_come_back(drawn, clip_folder):
    drawn.set_box(1, (1, 2, 30, 50), 5)
    assert list(unsaved_folder().glob("*.jsonl"))
    drawn.journal.discard()
    drawn.set_box(1, (1, 2, 30, 60), 5)
    drawn.dirty = False
    drawn.journal.kept()
    killed(drawn)
    again = State()
    again.set_video(video(clip_folder))
    assert bring_back(again) == []
    assert again.tracks is None
    again.start_boxes()
    again.set_box(1, (1, 2, 30, 70), 5)
    again.dirty = False
    end(again)
    assert not list(unsaved_folder().glob("*.jsonl"))


def test_another_video_has_others(drawn, clip_folder, tmp_path):
    drawn.set_box(1, (1, 2, 30, 50), 5)
    killed(drawn)
    other = tmp_path / "other" / "clip"
    shutil.copytree(clip_folder, other)
    again = State()
    again.set_video(video(other))
    assert bring_back(again) == []
    end(again)


def test_two_windows_on_a_video_keep_both(drawn, clip_folder):
    drawn.set_box(1, (1, 2, 30, 50), 5)
    other = State()
    other.set_video(video(clip_folder))
    assert bring_back(other) == [], "the first window has it open"
    other.start_boxes()
    other.set_box(1, (5, 5, 30, 50), 6)
    killed(drawn)
    killed(other)
    found = []
    for _ in range(2):
        again = State()
        again.set_video(video(clip_folder))
        assert bring_back(again)
        found.append([k.frame for k in again.track(1).keyframes])
        again.journal.discard()
    assert sorted(found) == [[5], [6]]


def test_what_is_edited_before_it_is_brought_back_is_another_story(drawn, clip_folder):
    drawn.set_box(1, (1, 2, 30, 50), 5)
    killed(drawn)
    again = State()
    again.set_video(video(clip_folder))
    again.start_boxes()
    again.set_box(1, (5, 5, 30, 50), 6)
    assert bring_back(again) == []
    killed(again)
    assert len(list(unsaved_folder().glob("*.jsonl"))) == 2
