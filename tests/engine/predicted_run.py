"""What fine-tuning and prediction leave behind in a session, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import Config
from maskfree.kept_masks import keep_masks, shown_run
from maskfree.told_frames import MasksNote, note_training
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from maskfree.session import Session


def predicted(
    session: Session, masks: dict[int, dict[int, np.ndarray]], *, fresh: bool = True
) -> None:
    """Leave the ``masks`` behind, by frame and track id; ``fresh``: of a new run."""
    corrections = session.corrections.read_all()
    if fresh:
        note_training(session.new_run(Config(), seed=0), corrections, resumed=False)
    run = session.runs()[-1]
    size = session.boxes.height, session.boxes.width
    note = MasksNote(session, run, session.boxes, corrections)
    if shown_run(session) != run.name:
        keep_masks(session)
    session.predict_log.clear()
    session.predict_log.append({"status": "done", "run": run.name})
    for frame, own in masks.items():
        stack = np.stack([*own.values()]) if own else np.zeros((0, *size), bool)
        session.mask_store().write(frame, InstanceMasks(tuple(own), stack, (0.5,) * len(own)))
        note.add(frame)
    note.close()
