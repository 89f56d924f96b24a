from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from job import Job, run_job
from maskfree.errors import InputError
from maskfree.lab import GRID_STRIDE
from maskfree.model.mask2former_video import VideoOutput
from maskfree.sampling import ClipSampler
from maskfree.settings import override
from maskfree.trainer import Trainer
from maskfree.video import open_video
from maskfree.working import WorkingFrames
from oracle import (
    BACKGROUND,
    FIRST,
    OVERRIDES,
    UNKNOWN,
    MaskObjective,
    OracleTrainer,
    TruthSampler,
    cross_entropy,
    dice,
    train_on_masks,
    truth_labels,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.session import Session
    from maskfree.types import BoxTracks
    from napari_maskfree.sample_data import GeneratedClip

STEP = 40
"""Grey levels between two labels in frames painted by their labels."""


def sampler_of(
    kind: type[ClipSampler],
    frames: np.ndarray,
    tracks: BoxTracks,
    config: Config,
    scale: float = 1.0,
) -> Any:
    working = WorkingFrames(open_video(frames), scale, cache_bytes=2**26)
    rng = np.random.default_rng(0)
    return kind(working, tracks, None, sampling=config.sampling, augment=config.augment, rng=rng)


def truth_of(clip: GeneratedClip) -> dict[int, np.ndarray]:
    return dict(enumerate(clip.masks))


def test_labels_by_hand(make_tracks: Callable[..., BoxTracks]) -> None:
    box = {0: (0.0, 0.0, 1.0, 1.0)}
    tracks = make_tracks(box, box, num_frames=2, height=1, width=3)
    labels = truth_labels({1: np.array([[0, 2, 1]])}, tracks)
    assert labels.tolist() == [[[UNKNOWN] * 3], [[BACKGROUND, FIRST + 1, FIRST]]]


def test_too_many_tracks(make_tracks: Callable[..., BoxTracks]) -> None:
    tracks = make_tracks(*[{0: (0.0, 0.0, 1.0, 1.0)}] * 255)
    with pytest.raises(InputError, match="tells 254 tracks apart, got 255"):
        truth_labels({}, tracks)


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_masks_go_through_the_crop_zoom_and_flip_of_the_frames(
    small_clip: GeneratedClip,
    small_config: Config,
    settings_of: Callable[..., Config],
    scale: float,
) -> None:
    config = settings_of(small_config, "augment", colour_jitter=0.0)
    tracks = small_clip.boxes()
    labels = truth_labels(truth_of(small_clip), tracks)
    painted = np.repeat(STEP * labels[..., None], 3, -1)
    sampler = sampler_of(TruthSampler, painted, tracks, config, scale)
    sampler.labels = labels
    flipped = set()
    for _ in range(12):
        state = sampler.rng.bit_generator.state
        sample = sampler.draw()
        assert sample.labels.shape == sample.targets.box_masks.shape
        seen = sample.clip.rgb[:, 0].unfold(1, GRID_STRIDE, GRID_STRIDE)
        seen = seen.unfold(2, GRID_STRIDE, GRID_STRIDE).flatten(3) * 255 / STEP
        flat = seen.amax(-1) - seen.amin(-1) < 1e-3  # one label in the whole cell
        assert flat.float().mean() > 0.5
        painted_as = seen.mean(-1)[flat].round().long()
        for n, track in enumerate(sample.labels):
            assert torch.equal(track[flat] == 1, painted_as == FIRST + n)
            assert torch.equal(track[flat] == 0, painted_as == UNKNOWN)
            assert torch.equal(track[flat] == -1, (painted_as != FIRST + n) & (painted_as > 0))
        sampler.rng.bit_generator.state = state
        sampler._draw_frames()
        flipped.add(bool(sampler._draw_window(np.zeros((0, 1, 4)))[0, 0] < 0))
    assert flipped == {True, False}


def test_the_clips_are_those_of_the_boxes_where_every_frame_has_masks(
    small_clip: GeneratedClip, small_config: Config
) -> None:
    tracks = small_clip.boxes()
    boxes = sampler_of(ClipSampler, small_clip.frames, tracks, small_config)
    masks = sampler_of(TruthSampler, small_clip.frames, tracks, small_config)
    masks.labels = truth_labels(truth_of(small_clip), tracks)
    for _ in range(5):
        one, other = boxes.draw(), masks.draw()
        assert one.clip.frames == other.clip.frames
        assert torch.equal(one.clip.rgb, other.clip.rgb)
        assert torch.equal(one.targets.reach, other.targets.reach)


def test_the_oracle_is_prompted_with_the_boxes_that_the_run_is_trained_on(
    small_clip: GeneratedClip, small_config: Config
) -> None:
    tracks = small_clip.boxes(every=4)  # those between follow the picture
    made: Any = {"device": torch.device("cpu"), "seed": 0}
    mirrored = 0
    with open_video(small_clip.frames) as video:
        run = Trainer(video, tracks, small_config, **made)
        as_long = {"sampling.clip_length": small_config.sampling.clip_length}
        config = override(small_config, OVERRIDES | as_long)
        oracle = OracleTrainer(video, tracks, config, truth=truth_of(small_clip), **made)
        for _ in range(8):
            one, other = run._sampler.draw(), oracle._sampler.draw()
            assert one.clip.frames == other.clip.frames
            same = torch.equal(one.targets.reach, other.targets.reach)
            mirrored += not same
            reach = one.targets.reach if same else one.targets.reach.flip(-1)
            assert torch.equal(reach, other.targets.reach)
            assert torch.equal(one.targets.trust, other.targets.trust)
    assert 0 < mirrored < 8


def test_only_annotated_frames_are_drawn(small_clip: GeneratedClip, small_config: Config) -> None:
    tracks = small_clip.boxes()
    sampler = sampler_of(TruthSampler, small_clip.frames, tracks, small_config)
    sampler.labels = truth_labels({t: small_clip.masks[t] for t in (0, 4, 11)}, tracks)
    drawn = {t for _ in range(40) for t in sampler.draw().clip.frames}
    assert drawn == {0, 4, 11}


# the losses


def test_cross_entropy_and_dice_by_hand() -> None:
    logits = torch.tensor([0.0, 0.0, 100.0, 100.0]).view(1, 2, 1, 2)
    truth = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 2, 1, 2)
    asked = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 2)  # not the second frame
    assert cross_entropy(logits, truth, asked) == pytest.approx(np.log(2))
    assert dice(logits, truth, asked) == pytest.approx(1 - (2 * 0.5 + 1) / (1 + 1 + 1))


@pytest.fixture
def drawn(small_clip: GeneratedClip, small_config: Config) -> Any:
    tracks = small_clip.boxes()
    sampler = sampler_of(TruthSampler, small_clip.frames, tracks, small_config)
    sampler.labels = truth_labels(truth_of(small_clip), tracks)
    return sampler.draw()


def output_for(sample: Any, config: Config, layers: int = 2) -> VideoOutput:
    """Certain and right: query n is track n; two more queries are nothing."""
    masks = torch.full((4, *sample.labels.shape[1:]), -50.0)
    classes = torch.full((4, 3), -50.0)
    classes[2:, 2] = 50.0
    for n, labels in enumerate(sample.labels):
        masks[n][labels > 0] = 50.0
        classes[n, n if (labels > 0).any() else 2] = 50.0
    return VideoOutput((classes[None],) * layers, (masks[None],) * layers)


def test_right_masks_cost_nothing_and_wrong_ones_do(drawn: Any, small_config: Config) -> None:
    objective = MaskObjective(small_config, [0, 1], seed=0)
    right = objective(output_for(drawn, small_config), drawn, step=0, steps=1)
    assert set(right) == {"class", "cross-entropy", "dice"}
    assert sum(right.values()) < 0.01
    good = output_for(drawn, small_config)
    wrong = VideoOutput(good.class_logits, tuple(-m for m in good.mask_logits))
    losses = objective(wrong, drawn, step=0, steps=1)
    assert losses["cross-entropy"] > 100
    assert losses["dice"] > 1


def test_every_decoder_output_counts(
    drawn: Any, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    good = output_for(drawn, small_config)
    half = VideoOutput(good.class_logits, (-good.mask_logits[0], good.mask_logits[1]))
    both = MaskObjective(small_config, [0, 1], seed=0)(half, drawn, step=0, steps=1)
    assert both["dice"] > 1
    last = settings_of(small_config, "objective", deep_supervision=False)
    assert MaskObjective(last, [0, 1], seed=0)(half, drawn, step=0, steps=1)["dice"] < 0.01


def test_an_unannotated_frame_carries_no_loss(drawn: Any, small_config: Config) -> None:
    sample = dataclasses.replace(drawn, labels=drawn.labels.clone())
    sample.labels[:, 1] = 0
    masks = torch.zeros((1, 4, *drawn.labels.shape[1:]), requires_grad=True)
    output = VideoOutput((torch.zeros(1, 4, 3),), (masks,))
    objective = MaskObjective(small_config, [0, 1], seed=0)
    sum(objective(output, sample, step=0, steps=1).values()).backward()  # type: ignore[union-attr]
    assert masks.grad is not None
    assert masks.grad[0, :2, 0].abs().sum() > 0
    assert masks.grad[0, :, 1].abs().sum() == 0
    sample.labels[:] = 0
    assert set(objective(output, sample, step=0, steps=1)) == {"class"}


def test_beyond_its_reach_a_track_carries_no_loss(drawn: Any, small_config: Config) -> None:
    masks = torch.zeros((1, 4, *drawn.labels.shape[1:]), requires_grad=True)
    output = VideoOutput((torch.zeros(1, 4, 3),), (masks,))
    losses = MaskObjective(small_config, [0, 1], seed=0)(output, drawn, step=0, steps=1)
    (losses["cross-entropy"] + losses["dice"]).backward()
    assert masks.grad is not None
    reach = drawn.targets.reach
    assert 0 < reach.sum() < reach.numel()
    assert masks.grad[0, :2][~reach].abs().sum() == 0
    assert (masks.grad[0, :2][reach & (drawn.labels != 0)] != 0).all()


# the run


def test_the_oracle_learns(
    small_session: Session,
    small_clip: GeneratedClip,
    small_config: Config,
    settings_of: Callable[..., Config],
) -> None:
    config = settings_of(small_config, "optimiser", steps=40, learning_rate=3e-3)
    progress = list(train_on_masks(small_session, config, truth_of(small_clip), device="cpu"))
    assert [p.step for p in progress] == list(range(1, 41))
    totals = [p.total for p in progress]
    assert np.mean(totals[-5:]) < 0.7 * np.mean(totals[:5])
    run = small_session.latest_run()
    assert run is not None
    assert run.config.matching.mode == "bound"
    assert run.config.matching.unprompted == 0
    assert not run.config.augment.flip
    assert run.config.evidence.weight == 0
    assert not run.config.consensus.train
    assert not run.memory_path.exists()  # its masks are the network's own


def test_an_oracle_job(small_clip: GeneratedClip, small_config: Config, tmp_path: Path) -> None:
    small_clip.write(tmp_path / "made")
    for frame in (1, 2, 5):
        (tmp_path / "made" / "masks" / f"{frame:05d}.png").unlink()
    job = Job(tmp_path / "made", small_config, kind="oracle", device="cpu")
    result = run_job(job, tmp_path / "session")
    assert result.kind == "oracle"
    assert 0 <= result.j <= 1
