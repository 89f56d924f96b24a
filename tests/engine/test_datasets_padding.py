"""Clips are brought to one size, and what was added teaches nothing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import torch

from dataset_clips import clips, same, tensors
from maskfree.config import (
    Config,
    MatchingConfig,
    ObjectiveConfig,
    PairwiseConfig,
    TemporalKNNConfig,
)
from maskfree.datasets.padding import FILL, pad_clips, padded_pixels, whole_size
from maskfree.lab import to_lab
from maskfree.losses import pairwise_loss, projection_loss, temporal_knn_loss
from maskfree.model.mask2former_video import VideoOutput
from maskfree.objective import Objective
from small_datasets import dataset

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("given", "expected"), [((1, 32), (32, 32)), ((33, 640), (64, 640))])
def test_sizes_are_the_next_multiples(given: tuple[int, int], expected: tuple[int, int]) -> None:
    assert whole_size(*given) == expected


def test_clips_are_padded_to_one_size_and_ignored_there(tmp_path: Path) -> None:
    data_set = dataset(tmp_path, masks=True)
    small = clips(data_set, short_sides=(32,)).clip(0)
    large = clips(data_set, short_sides=(96,)).clip(1)
    assert small.clip.rgb.shape[-2:] == (32, 64) and large.ignored is None
    padded, kept = pad_clips([small, large])
    assert same(kept, large)
    assert padded.clip.rgb.shape == (2, 3, 96, 160)
    torch.testing.assert_close(
        padded.clip.rgb, padded_pixels(small.clip.rgb, (96, 160)), rtol=0, atol=0
    )
    torch.testing.assert_close(padded.clip.lab, to_lab(padded.clip.rgb))
    assert padded.ignored is not None and small.ignored is not None
    assert padded.ignored[:, 8:].all() and padded.ignored[:, :, 16:].all()
    assert torch.equal(padded.ignored[:, :8, :16], small.ignored)
    for one, other in itertools.zip_longest(tensors(padded), tensors(small)):
        if one.ndim == 4 and one.shape[-1] == 40:
            assert torch.equal(one[..., :8, :16], other)
    assert (
        not padded.targets.box_masks[..., 8:, :].any() and not padded.targets.reach[..., 16:].any()
    )
    assert padded.targets.certain_background[:, 8:].all()
    assert padded.targets.radius[..., 16:].isinf().all()
    assert padded.hand is not None and not padded.hand[..., 16:].any()
    (larger,) = pad_clips([large], (128, 160))
    assert larger.ignored is not None and not larger.ignored[:, :24].any()


def test_sizes_that_cannot_be_padded_to(tmp_path: Path) -> None:
    clip = clips(dataset(tmp_path)).clip(0)
    for size in ((32, 96), (64, 100)):
        with pytest.raises(ValueError, match="size must be multiples of 32 and no smaller than"):
            pad_clips([clip], size)
    assert pad_clips([]) == []


def test_padding_is_what_the_network_takes_as_nothing() -> None:
    from maskfree.model import mask2former_video

    assert tuple(mask2former_video._MEAN) == FILL


# ---- in the objective


def test_padding_changes_no_loss(tmp_path: Path) -> None:
    clip = clips(dataset(tmp_path)).clip(0)
    (padded,) = pad_clips([clip], (96, 160))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 16, 24, generator=generator)
    grown = torch.randn(1, 2, 24, 40, generator=generator) * 9
    grown[..., :16, :24] = logits
    for each in (TemporalKNNConfig.released(), TemporalKNNConfig(normaliser="matches")):
        small = temporal_knn_loss(
            logits, clip.clip.lab, clip.targets.box_masks, config=each, ignored=clip.ignored
        )
        large = temporal_knn_loss(
            grown, padded.clip.lab, padded.targets.box_masks, config=each, ignored=padded.ignored
        )
        torch.testing.assert_close(small, large)
    for one, other in (
        (
            projection_loss(logits, clip.targets.box_masks, None, clip.ignored),
            projection_loss(grown, padded.targets.box_masks, None, padded.ignored),
        ),
        (
            pairwise_loss(
                logits,
                clip.targets.box_masks,
                clip.clip.lab,
                config=PairwiseConfig(),
                ignored=clip.ignored,
            ),
            pairwise_loss(
                grown,
                padded.targets.box_masks,
                padded.clip.lab,
                config=PairwiseConfig(),
                ignored=padded.ignored,
            ),
        ),
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("length", [1, 3])
def test_the_objective_takes_the_clips(tmp_path: Path, length: int) -> None:
    data_set = dataset(tmp_path, videos=2, length=length)
    clip = clips(data_set, clip_length=length).clip(0)
    config = Config(matching=MatchingConfig(mode="tube", num_points=64))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 4, length, 16, 24, generator=generator, requires_grad=True)
    classes = torch.randn(1, 4, 3, generator=generator)
    output = VideoOutput((classes,), (logits,))
    losses = Objective(config, None, seed=0)(output, clip, step=0, steps=2)
    total = sum(losses.values(), start=torch.zeros(()))
    total.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(total) and logits.grad is not None
    assert not logits.grad[..., 12:, :].any() and not logits.grad[..., 20:].any()


def test_an_oracle_learns_from_the_masks_of_the_clips(tmp_path: Path) -> None:
    """Logits that are the true masks cost less than any others, whatever stands in the padding."""
    clip = clips(dataset(tmp_path, masks=True)).clip(0)
    assert clip.hand is not None and clip.ignored is not None
    config = Config(
        objective=ObjectiveConfig(supervision="masks"),
        matching=MatchingConfig(mode="mask", num_points=64),
    )
    noise = torch.randn(1, 4, 2, 16, 24, generator=torch.Generator().manual_seed(0))
    found = {}
    for name, logits in (("true", 20 * clip.hand), ("wrong", -20 * clip.hand)):
        masks = noise.clone()
        masks[0, 2] = logits[0].where(~clip.ignored, noise[0, 2])
        output = VideoOutput((torch.zeros(1, 4, 3),), (masks,))
        losses = Objective(config, None, seed=0)(output, clip, step=0, steps=2)
        found[name] = float(sum(losses.values()) - losses["class"])
    assert 0 <= found["true"] < 0.5 < found["wrong"]
