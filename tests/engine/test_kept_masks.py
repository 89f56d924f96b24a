"""Runs keep their masks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.kept_masks import keep_masks, kept_masks, runs_with_masks, show_run, shown_run
from maskfree.predict import predict
from maskfree.session import Session
from maskfree.tracks import empty_tracks
from maskfree.types import InstanceMasks
from training_run import go

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.create(tmp_path / "s", video_source=None, boxes=empty_tracks(9, 4, 6, None))


def predicted(session: Session, run: str, frames: range, value: int) -> None:
    """What `predict` does, without a network."""
    if shown_run(session) != run:
        keep_masks(session)
    session.predict_log.clear()
    session.predict_log.append({"status": "running", "run": run})
    for frame in frames:
        mask = np.zeros((1, 4, 6), bool)
        mask[0, value] = True
        session.mask_store().write(frame, InstanceMasks((1,), mask, (0.5,)))


def row(session: Session, frame: int) -> int | None:
    masks = session.mask_store().read(frame)
    return None if masks is None else int(masks.masks[0].any(1).argmax())


def test_back_to_an_earlier_run_and_forth(session: Session) -> None:
    for _ in range(2):
        session.new_run(Config(), seed=0)
    assert runs_with_masks(session) == []
    predicted(session, "0001", range(4), 1)
    assert (shown_run(session), runs_with_masks(session)) == ("0001", ["0001"])
    predicted(session, "0002", range(2, 6), 3)
    assert runs_with_masks(session) == ["0001", "0002"]
    show_run(session, "0001")
    assert [row(session, f) for f in range(6)] == [1, 1, 1, 1, None, None]
    assert shown_run(session) == "0001"
    show_run(session, "0001")
    show_run(session, "0002")
    assert [row(session, f) for f in range(6)] == [1, 1, 3, 3, 3, 3]
    assert not [p for p in session.path.rglob("*") if p.suffix in (".new", ".old")]


def test_what_is_kept_stays_when_the_session_is_predicted_again(session: Session) -> None:
    for _ in range(2):
        session.new_run(Config(), seed=0)
    predicted(session, "0001", range(2), 1)
    predicted(session, "0002", range(2), 2)
    show_run(session, "0001")
    predicted(session, "0001", range(2), 3)  # the run itself once more
    run = session.runs()[0]
    kept = kept_masks(run).read(0)
    assert kept is not None
    assert kept.masks[0].any(1).argmax() == 1
    keep_masks(session)
    kept = kept_masks(run).read(0)
    assert kept is not None
    assert kept.masks[0].any(1).argmax() == 3


def test_a_disk_without_links_copies(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    session.new_run(Config(), seed=0)
    predicted(session, "0001", range(2), 1)
    keep_masks(session)
    assert kept_masks(session.runs()[0]).frames() == [0, 1]


def test_a_run_without_masks_is_refused(session: Session) -> None:
    session.new_run(Config(), seed=0)
    for name in ("0001", "0007"):
        with pytest.raises(InputError, match=f'no masks of a run "{name}". Runs with masks: none'):
            show_run(session, name)


def test_predicting_with_another_run_keeps_the_masks_before(
    small_session: Session, small_config: Config
) -> None:
    list(go(small_session, small_config))
    list(predict(small_session, device="cpu", frames=(0, 3)))
    before = small_session.mask_store().read(1)
    list(go(small_session, small_config, seed=7))
    list(predict(small_session, device="cpu", frames=(0, 3)))
    assert runs_with_masks(small_session) == ["0001", "0002"]
    kept = kept_masks(small_session.runs()[0]).read(1)
    assert before is not None
    assert kept is not None
    np.testing.assert_array_equal(kept.masks, before.masks)
