"""The masks that a session has before its first run has trained: of all cues but the network."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree.corrections import Correction
from maskfree.errors import InputError, InputWarning
from maskfree.first_masks import first_frames, settle_video, wants_first_masks
from maskfree.kept_masks import runs_with_masks, shown_run
from maskfree.masks_lock import masks_lock
from maskfree.predict import predict
from maskfree.told_frames import boxes_of_masks, told_frames
from maskfree.tracks import box_at
from maskfree.train import finetune

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session


@pytest.fixture
def config(first_masks_config: Config) -> Config:
    return first_masks_config


def begun(session: Session, config: Config, **how: Any) -> list[tuple[str, int, int]]:
    """Take a run to its first step; return what who watches has heard."""
    heard: list[tuple[str, int, int]] = []
    steps = finetune(session, config, device="cpu", watch=lambda *w: heard.append(w), **how)
    next(iter(steps))
    steps.close()  # type: ignore[attr-defined]
    return heard


def test_a_session_has_masks_before_the_first_step(small_session: Session, config: Config) -> None:
    heard = begun(small_session, config)
    run, store = small_session.runs()[-1], small_session.mask_store()
    assert store.frames() == list(range(12))
    assert heard[-1] == ("first masks", 12, 12)
    records = run.records()
    at = records.index({"first_masks": 12})
    assert at < next(n for n, r in enumerate(records) if "device" in r), "before torch is needed"
    assert small_session.predict_log.status == "done"
    assert shown_run(small_session) == run.name
    assert runs_with_masks(small_session) == [run.name]
    assert boxes_of_masks(run) == small_session.boxes
    assert told_frames(run) == frozenset()
    with small_session.open_video() as video:
        expected = dict(settle_video(video, small_session.boxes, config))
    for frame, masks in expected.items():
        found = store.read(frame)
        assert found is not None
        assert (found.track_ids, found.scores) == (masks.track_ids, masks.scores)
        np.testing.assert_array_equal(found.masks, masks.masks)


def test_what_is_learnt_is_the_same_with_them_or_without(
    small_session: Session, config: Config
) -> None:
    with_masks = [p.losses for p in finetune(small_session, config, device="cpu")]
    list(predict(small_session, device="cpu"))
    without = [p.losses for p in finetune(small_session, config, device="cpu", start="fresh")]
    assert with_masks == without


def test_the_prediction_takes_their_place(small_session: Session, config: Config) -> None:
    list(finetune(small_session, config, device="cpu"))
    first = [small_session.mask_store().stamp(frame) for frame in range(12)]
    list(predict(small_session, device="cpu"))
    assert all(small_session.mask_store().stamp(t) != first[t] for t in range(12))
    assert shown_run(small_session) == "0001"
    assert sorted(p.name for p in small_session.path.iterdir() if "before" in p.name) == []
    assert not (small_session.runs()[0].path / "masks").exists()


def test_masks_of_a_trained_run_stay_until_the_next_prediction(
    small_session: Session, config: Config
) -> None:
    list(finetune(small_session, config, device="cpu"))
    list(predict(small_session, device="cpu"))
    before = [small_session.mask_store().stamp(frame) for frame in range(12)]
    assert "first masks" not in {what for what, *_ in begun(small_session, config, start="fresh")}
    assert before == [small_session.mask_store().stamp(frame) for frame in range(12)]
    assert shown_run(small_session) == "0001"


def test_a_run_that_was_stopped_untrained_leaves_its_masks_for_the_next_to_replace(
    small_session: Session, config: Config
) -> None:
    def stop(what: str, done: int, _total: int) -> None:
        if (what, done) == ("first masks", 12):
            small_session.runs()[-1].request_stop()

    assert list(finetune(small_session, config, device="cpu", watch=stop)) == []
    assert not small_session.runs()[0].has_checkpoint
    assert shown_run(small_session) == "0001"
    begun(small_session, config)
    assert shown_run(small_session) == "0002"
    assert small_session.mask_store().frames() == list(range(12))
    assert runs_with_masks(small_session) == ["0001", "0002"]


def test_a_run_that_comes_to_nothing_leaves_none(
    small_session: Session, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise InputError("no such network")

    monkeypatch.setattr("maskfree.trainer.build_model", fails)
    with pytest.raises(InputError, match="no such network"):
        list(finetune(small_session, config, device="cpu"))
    assert small_session.runs() == []
    assert {p.name for p in small_session.path.iterdir()} - {"runs"} == {
        "boxes.json",
        "session.json",
    }


def test_where_somebody_else_writes_masks_the_run_trains_all_the_same(
    small_session: Session, config: Config
) -> None:
    with masks_lock(small_session), pytest.warns(InputWarning, match="No masks before"):
        assert len(list(finetune(small_session, config, device="cpu"))) == 2
    assert small_session.mask_store().frames() == []


def test_they_keep_to_what_a_person_said(small_session: Session, config: Config) -> None:
    box = box_at(small_session.boxes.tracks[0], 5)
    assert box is not None
    x, y = (round((low + high) / 2) for low, high in zip(box.xyxy[:2], box.xyxy[2:], strict=True))
    hole = np.zeros((64, 96), bool)
    hole[y - 3 : y + 3, x - 3 : x + 3] = True
    small_session.corrections.write(5, {1: Correction.make(~hole & False, hole)})
    begun(small_session, config)
    found = small_session.mask_store().read(5)
    assert found is not None
    assert not found.masks[found.track_ids.index(1)][y - 1 : y + 1, x - 1 : x + 1].any()
    assert told_frames(small_session.runs()[0]) == frozenset({5})


def test_of_a_long_video_some_frames_that_are_spread_over_it() -> None:
    boxes = np.full((2, 100, 4), np.nan)
    boxes[0, 20:80] = boxes[1, 70:90] = (1, 2, 3, 4)
    assert first_frames(boxes, 80) == list(range(20, 90))
    assert len(first_frames(boxes, 79)) == 69
    few = first_frames(boxes, 10)
    assert len(few) == 8
    assert (few[0], few[-1]) == (20, 89)
    assert max(np.diff(few)) - min(np.diff(few)) <= 1
    assert len(first_frames(boxes, 1)) == 1
    assert first_frames(boxes[:, :20], 600) == []


@pytest.mark.parametrize("off", [{"first_boxes": 0}, {"refine": False}])
def test_they_can_be_left_out(
    small_session: Session,
    config: Config,
    settings_of: Callable[..., Config],
    off: dict[str, Any],
) -> None:
    without = settings_of(config, "consensus", **off)
    begun(small_session, without)
    assert small_session.mask_store().frames() == []
    assert not wants_first_masks(None, without)


def test_a_session_that_is_yet_to_be_made_gets_some(config: Config) -> None:
    assert wants_first_masks(None, config)


def test_they_need_no_torch() -> None:
    code = (
        "import sys, maskfree.train, maskfree.finetune_command;"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
