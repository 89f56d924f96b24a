"""Videos of squares that walk, in YouTube-VIS's layout, and a small network for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from maskfree import rle
from maskfree.model.build import build_model
from maskfree.model.checkpoint import save_model

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.model.mask2former_video import Mask2FormerVideo

SIZE, FRAMES, VIDEOS = (40, 64), 3, 3
CLASSES = {"cat": 4, "dog": 9}
SMALL = ("--set", "inference.short_side=32", "inference.long_side=64")


def small_model(config: Config) -> Mask2FormerVideo:
    """Return a network of random weights that differ from one query to the next."""
    torch.manual_seed(0)
    made = build_model(config.model, num_classes=2, num_queries=4)
    for parameter in made.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return made


def saved(path: Path, model: Mask2FormerVideo, config: Config) -> Path:
    """Write the network as training does; return ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, model, config, classes=list(CLASSES), track_ids=[])
    return path


def write_squares(root: Path) -> Path:
    """Write the data set with its masks, the last video without any; return ``root``."""
    rng = np.random.default_rng(0)
    videos, annotations = [], []
    for number in range(VIDEOS):
        folder = root / f"valid/JPEGImages/v{number}"
        folder.mkdir(parents=True)
        names = [f"v{number}/{frame:05d}.jpg" for frame in range(FRAMES)]
        video: dict[str, Any] = {"id": number + 1, "file_names": names, "length": FRAMES}
        videos.append({**video, "height": SIZE[0], "width": SIZE[1]})
        masks = np.zeros((FRAMES, *SIZE), bool)
        for frame, name in enumerate(names):
            masks[frame, 8 : 8 + 16, 4 + 5 * frame : 24 + 5 * frame] = True
            picture = rng.integers(0, 80, (*SIZE, 3), np.uint8)
            picture[masks[frame]] += 120
            Image.fromarray(picture).save(folder.parent / name)
        if number < VIDEOS - 1:
            runs = [{"size": list(SIZE), "counts": counts} for counts in rle.encode(masks)]
            boxes = [[4.0 + 5 * frame, 8.0, 20.0, 16.0] for frame in range(FRAMES)]
            owner = {"id": number + 1, "video_id": number + 1, "category_id": 4 + 5 * number}
            annotations.append({**owner, "iscrowd": 0, "segmentations": runs, "bboxes": boxes})
    content = {
        "videos": videos,
        "categories": [{"id": i, "name": name} for name, i in CLASSES.items()],
        "annotations": annotations,
    }
    (root / "valid/instances.json").write_text(json.dumps(content), encoding="utf-8")
    return root
