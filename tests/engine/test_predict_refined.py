from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from maskfree.belief import Belief
from maskfree.errors import InputError
from maskfree.first_masks import settle_video
from maskfree.model.mask2former_video import VideoOutput
from maskfree.predict import predict_video
from maskfree.prepare import prepare
from maskfree.video import open_video
from painted_video import CPU, ColourModel, Place, boxes_of, iou, mask_of, moving, paint, truth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.config import Config
    from maskfree.consensus_memory import ConsensusMemory
    from maskfree.types import BoxTracks, InstanceMasks


# refined by the consensus


def settled(frames: np.ndarray, tracks: BoxTracks, config: Config) -> ConsensusMemory:
    found = prepare(open_video(frames), tracks, config)
    found.consensus.fit()
    return found.consensus.memory([t.id for t in tracks.tracks])


class Blurred(ColourModel):
    """A network that is only half sure, and only of the middle of a coloured cell's place."""

    def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
        output = super().forward(rgb, prompts)
        masks = nn.functional.avg_pool2d(output.mask_logits[0][0], 5, 1, 2)
        return VideoOutput(output.class_logits, (masks[None] / 5,))


class Blind(ColourModel):
    """A network that sees nothing anywhere."""

    def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
        output = super().forward(rgb, prompts)
        return VideoOutput(output.class_logits, (torch.full_like(output.mask_logits[0], -8.0),))


def refined(
    frames: np.ndarray,
    tracks: BoxTracks,
    config: Config,
    memory: ConsensusMemory | None,
    track_ids: Sequence[int] = (1, 2),
    model: nn.Module | None = None,
) -> dict[int, InstanceMasks]:
    found = predict_video(
        open_video(frames),
        tracks,
        model or Blurred(),  # type: ignore[arg-type]
        config,
        track_ids=list(track_ids),
        device=CPU,
        memory=memory,
    )
    return dict(found)


@pytest.fixture
def scene(make_tracks: Callable[..., BoxTracks]) -> tuple[Any, ...]:
    """Two painted objects on noise, their frames and boxes of four pixels more."""
    red, green = moving(6, 8, 4, 0, 6), moving(70, 40, -4, 0, 6)
    noise = np.random.default_rng(0).integers(0, 60, (6, 64, 96, 3)).astype(np.uint8)
    frames = np.maximum(paint(red, green), noise)
    boxes: list[dict[int, Any]] = []
    for path in (red, green):
        wide = [p and (p[0] - 4, p[1] - 4, p[2] + 4, p[3] + 4) for p in path]
        boxes.append(boxes_of(wide))
    return frames, make_tracks(*boxes, num_frames=6), (red, green)


def mean_iou(results: dict[int, InstanceMasks], paths: Sequence[Sequence[Place]]) -> float:
    scores = [
        iou(mask_of(masks, i + 1), truth(path, t))
        for t, masks in results.items()
        for i, path in enumerate(paths)
    ]
    return float(np.mean(scores))


def test_the_consensus_refines_the_masks(small_config: Config, scene: tuple[Any, ...]) -> None:
    frames, tracks, paths = scene
    memory = settled(frames, tracks, small_config)
    alone = refined(frames, tracks, small_config, None)
    better = refined(frames, tracks, small_config, memory)
    assert mean_iou(better, paths) > mean_iou(alone, paths) + 0.05
    assert mean_iou(better, paths) > 0.9
    for masks in better.values():
        assert masks.track_ids == (1, 2)
        assert not masks.masks.all(0).any()


def test_the_network_has_its_say_in_the_refinement(
    small_config: Config, scene: tuple[Any, ...], settings_of: Callable[..., Config]
) -> None:
    frames, tracks, _ = scene
    memory = settled(frames, tracks, small_config)
    for weight, sees in ((0.0, True), (5.0, False)):
        config = settings_of(small_config, "consensus", network=weight)
        found = refined(frames, tracks, config, memory, model=Blind())
        assert all(bool(masks.track_ids) is sees for masks in found.values())
    deaf = settings_of(small_config, "consensus", network=0.0)
    unheard = refined(frames, tracks, deaf, memory)
    # without the network it is what a run starts from
    start = dict(settle_video(open_video(frames), tracks, deaf))
    for t, masks in unheard.items():
        assert start[t].track_ids == masks.track_ids
        assert (start[t].masks != masks.masks).mean() < 2e-3  # colours in half precision


def test_a_track_that_the_run_did_not_know_is_the_networks_alone(
    small_config: Config, scene: tuple[Any, ...]
) -> None:
    frames, tracks, _ = scene
    memory = settled(frames, tracks, small_config)
    half = dataclasses.replace(memory, colours={1: memory.colours[1]})
    alone = refined(frames, tracks, small_config, None)
    both = refined(frames, tracks, small_config, memory)
    mixed = refined(frames, tracks, small_config, half)
    for t in range(6):
        np.testing.assert_array_equal(mask_of(mixed[t], 1), mask_of(both[t], 1))
        np.testing.assert_array_equal(mask_of(mixed[t], 2), mask_of(alone[t], 2))


def test_a_memory_of_a_video_of_another_length_is_left_alone(
    small_config: Config, scene: tuple[Any, ...]
) -> None:
    frames, tracks, _ = scene
    memory = settled(frames, tracks, small_config)
    assert memory.evidence is not None
    other = dataclasses.replace(memory, evidence=Belief.of(np.asarray(memory.evidence)[:5]))
    alone = refined(frames, tracks, small_config, None)
    found = refined(frames, tracks, small_config, other)
    for t in range(6):
        np.testing.assert_array_equal(found[t].masks, alone[t].masks)


def test_masks_before_any_training(
    small_config: Config, scene: tuple[Any, ...], make_tracks: Callable[..., BoxTracks]
) -> None:
    frames, tracks, paths = scene
    results = dict(settle_video(open_video(frames), tracks, small_config))
    assert list(results) == list(range(6))
    assert mean_iou(results, paths) > 0.85
    for masks in results.values():
        assert (masks.masks.dtype, masks.masks.shape) == (np.dtype(bool), (2, 64, 96))
        assert all(0 < score <= 1 for score in masks.scores)
    with pytest.raises(InputError, match="There is no box to learn from"):
        list(settle_video(open_video(frames), make_tracks({}, num_frames=6), small_config))


def test_before_any_training_too_an_absent_track_has_no_mask(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    red, green = moving(4, 8, 4, 0, 4), moving(60, 40, 0, 0, 4)
    green[2] = None
    frames = paint(red, green)
    tracks = make_tracks(boxes_of(red), boxes_of(green), num_frames=4)
    ids = [m.track_ids for _, m in settle_video(open_video(frames), tracks, small_config)]
    assert ids == [(1, 2), (1, 2), (1,), (1, 2)]
