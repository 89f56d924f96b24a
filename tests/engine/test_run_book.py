"""What a list of runs says of each, and where two of them differ."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.config import Config
from maskfree.kept_masks import show_run
from maskfree.run_book import RunBook
from maskfree.run_difference import RunDifference, compare_runs, frame_agreement
from maskfree.session import Session
from maskfree.tracks import empty_tracks
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.run import Run


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.create(tmp_path / "s", video_source=None, boxes=empty_tracks(9, 4, 6, None))


def predict(session: Session, name: str, scores: list[float]) -> None:
    """Masks of one track, as the newest run's prediction writes them."""
    session.predict_log.clear()
    session.predict_log.append({"status": "done", "run": name})
    for frame, score in enumerate(scores):
        mask = np.ones((1, 4, 6), bool)
        session.mask_store().write(frame, InstanceMasks((1,), mask, (score,)))


def note(run: Run, first: list[int]) -> None:
    """Frames whose masks the run wrote before it trained."""
    (run.path / "told.json").write_text(json.dumps({"trained": [], "masks": [], "first": first}))


def test_every_run_is_told_of(session: Session) -> None:
    book = RunBook(session, 9)
    assert book.refresh() == []
    first = session.new_run(Config(), seed=0)
    os.utime(first.config_path, (1000.0, 1000.0))
    first.append({"step": 7, "steps": 20, "losses": {}})
    found = book.refresh()
    assert [(r.name, r.started, r.steps, r.frames) for r in found] == [("0001", 1000.0, 7, 0)]
    assert (found[0].score, found[0].shown, found[0].preset) == (None, False, Config().preset)
    assert found[0].planned == Config().optimiser.steps
    predict(session, "0001", [0.5, 1.0])
    found = book.refresh()
    assert (found[0].score, found[0].frames, found[0].shown) == (pytest.approx(0.75), 2, True)
    assert found[0].untrained == 0
    note(first, [1, 5])
    assert book.refresh()[0].untrained == 1, "frame 5 has no masks"


def test_scores_go_along_with_the_masks(session: Session) -> None:
    from maskfree.kept_masks import keep_masks

    book = RunBook(session, 9)
    for name, scores in (("0001", [0.5, 0.5]), ("0002", [0.9, 0.7])):
        session.new_run(Config(), seed=0)
        keep_masks(session)
        predict(session, name, scores)
    assert [(r.score, r.shown) for r in book.refresh()] == [
        (pytest.approx(0.5), False),
        (pytest.approx(0.8), True),
    ]
    show_run(session, "0001")
    assert [(r.score, r.shown) for r in book.refresh()] == [
        (pytest.approx(0.5), True),
        (pytest.approx(0.8), False),
    ]


def test_a_run_of_another_version_and_a_broken_mask_are_listed(session: Session) -> None:
    run = session.new_run(Config(), seed=0)
    run.config_path.write_text('{"config": {"model": 1}}')
    predict(session, "0001", [0.5, 0.9])
    (session.mask_store().path / "00001.json").write_text("{")
    found = RunBook(session, 9).refresh()
    assert [(r.preset, r.planned, r.score) for r in found] == [
        ("unknown", None, pytest.approx(0.5))
    ]


def test_a_watch_may_end_it(session: Session) -> None:
    session.new_run(Config(), seed=0)

    def stop() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        RunBook(session, 9).refresh(stop)


def test_masks_of_no_known_run_are_kept_beside(session: Session) -> None:
    from maskfree.kept_masks import kept_masks
    from maskfree.mask_store import MaskStore

    run = session.new_run(Config(), seed=0)
    predict(session, "0001", [0.5])
    kept_masks(run).write(0, InstanceMasks((1,), np.eye(4, 6, dtype=bool)[None], (0.25,)))
    session.predict_log.clear()
    show_run(session, "0001")
    assert session.mask_store().read_scores(0) == {1: 0.25}
    assert MaskStore(session.path / "masks.before").read_scores(0) == {1: 0.5}
    session.mask_store().write(0, InstanceMasks((1,), np.eye(4, 6, dtype=bool)[None], (0.75,)))
    session.predict_log.clear()
    show_run(session, "0001")
    assert MaskStore(session.path / "masks.before").read_scores(0) == {1: 0.5}
    assert MaskStore(session.path / "masks.before-2").read_scores(0) == {1: 0.75}


def masks(**columns: int) -> InstanceMasks:
    """Tracks 1, 2, … that fill so many of ten columns from the left."""
    filled = np.stack([np.arange(10)[None] < n for n in columns.values()])
    return InstanceMasks(tuple(int(k[1:]) for k in columns), filled, (0.5,) * len(columns))


def test_agreement_is_the_mean_over_tracks() -> None:
    assert frame_agreement(masks(t1=4), masks(t1=8)) == 0.5
    assert frame_agreement(masks(t1=4, t2=5), masks(t2=5, t1=8)) == 0.75
    assert frame_agreement(masks(t1=4, t2=5), masks(t1=4)) == 0.5
    assert frame_agreement(masks(t1=4), None) == 0
    assert frame_agreement(masks(t1=0), masks(t1=0)) is None
    assert frame_agreement(masks(t1=0, t2=3), masks(t2=3)) == 1
    assert frame_agreement(None, None) is None


def reader(values: dict[int, int]) -> Callable[[int], InstanceMasks | None]:
    return lambda frame: masks(t1=values[frame]) if frame in values else None


def test_the_frames_that_differ_most_lie_apart() -> None:
    one = reader(dict.fromkeys(range(12), 10))
    other = reader({**dict.fromkeys(range(12), 10), 3: 2, 4: 1, 9: 5, 11: 8})
    found = compare_runs(one, other, range(12), most=3, apart=2, at_most=100)
    assert found.most == ((4, 0.1), (9, 0.5), (11, 0.8))
    assert found.mean == pytest.approx((8 + 0.2 + 0.1 + 0.5 + 0.8) / 12)
    assert (found.seen, found.total) == (12, 12)
    same = compare_runs(one, one, range(12), most=3, apart=2, at_most=100)
    assert same == RunDifference((), 1.0, 12, 12)
    nothing = compare_runs(reader({}), reader({}), [], most=3, apart=2, at_most=100)
    assert nothing == RunDifference((), 1.0, 0, 0)


def test_a_long_video_is_looked_at_here_and_there() -> None:
    asked: list[int] = []
    found = compare_runs(
        lambda frame: asked.append(frame),
        reader({0: 3, 50: 4, 99: 5}),
        range(100),
        most=9,
        apart=1,
        at_most=5,
    )
    assert asked == [0, 25, 50, 74, 99]
    assert (found.most, found.seen, found.total) == (((0, 0), (50, 0), (99, 0)), 5, 100)
