"""A small data set in the layout of YouTube-VIS 2021: squares that move, by their boxes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RECIPE_TEXT", "write_dataset", "write_recipe"]

FRAMES = 4
SIZES = ((64, 96), (64, 64), (96, 64))
RECIPE_TEXT = """\
about = "as small as it gets"

[model]
backbone_sizes = [16, 16, 16, 16]
hidden_size = 64
feedforward_size = 32
encoder_layers = 1
decoder_layers = 2
num_queries = 4
frozen_norms = true

[temporal]
search_radius = 1
candidate_stride = 1
num_neighbors = 2

[matching]
num_points = 200

[data]
kind = "ytvis2021"
clip_length = 2
short_sides = [64]

[schedule]
steps = 6
batch_size = 4
decay_steps = [4]
precision = "no"
checkpoint_every = 3
keep = 0
workers = 0
"""


def write_dataset(root: Path, *, shift: float = 0.0) -> Path:
    """Write three videos of four frames; return the folder. ``shift`` moves the first box."""
    videos, annotations = [], []
    for number, (height, width) in enumerate(SIZES, start=1):
        folder = root / "train" / "JPEGImages" / f"video{number}"
        folder.mkdir(parents=True)
        rng = np.random.default_rng(number)
        frames = rng.integers(0, 70, (FRAMES, height, width, 3), np.uint8)
        names = [f"video{number}/{t:05d}.jpg" for t in range(FRAMES)]
        for n in range(number):
            boxes: list[Any] = []
            side, x, y = width // 4, int(rng.integers(0, width // 2)), 4 + 8 * n
            colour = tuple(int(c) for c in rng.integers(120, 255, 3))
            for t in range(FRAMES):
                cv2.rectangle(
                    frames[t], (x + 2 * t, y), (x + 2 * t + side - 1, y + side - 1), colour, -1
                )
                boxes.append([x + 2.0 * t, float(y), float(side), float(side)])
            boxes[-1] = None if n else boxes[-1]
            if number == 1:
                boxes[0][0] += shift
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "video_id": number,
                    "category_id": 1 + n % 2,
                    "bboxes": boxes,
                    "height": height,
                    "width": width,
                    "length": 1,
                    "iscrowd": 0,
                }
            )
        for t, name in enumerate(names):
            cv2.imwrite(str(root / "train" / "JPEGImages" / name), frames[t])
        videos.append(
            {
                "id": number,
                "height": height,
                "width": width,
                "length": FRAMES,
                "file_names": names,
            }
        )
    categories = [{"id": 1, "name": "square"}, {"id": 2, "name": "block"}]
    file = {"videos": videos, "annotations": annotations, "categories": categories}
    (root / "train" / "instances.json").write_text(json.dumps(file))
    return root


def write_recipe(path: Path, *changes: tuple[str, str]) -> Path:
    """Write a recipe for it; ``changes``: texts in the file, and what takes their place."""
    text = RECIPE_TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path
