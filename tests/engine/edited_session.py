"""A session in a window's state, without a window: edited, killed, opened again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.corrections import Correction
from napari_maskfree.reopening import reopen
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.session import Session

FRAMES, HEIGHT, WIDTH = 8, 64, 96


def half() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, : WIDTH // 2] = True
    return mask


MINE, THEIRS, OTHER = (
    {1: Correction.whole(half())},
    {1: Correction.whole(~half())},
    {2: Correction.whole(half())},
)


def video(clip_folder: Path) -> VideoInfo:
    return VideoInfo("clip", str(clip_folder), FRAMES, HEIGHT, WIDTH)


def opened(session: Session, clip_folder: Path) -> tuple[State, list[str]]:
    """The session as a window that has just been opened has it, and what that said."""
    state = State()
    state.set_video(video(clip_folder))
    state.corrections.changed.connect(lambda *_: state.corrections.try_save())
    said = reopen(state, session)
    return state, said


def killed(state: State) -> None:
    """The window is gone from one moment to the next; so is its lock."""
    state.journal.close()


def all_of(state: State) -> tuple[Any, ...]:
    names = [state.history_steps, state.undo_name, state.redo_name]
    return state.tracks, state.corrections.items(), names


def records(session: Session) -> list[dict[str, Any]]:
    path = session.path / "journal.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def work(state: State) -> None:
    state.set_box(1, (20, 6, 50, 40), 3)
    state.rename_track(2, "ox")
    state.ignoring.draw([(1, 1), (9, 1), (9, 9)], 2)
    state.apply("paint frame 2", state.tracks, {2: MINE})
    state.new_track("bird")
    state.apply("paint frame 2", state.tracks, {2: THEIRS, 4: OTHER})
    state.remove_track(2)
    state.undo()
    state.undo()
