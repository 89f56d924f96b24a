"""Training clips by number, painted: what a data set would give, without one on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from maskfree.config import (
    DataConfig,
    MatchingConfig,
    ModelConfig,
    ObjectiveConfig,
    RecipeConfig,
    ScheduleConfig,
    TemporalKNNConfig,
)
from maskfree.lab import to_lab
from maskfree.sampling import TrainingClip
from maskfree.targets import box_targets
from maskfree.types import Clip

if TYPE_CHECKING:
    from maskfree.datasets.types import Skipped

__all__ = ["CLASSES", "LENGTH", "RECIPE", "PaintedClips"]

LENGTH = 2
CLASSES = ["disc", "square"]
RECIPE = RecipeConfig(
    name="tiny",
    model=ModelConfig(
        backbone_sizes=(16, 16, 16, 16),
        hidden_size=64,
        feedforward_size=32,
        encoder_layers=1,
        decoder_layers=2,
        num_queries=4,
        frozen_norms=True,
    ),
    temporal=TemporalKNNConfig(search_radius=1, num_neighbors=2, weight=0.5),
    objective=ObjectiveConfig(outside_weight=0.0, temporal_mean=False),
    matching=MatchingConfig(mode="tube", num_points=200),
    data=DataConfig(clip_length=LENGTH),
    schedule=ScheduleConfig(
        steps=4,
        batch_size=4,
        learning_rate=1e-4,
        backbone_multiplier=0.5,
        decay_steps=(3,),
        clip_norm=0.5,
        precision="no",
        checkpoint_every=2,
        keep=0,
        workers=0,
    ),
)


class PaintedClips:
    """Clips of one to three moving rectangles on noise; every fifth has none.

    Their sizes differ from number to number, as those of a data set's videos do.
    """

    def draw(self, number: int) -> tuple[TrainingClip, tuple[Skipped, ...]]:
        rng = np.random.default_rng(number)
        height, width = 32 * int(rng.integers(1, 3)), 32 * int(rng.integers(1, 3))
        count = 0 if number % 5 == 4 else int(rng.integers(1, 4))
        frames = rng.uniform(0, 0.3, (LENGTH, 3, height, width)).astype(np.float32)
        boxes = np.full((count, LENGTH, 4), np.nan)
        for n in range(count):
            x, y = rng.uniform(0, width / 2), rng.uniform(0, height / 2)
            colour = rng.uniform(0.4, 1, 3)
            for t in range(LENGTH):
                box = [x + 3 * t, y + t, x + 3 * t + width / 4, y + t + height / 4]
                boxes[n, t] = np.array(box) / 4
                x0, y0, x1, y1 = map(round, box)
                frames[t, :, y0:y1, x0:x1] = colour[:, None, None]
        rgb = torch.from_numpy(frames)
        grid = height // 4, width // 4
        config = RECIPE.config().sampling
        targets = box_targets(boxes, np.zeros((count, LENGTH)), *grid, config=config)
        labels = torch.zeros(count, LENGTH, *grid)
        classes = torch.from_numpy(rng.integers(0, len(CLASSES), count))
        clip = Clip(rgb, to_lab(rgb), tuple(range(LENGTH)))
        return TrainingClip(clip, targets, labels, classes=classes), ()
