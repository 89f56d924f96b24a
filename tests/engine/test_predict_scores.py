from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from maskfree.model.mask2former_video import VideoOutput
from painted_video import ColourModel, moving, paint, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.types import BoxTracks


def test_a_score_is_stability_times_the_fit_of_the_box(
    small_config: Config, make_tracks: Callable[..., BoxTracks], settings_of: Callable[..., Config]
) -> None:
    class Step(ColourModel):
        """8 in the left quarter of the box, 1 beside it, -8 from its middle on."""

        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
            masks = torch.full((1, len(rgb[0]), 16, 24), -8.0)
            masks[..., :8], masks[..., :6] = 1.0, 8.0
            if float(rgb[0, 0, 0, 0, 0]) > 0.5:
                masks = masks.flip(-1)
            return VideoOutput((torch.zeros(1, 1, 2),), (masks[None],))

    frames = np.zeros((1, 64, 96, 3), np.uint8)
    frames[:, :, 48:] = 255  # the mirrored image is bright at the left
    tracks = make_tracks({0: (16.0, 16.0, 48.0, 48.0)}, num_frames=1)
    grid = Step()(torch.zeros(1, 1, 3, 64, 96)).mask_logits[0][0]
    full = nn.functional.interpolate(grid, size=(64, 96), mode="bilinear")[..., 16:48, 16:48]
    for margin in (0.0, 1.5, 20.0):
        config = settings_of(small_config, "predict", stability_margin=margin)
        masks = run(frames, tracks, config, model=Step(), track_ids=[1])[0]
        rows, columns = np.nonzero(masks.masks[0])
        assert (rows.min(), rows.max(), columns.min()) == (16, 47, 16)
        fit = (columns.max() + 1 - 16) / 32
        stable = float((full > margin).sum() / (full > -margin).sum())
        assert masks.scores[0] == pytest.approx(stable * fit, abs=0.03)


def test_without_boxes_a_score_is_the_queries_times_stability(
    small_config: Config, settings_of: Callable[..., Config]
) -> None:
    grid = torch.full((1, 1, 16, 24), -10.0)
    grid[0, 0, 5:11, 5:11] = 10
    full = nn.functional.interpolate(grid, size=(64, 96), mode="bilinear")
    for margin, threshold in ((0.0, 0.5), (4.0, 0.5), (9.0, 0.5), (4.0, 0.99)):
        config = settings_of(
            small_config, "predict", stability_margin=margin, mask_threshold=threshold
        )
        masks = run(paint(moving(20, 20, 0, 0, 1, size=24)), None, config, track_ids=())[0]
        floor = math.log(threshold / (1 - threshold))  # the margin is around the mask's own edge
        stable = float((full > floor + margin).sum() / (full > floor - margin).sum())
        assert masks.scores[0] == pytest.approx(0.982 * stable, abs=0.02)
