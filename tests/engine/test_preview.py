"""Chosen frames, redrawn while a run goes on: they change nothing of it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from maskfree.errors import InputError, InputWarning
from maskfree.model.checkpoint import read_tensors
from maskfree.preview import Previewer
from maskfree.preview_files import Measure
from maskfree.tracks import set_keyframe
from maskfree.trainer import Trainer
from maskfree.types import InstanceMasks, Keyframe
from training_run import go, last_run, losses_of, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.run import Run
    from maskfree.session import Session


def test_a_run_is_bit_for_bit_the_same_with_previews(
    small_session: Session, small_config: Config, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    save = Trainer.save

    def noted(self: Trainer, run: Run, step: int) -> None:
        tensors = (torch.get_rng_state(), self._objective.rng_state)
        drawn.append((step, [x.tolist() for x in tensors], self._rng.bit_generator.state))
        save(self, run, step)

    monkeypatch.setattr(Trainer, "save", noted)
    plain = list(go(small_session, small_config, seed=3))
    first = last_run(small_session)
    watched = list(go(small_session, small_config, seed=3, previews=[0, 5, 11]))
    second = last_run(small_session)
    assert [step for step, _ in second.previews.read("now").history] == [1, 2, 3, 4]
    assert [p.losses for p in watched] == [p.losses for p in plain]
    assert losses_of(second) == losses_of(first)
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))
    assert [step for step, *_ in drawn] == [2, 4, 2, 4]
    assert drawn[2:] == drawn[:2]
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
