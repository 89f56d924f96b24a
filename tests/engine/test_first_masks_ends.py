"""What is left of first masks when a run ends early, and what they count as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree.corrections import Correction
from maskfree.errors import InputError, InputWarning
from maskfree.first_masks import (
    remove_first_masks,
    wants_first_masks,
    write_first_masks,
)
from maskfree.gold_scores import gold_scores
from maskfree.interrupts import Interrupted
from maskfree.kept_masks import shown_run
from maskfree.mask_store import MaskStore
from maskfree.predict import predict
from maskfree.prepare import prepare
from maskfree.told_frames import (
    told_frames,
    untrained_frames,
    untrained_masks,
    untrained_words,
)
from maskfree.train import finetune
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.session import Session
    from maskfree.watch import Watch


@pytest.fixture
def config(first_masks_config: Config) -> Config:
    return first_masks_config


def at_half(act: Callable[[], object]) -> Watch:
    def watch(what: str, done: int, _total: int) -> None:
        if (what, done) == ("first masks", 6):
            act()

    return watch


def stopped_untrained(session: Session, config: Config) -> None:
    """Let a run write its first masks, and no more."""

    def stop(what: str, done: int, _total: int) -> None:
        if (what, done) == ("first masks", 12):
            session.runs()[-1].request_stop()

    assert list(finetune(session, config, device="cpu", watch=stop)) == []


def begun(session: Session, config: Config) -> None:
    """Take a run to its first step."""
    steps = finetune(session, config, device="cpu")
    next(iter(steps))
    steps.close()  # type: ignore[attr-defined]


def files(session: Session) -> set[str]:
    return {p.name for p in session.path.iterdir()} - {"runs"}


def stamps(session: Session) -> list[object]:
    return [session.mask_store().stamp(frame) for frame in range(12)]


def test_one_that_is_interrupted_while_they_are_written_leaves_none(
    small_session: Session, config: Config
) -> None:
    def interrupt() -> None:
        raise Interrupted(130)

    with pytest.raises(Interrupted):
        list(finetune(small_session, config, device="cpu", watch=at_half(interrupt)))
    assert small_session.runs() == []
    assert files(small_session) == {"boxes.json", "session.json"}


def test_where_the_disk_is_full_none_are_left_and_it_trains(
    small_session: Session, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = MaskStore.write

    def full(store: MaskStore, frame: int, masks: Any) -> None:
        if frame == 5:
            raise InputError(f"{store.path}: the disk is full.")
        write(store, frame, masks)

    monkeypatch.setattr(MaskStore, "write", full)
    with pytest.warns(InputWarning, match="No masks before the training: .*the disk is full"):
        assert len(list(finetune(small_session, config, device="cpu"))) == 2
    assert files(small_session) == {"boxes.json", "session.json"}
    assert not any("first_masks" in record for record in small_session.runs()[0].records())


def test_one_that_comes_to_nothing_gives_back_those_before(
    small_session: Session, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise InputError("no such network")

    stopped_untrained(small_session, config)
    before = stamps(small_session)
    monkeypatch.setattr("maskfree.trainer.build_model", fails)
    with pytest.raises(InputError, match="no such network"):
        list(finetune(small_session, config, device="cpu"))
    assert shown_run(small_session) == "0001"
    assert stamps(small_session) == before
    assert untrained_frames(small_session.runs()[0]) == set(range(12))


def test_one_that_comes_to_nothing_leaves_those_of_another_run(
    small_session: Session, config: Config
) -> None:
    stopped_untrained(small_session, config)
    stopped_untrained(small_session, config)
    before = stamps(small_session)
    remove_first_masks(small_session, small_session.runs()[0], None)
    assert shown_run(small_session) == "0002"
    assert stamps(small_session) == before


def test_masks_of_a_trained_run_whose_folder_is_gone_stay(
    small_session: Session, config: Config
) -> None:
    list(finetune(small_session, config, device="cpu"))
    list(predict(small_session, device="cpu"))
    before = stamps(small_session)
    small_session.runs()[0].remove()
    begun(small_session, config)
    assert small_session.runs()[0].name == shown_run(small_session) == "0001"
    assert stamps(small_session) == before


def test_they_take_the_place_of_first_masks_whose_run_was_trained_after(
    small_session: Session, config: Config
) -> None:
    """Stopped before its prediction: the boxes may be others by now."""
    begun(small_session, config)
    assert small_session.runs()[0].has_checkpoint
    before = stamps(small_session)
    begun(small_session, config)
    assert shown_run(small_session) == "0002"
    assert stamps(small_session) != before


def test_where_a_prediction_was_made_meanwhile_none_are_written(
    small_session: Session, config: Config
) -> None:
    list(finetune(small_session, config, device="cpu"))
    list(predict(small_session, device="cpu"))
    before, run = stamps(small_session), small_session.new_run(config, seed=0)
    with small_session.open_video() as video:
        prepared = prepare(video, small_session.boxes, config)
        made = write_first_masks(
            small_session, run, prepared, small_session.boxes, config, corrections={}
        )
    assert made == 0
    assert (shown_run(small_session), stamps(small_session)) == ("0001", before)


def test_gold_frames_do_not_score_a_run_by_them(small_session: Session, config: Config) -> None:
    list(finetune(small_session, config, device="cpu"))
    run = small_session.runs()[0]
    masks = small_session.mask_store().read(5)
    assert masks is not None
    here = dict(zip(masks.track_ids, masks.masks, strict=True))
    none = np.zeros((64, 96), bool)
    ids = [track.id for track in small_session.boxes.tracks]
    truth = {i: Correction.whole(here.get(i, none), gold=True) for i in ids}
    small_session.corrections.write(5, truth)
    (found,) = gold_scores(small_session)
    assert (found.scores, found.frames) == (None, ())
    assert found.left_out == ("its masks of frame 5 are of before it trained",)
    list(predict(small_session, device="cpu", frames=(0, 6)))
    (found,) = gold_scores(small_session)
    assert (found.frames, found.left_out) == ((5,), ())
    assert untrained_frames(run) == set(range(6, 12))
    assert told_frames(run) == frozenset()
    assert not wants_first_masks(small_session, config)


def test_damaged_weights_to_go_on_from_are_said_before_the_look(
    small_session: Session, config: Config
) -> None:
    list(finetune(small_session, config, device="cpu"))
    small_session.runs()[0].weights_path.write_bytes(b"nothing")
    heard: list[str] = []
    with pytest.raises(InputError, match="not a readable safetensors file"):
        list(
            finetune(
                small_session,
                config,
                device="cpu",
                start="last",
                watch=lambda what, *_: heard.append(what),
            )
        )
    assert heard == []
    assert len(small_session.runs()) == 1


def test_those_that_a_killed_run_did_not_come_to_are_none(
    small_session: Session, config: Config
) -> None:
    run = small_session.new_run(config, seed=0)
    small_session.predict_log.append({"status": "running", "run": run.name})
    (run.path / "told.json").write_text('{"trained": [], "masks": [], "first": [0, 1, 2]}')
    assert untrained_words(small_session) == ""
    none = InstanceMasks((), np.zeros((0, 64, 96), bool), ())
    small_session.mask_store().write(1, none)
    assert untrained_masks(small_session) == {1}
    assert untrained_words(small_session).startswith("The masks of 1 frame are first masks")
    assert wants_first_masks(small_session, config)


@pytest.mark.parametrize(("name", "says"), [("ytvis", True), ("mot", False), ("boxes", False)])
def test_an_export_says_so_where_it_holds_masks(
    small_session: Session, config: Config, cli: Any, tmp_path: Path, name: str, says: bool
) -> None:
    run = small_session.new_run(config, seed=0)
    small_session.predict_log.append({"status": "running", "run": run.name})
    (run.path / "told.json").write_text('{"trained": [], "masks": [], "first": [1]}')
    mask = np.zeros((1, 64, 96), bool)
    mask[0, 20:30, 20:30] = True
    small_session.mask_store().write(1, InstanceMasks((1,), mask, (1.0,)))
    done = cli("export", small_session.path, "--format", name, "--out", tmp_path / "out")
    assert done.code == 0
    assert ("first masks" in done.err) == says
