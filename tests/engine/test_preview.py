"""Chosen frames, redrawn while a run goes on: they change nothing of it, and the best is kept."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from maskfree.config import PreviewConfig
from maskfree.corrections import Correction
from maskfree.errors import InputError, InputWarning
from maskfree.model.checkpoint import read_tensors
from maskfree.predict import predict
from maskfree.preview import Previewer, check_frames
from maskfree.preview_files import Measure
from maskfree.tracks import set_keyframe
from maskfree.train import Trainer
from maskfree.types import InstanceMasks, Keyframe
from training_run import go, last_run, losses_of, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session
    from napari_maskfree.sample_data import GeneratedClip


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview after every step, whatever time it takes."""
    eager = PreviewConfig(every=1, share=1.0)
    monkeypatch.setattr("maskfree.preview.PreviewConfig", lambda: eager)
    monkeypatch.setattr(Previewer, "_allowed", lambda _: float("inf"))


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the previews have these scores, one after the other."""

    def give(*scores: float | None) -> None:
        left = list(scores)
        monkeypatch.setattr("maskfree.preview.score_preview", lambda *_: left.pop(0))

    return give


def gold(session: Session, clip: GeneratedClip, frame: int) -> None:
    truth = {
        i: Correction.whole(clip.masks[frame] == i, gold=True)
        for i in (track.id for track in session.boxes.tracks)
    }
    session.corrections.write(frame, truth)


def test_a_run_is_bit_for_bit_the_same_with_previews(
    small_session: Session, small_config: Config, often: None
) -> None:
    plain = list(go(small_session, small_config, seed=3))
    first = last_run(small_session)
    watched = list(go(small_session, small_config, seed=3, previews=[0, 5, 11]))
    second = last_run(small_session)
    assert [step for step, _ in second.previews.read("now").history] == [1, 2, 3, 4]
    assert [p.losses for p in watched] == [p.losses for p in plain]
    assert losses_of(second) == losses_of(first)
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))
    states = [torch.load(run.state_path, weights_only=True) for run in (first, second)]
    assert same(states[0]["model"], states[1]["model"])
    for name in ("torch_rng", "objective_rng"):
        assert torch.equal(states[0][name], states[1][name])
    assert states[0]["numpy_rng"] == states[1]["numpy_rng"]
    assert not first.previews.path.exists()
    assert not first.best_path.exists()


def test_a_run_whose_batch_norms_are_running_means_is_the_same_as_well(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config], often: None
) -> None:
    config = settings_of(small_config, "optimiser", norm_clips=0)
    list(go(small_session, config))
    list(go(small_session, config, previews="auto"))
    first, second = small_session.runs()
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))


def test_a_preview_that_breaks_in_the_middle_leaves_no_trace(
    small_session: Session, small_config: Config, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(go(small_session, small_config))
    from maskfree.model.mask2former_video import Mask2FormerVideo

    whole, calls = Mask2FormerVideo.measure_norms, []

    def broken(self: Any, clips: Any) -> None:
        calls.append(1)
        if len(calls) % 2:  # the previews'; the checkpoints' must work
            whole(self, [next(clips)])
            self.train()
            next(m for m in self.modules() if isinstance(m, torch.nn.BatchNorm2d)).momentum = None
            torch.rand(1)
            raise MemoryError("no room")
        whole(self, clips)

    monkeypatch.setattr(Mask2FormerVideo, "measure_norms", broken)
    with pytest.warns(InputWarning, match="could not be redrawn: no room The run goes on"):
        steps = list(go(small_session, small_config, previews=[4]))
    first, second = small_session.runs()
    assert [p.step for p in steps] == [1, 2, 3, 4]
    assert losses_of(first) == losses_of(second)


def test_what_is_kept_of_the_frames(
    small_session: Session, small_config: Config, often: None
) -> None:
    list(go(small_session, small_config, previews=[0, 8]))
    files = last_run(small_session).previews
    before, now, best = (files.read(moment) for moment in ("before", "now", "best"))
    assert files.wanted(12) == [0, 8]
    assert before.boxes == {0, 8}
    assert before.step == 0
    assert now.step == 4
    assert now.measure == Measure("confidence", (0, 8))
    assert len(now.history) == 4
    assert best.score == max(score for _, score in now.history)
    assert best.step == max(step for step, score in now.history if score == best.score)
    for frame in (0, 8):
        picture = files.picture(frame)
        assert picture.dtype == np.uint8
        for shot in (before, now, best):
            assert shot.masks[frame].masks.shape[1:] == picture.shape[:2]
    # the boxes lie around what is in them
    own = before.masks[0].masks
    assert own.any((1, 2)).all()
    assert not own[:, 0].any()


def test_before_are_the_masks_that_the_session_had(
    small_session: Session, small_config: Config, often: None
) -> None:
    masks = np.zeros((1, 64, 96), bool)
    masks[:, 20:40, 30:60] = True
    small_session.mask_store().write(8, InstanceMasks((2,), masks, (0.5,)))
    list(go(small_session, small_config, previews=[0, 8]))
    before = last_run(small_session).previews.read("before")
    assert before.boxes == {0}
    assert before.masks[8].track_ids == (2,)


def test_frames_that_are_wanted_later_are_shown_from_the_next_preview_on(
    small_session: Session, small_config: Config, often: None
) -> None:
    for progress in go(small_session, small_config, previews=[0]):
        if progress.step == 2:
            last_run(small_session).previews.want([3, 99, 7])
    files = last_run(small_session).previews
    assert set(files.read("now").masks) == {3, 7}
    assert set(files.read("before").masks) == {0, 3, 7}
    assert files.read("now").measure.frames == (0,), "scores stay comparable"


def test_a_broken_list_of_frames_changes_nothing(
    small_session: Session, small_config: Config, often: None
) -> None:
    for _ in go(small_session, small_config, previews=[0]):
        (last_run(small_session).previews.path / "frames.json").write_text("{")
    assert set(last_run(small_session).previews.read("now").masks) == {0}


# what is best


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
    monkeypatch.setattr("maskfree.train.Previewer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(go(small_session, small_config, resume=True, keep="best"))
    assert run.keeps_best
    assert run.status == "stopped"


@pytest.mark.parametrize("still_there", [True, False])
def test_a_resumed_run_goes_on_with_its_measure_where_it_can(
    small_session: Session,
    small_config: Config,
    small_clip: GeneratedClip,
    often: None,
    scored: Callable[..., None],
    still_there: bool,
) -> None:
    gold(small_session, small_clip, 6)
    scored(0.9, 0.2, 0.5, 0.3)
    steps = go(small_session, small_config, previews=[4])
    next(steps), next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]
    run = last_run(small_session)
    first = run.best_path.read_bytes()
    gold(small_session, small_clip, 2)
    if not still_there:
        small_session.corrections.write(6, {})
    list(go(small_session, small_config, previews=[4], resume=True))
    now, best = run.previews.read("now"), run.previews.read("best")
    if still_there:
        assert now.measure == Measure("gold", (6,))
        assert best.step == 1
        assert run.best_path.read_bytes() == first
        return
    assert now.measure == Measure("gold", (2,))
    assert [step for step, _ in now.history] == [best.step]
    assert best.step > 2
    assert run.path.joinpath("earlier_best.safetensors").read_bytes() == first
    for name in ("json", "boxes.npz", "consensus.npz"):
        assert run.path.joinpath(f"earlier_best.{name}").is_file()


@pytest.mark.parametrize("moved", [False, True])
def test_a_box_that_moved_is_shown_anew(
    small_session: Session, small_config: Config, often: None, moved: bool
) -> None:
    steps = go(small_session, small_config, previews=[0, 8])
    next(steps), next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]
    files = last_run(small_session).previews
    picture, before = files.picture(0), files.read("before")
    assert before.boxes == {0, 8}
    small_session.mask_store().write(0, InstanceMasks((1,), np.ones((1, 64, 96), bool), (1.0,)))
    if moved:
        tracks = small_session.boxes
        for track in tracks.tracks:
            tracks = set_keyframe(tracks, track.id, Keyframe(0, (4.0, 4.0, 24.0, 24.0)))
        small_session.save_boxes(tracks)
    list(go(small_session, small_config, previews=[0, 8], resume=True))
    after = files.read("before")
    assert after.boxes == ({8} if moved else {0, 8})
    assert after.windows[8] == before.windows[8]
    assert (after.windows[0] != before.windows[0]) == moved
    assert (files.picture(0).shape == picture.shape) != moved
    for moment in ("before", "now", "best"):
        shot = files.read(moment)
        for frame, masks in shot.masks.items():
            assert shot.windows[frame] == after.windows[frame]
            assert masks.masks.shape[1:] == files.picture(frame).shape[:2]


def test_damaged_masks_are_previewed_as_boxes(
    small_session: Session, small_config: Config, often: None
) -> None:
    masks = InstanceMasks((2,), np.ones((1, 64, 96), bool), (0.5,))
    small_session.mask_store().write(8, masks)
    next(small_session.mask_store().path.glob("*8.json")).write_text("{")
    list(go(small_session, small_config, previews=[0, 8]))
    files = last_run(small_session).previews
    assert files.read("before").boxes == {0, 8}
    assert len(files.read("now").history) == 4


def test_a_resumed_run_goes_on_with_its_scores(
    small_session: Session, small_config: Config, often: None, scored: Callable[..., None]
) -> None:
    scored(0.9, 0.2, 0.5, 0.3)
    steps = go(small_session, small_config, previews=[4])
    next(steps), next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]
    list(go(small_session, small_config, previews=[4], resume=True))
    files = last_run(small_session).previews
    assert files.read("now").history[0] == (1, 0.9)
    assert files.read("now").step == 4
    assert files.read("best").step == 1


# what it is scored by


def test_gold_frames_are_the_measure_where_there_are_some(
    small_session: Session, small_config: Config, small_clip: GeneratedClip, often: None
) -> None:
    gold(small_session, small_clip, 6)
    list(go(small_session, small_config, previews=[2]))
    files = last_run(small_session).previews
    now = files.read("now")
    assert now.measure == Measure("gold", (6,))
    assert set(now.masks) == {2}
    list(predict(small_session, device="cpu"))
    from maskfree.gold_scores import gold_scores

    (found,) = gold_scores(small_session)
    # the same weights; a preview sees each frame from one clip, and not its mirror image
    assert now.score == pytest.approx(found.scores.j, abs=0.15)


def test_a_gold_frame_that_the_run_was_told_of_is_no_measure(
    small_session: Session, small_config: Config, small_clip: GeneratedClip, often: None
) -> None:
    gold(small_session, small_clip, 6)
    carried = {1: Correction.make(small_clip.masks[7] == 1, small_clip.masks[7] == 2, carried=6)}
    small_session.corrections.write(7, carried)
    list(go(small_session, small_config, previews=[2]))
    assert last_run(small_session).previews.read("now").measure.kind == "confidence"


# when


class Clock:
    """A step takes 1 s, a preview ``preview`` s."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("preview", "most"), [(0.1, 100), (2.0, 25), (50.0, 2)])
def test_previews_take_no_more_than_their_share(
    small_session: Session,
    small_config: Config,
    monkeypatch: pytest.MonkeyPatch,
    preview: float,
    most: int,
) -> None:
    clock, taken = Clock(), []

    def look(self: Previewer, step: int, *, measured: bool) -> None:
        taken.append(step)
        clock.now += preview

    monkeypatch.setattr(Previewer, "_look", look)
    monkeypatch.setattr(Previewer, "_begin", lambda *_: None)
    run = small_session.new_run(small_config, seed=0)
    previewer = Previewer(
        None,  # type: ignore[arg-type]
        run,
        small_session,
        video=None,  # type: ignore[arg-type]
        tracks=small_session.boxes,
        corrections={},
        frames=[0],
        clock=clock,
    )
    for step in range(1, 1001):
        clock.now += 1
        previewer.after(step)
    assert taken[0] == 10, "the first one early"
    assert len(taken) <= most
    assert all(b - a >= 10 for a, b in itertools.pairwise(taken))
    assert previewer.seconds <= max(0.05 * 1000, preview)
    previewer.last(1000)
    assert taken[-1] == 1000
    previewer.last(1000)
    assert taken.count(1000) == 1


@pytest.mark.parametrize("frames", [[], [12], [-1], [0, 1, 2, 3, 4]])
def test_wrong_frames_are_refused_before_a_run_is_made(
    small_session: Session, small_config: Config, frames: list[int]
) -> None:
    with pytest.raises(InputError, match=r"^Expected 1 to 4 frames to preview, from 0 to 11, got "):
        list(go(small_session, small_config, previews=frames))
    assert not small_session.runs()


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


def test_without_truth_the_networks_own_masks_are_scored(
    small_session: Session, small_config: Config, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refined ones would be sure of themselves whatever the network says."""
    from maskfree import preview

    whole = preview.boxed_masks

    def told(
        grid: Any, tube: Any, ids: Any, ignored: Any, size: Any, config: Any, consensus: Any = None
    ) -> Any:
        made = whole(grid, tube, ids, ignored, size, config, consensus)
        score = 0.25 if consensus is None else 0.99
        masks = np.ones((len(ids), *size), bool)
        return InstanceMasks(tuple(ids), masks, (score,) * len(ids)) if len(made.masks) else made

    monkeypatch.setattr(preview, "boxed_masks", told)
    list(go(small_session, small_config, previews=[4]))
    now = last_run(small_session).previews.read("now")
    assert now.score == 0.25
    assert set(now.masks[4].scores) == {0.99}
