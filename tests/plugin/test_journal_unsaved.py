"""Edits of a video that has no session yet are kept as well."""

from __future__ import annotations

import shutil

import pytest

from edited_session import MINE, all_of, killed, opened, video
from maskfree.session import Session
from napari_maskfree.reopening import bring_back
from napari_maskfree.saving import end
from napari_maskfree.state import State
from napari_maskfree.unsaved import unsaved_folder


@pytest.fixture
def session(unedited):
    return unedited


@pytest.fixture
def state(edited):
    return edited


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
    assert "saved nowhere when the program ended: they are back (1 track, 1 keyframe)" in said
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
