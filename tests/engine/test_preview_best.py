"""The best weights of a run: which they are, who keeps them, what is predicted with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree.chosen_frames import check_frames
from maskfree.errors import InputError, InputWarning
from maskfree.model.checkpoint import read_tensors
from maskfree.predict import predict
from maskfree.tracks import set_keyframe
from maskfree.trainer import Trainer
from maskfree.types import Keyframe
from training_run import go, last_run, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session
    from napari_maskfree.sample_data import GeneratedClip


def test_the_best_weights_are_those_of_the_best_preview(
    small_session: Session, small_config: Config, often: None, scored: Callable[..., None]
) -> None:
    scored(0.2, 0.8, 0.5, 0.3)
    for progress in go(small_session, small_config, previews=[4]):
        if progress.step == 3:
            kept = read_tensors(last_run(small_session).best_path)
    run = last_run(small_session)
    assert run.previews.read("best").step == 2
    assert same(kept, read_tensors(run.best_path))
    assert not same(kept, read_tensors(run.weights_path))
    assert not run.keeps_best
    assert run.kept_weights_path == run.weights_path


def test_of_equal_previews_the_later_is_the_better(
    small_session: Session, small_config: Config, often: None, scored: Callable[..., None]
) -> None:
    scored(0.8, 0.8, None, 0.1)
    list(go(small_session, small_config, previews=[4]))
    best = last_run(small_session).previews.read("best")
    assert (best.step, best.score) == (2, 0.8)


def test_keep_best_predicts_with_the_best(
    small_session: Session, small_config: Config, often: None, scored: Callable[..., None]
) -> None:
    scored(0.8, 0.2, 0.5, 0.3)
    list(go(small_session, small_config, keep="best"))
    run = last_run(small_session)
    assert run.keeps_best
    assert run.kept_weights_path == run.best_path
    list(predict(small_session, device="cpu"))
    best = {f: small_session.mask_store().read(f).masks for f in range(12)}
    run.keep("last")
    assert not run.keeps_best
    list(predict(small_session, device="cpu"))
    assert any(
        not np.array_equal(best[f], small_session.mask_store().read(f).masks) for f in range(12)
    )


def test_who_stops_a_run_may_keep_the_best(
    small_session: Session, small_config: Config, often: None, scored: Callable[..., None]
) -> None:
    scored(0.8, 0.2, 0.5, 0.3)
    for progress in go(small_session, small_config, previews="auto"):
        if progress.step == 3:
            last_run(small_session).request_stop(keep_best=True)
    run = last_run(small_session)
    assert (run.status, run.steps_done) == ("stopped", 3)
    assert run.keeps_best
    assert run.previews.read("best").step == 1
    list(go(small_session, small_config, resume=True))
    assert not run.keeps_best, "who goes on wants what is learnt then"


def test_a_run_that_is_killed_keeps_the_best_where_it_was_to(
    small_session: Session, small_config: Config, often: None, scored: Callable[..., None]
) -> None:
    scored(0.8, 0.2)
    steps = go(small_session, small_config, keep="best")
    next(steps), next(steps)
    run = last_run(small_session)  # a kill leaves what is on the disk now
    assert not run.weights_path.exists()
    assert run.keeps_best
    assert small_session.latest_run().path == run.path
    steps.close()


def test_a_run_that_is_killed_after_it_was_asked_to_keep_its_best(
    small_session: Session, small_config: Config, often: None, scored: Callable[..., None]
) -> None:
    scored(0.8, 0.2)
    steps = go(small_session, small_config, previews=[4])
    next(steps), next(steps)
    run = last_run(small_session)
    assert not run.keeps_best
    run.request_stop(keep_best=True)
    assert run.keeps_best
    run.keep("last")
    assert not run.keeps_best
    assert run.stop_requested
    steps.close()


def test_a_run_without_previews_has_no_best(small_session: Session, small_config: Config) -> None:
    steps = go(small_session, small_config)
    next(steps), next(steps)
    last_run(small_session).request_stop(keep_best=True)
    with pytest.warns(InputWarning, match="best weights were to be kept, but no preview has a"):
        list(steps)
    run = last_run(small_session)
    assert run.status == "stopped"
    assert not run.keeps_best
    assert not run.best_tube_path.exists()
    with pytest.raises(InputError) as caught:
        run.keep("best")
    assert str(caught.value) == (
        "Run 0001 has no best weights to keep: it was made without previews. Fine-tune with "
        "--preview auto."
    )


def broken_at(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Trainer.step

    def step(self: Trainer, number: int) -> dict[str, float]:
        if number == index:
            raise InputError("The loss is nan at step 2.")
        return real(self, number)

    monkeypatch.setattr(Trainer, "step", step)


def test_a_run_that_fails_before_its_first_checkpoint_predicts_with_its_best(
    small_session: Session,
    small_config: Config,
    often: None,
    scored: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scored(0.8)
    broken_at(1, monkeypatch)
    with pytest.raises(InputError, match="nan"):
        list(go(small_session, small_config, keep="best"))
    run = last_run(small_session)
    assert (run.status, run.steps_done) == ("failed", 1)
    assert not run.weights_path.exists()
    assert run.keeps_best
    assert run.has_checkpoint
    assert run.kept_tube_path == run.best_tube_path
    assert run.kept_memory_path == run.best_memory_path
    list(predict(small_session, device="cpu"))
    assert small_session.mask_store().read(4) is not None


def test_the_best_is_predicted_with_what_it_was_scored_with(
    small_session: Session, small_config: Config, often: None, scored: Callable[..., None]
) -> None:
    scored(0.8, 0.2, 0.2, 0.2)
    found = {}
    for progress in go(small_session, small_config, keep="best"):
        if progress.step == 2:
            run = last_run(small_session)
            found = {p: p.read_bytes() for p in (run.best_tube_path, run.best_memory_path)}
    assert found == {p: p.read_bytes() for p in (run.kept_tube_path, run.kept_memory_path)}
    run.keep("last")
    assert (run.kept_tube_path, run.kept_memory_path) == (run.tube_path, run.memory_path)
    run.keep("best")
    run.best_tube_path.unlink()  # a run of an earlier version
    assert run.kept_tube_path == run.tube_path


def test_a_run_that_cannot_be_resumed_keeps_its_best(
    small_session: Session,
    small_config: Config,
    often: None,
    scored: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scored(0.9, 0.2, 0.5, 0.3)
    steps = go(small_session, small_config, keep="best")
    next(steps), next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]
    run = last_run(small_session)
    assert run.keeps_best
    content = run.state_path.read_bytes()
    run.state_path.write_bytes(b"broken")
    with pytest.raises(InputError):
        list(go(small_session, small_config, resume=True))
    assert run.keeps_best

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    run.state_path.write_bytes(content)
    monkeypatch.setattr("maskfree.preview.Previewer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(go(small_session, small_config, resume=True, keep="best"))
    assert run.keeps_best
    assert run.status == "stopped"


def test_the_best_needs_a_frame_with_a_box(
    small_session: Session, small_config: Config, small_clip: GeneratedClip
) -> None:
    tracks = small_session.boxes
    for track in tracks.tracks:
        tracks = set_keyframe(tracks, track.id, Keyframe(11, None, outside=True))
    small_session.save_boxes(tracks)
    with pytest.raises(InputError) as caught:
        list(go(small_session, small_config, previews=[11], keep="best"))
    assert str(caught.value) == (
        "Expected a frame with a box among those to preview, since the best weights are to be "
        "kept, got 11. Choose others, or let them be chosen: --preview auto"
    )
    assert not small_session.runs()
    assert check_frames([11], tracks, needed=True, gold=True) == [11]
    assert check_frames([11], tracks) == [11]
