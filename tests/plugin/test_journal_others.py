"""What other programs, and damage, do to a session and its journal."""

from __future__ import annotations

import json

import pytest

from edited_session import MINE, OTHER, THEIRS, all_of, killed, opened, work
from maskfree.journal import Journal
from maskfree.tracks import read_boxes, write_boxes
from napari_maskfree.saving import save_session_boxes


@pytest.fixture
def session(unedited):
    return unedited


@pytest.fixture
def state(edited):
    return edited


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
