"""A small data set in YouTube-VIS' layout, to try training on without a download.

Videos of two textured objects, a blob and a star, that move, turn and hide each other. The split
``train`` has boxes alone; ``valid`` has masks as well, to score on.

usage: python training/benchmarks/generated_dataset.py OUT [--train 12] [--valid 4]
       [--frames 12] [--height 128] [--width 192]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from maskfree import rle
from napari_maskfree.sample_data.generated import LABELS, GeneratedClip, generated_clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["main", "write_dataset"]

QUALITY = 92
"""Of the JPEG files."""


def write_dataset(
    out: Path, *, train: int, valid: int, frames: int, height: int, width: int
) -> None:
    """Write both splits; their videos are made from different seeds."""
    seed = 0
    for split, count in (("train", train), ("valid", valid)):
        videos, annotations = [], []
        for number in range(count):
            clip = generated_clip(frames, height, width, seed)
            seed += 1
            videos.append(_write_video(out / split, clip, number))
            for track, _ in enumerate(LABELS, start=1):
                visible = clip.masks == track
                if visible.any():
                    place = len(annotations) + 1
                    annotations.append(_annotation(visible, place, number + 1, track, split))
        about = {
            "categories": [{"id": n, "name": name} for n, name in enumerate(LABELS, start=1)],
            "videos": videos,
            "annotations": annotations,
        }
        (out / split / "instances.json").write_text(json.dumps(about), encoding="utf-8")


def _write_video(folder: Path, clip: GeneratedClip, number: int) -> dict[str, Any]:
    name = f"video{number:03d}"
    place = folder / "JPEGImages" / name
    place.mkdir(parents=True, exist_ok=True)
    names = [f"{name}/{frame:05d}.jpg" for frame in range(len(clip.frames))]
    for file, frame in zip(names, clip.frames, strict=True):
        Image.fromarray(frame).save(folder / "JPEGImages" / file, quality=QUALITY)
    length, height, width = clip.masks.shape
    size = {"height": height, "width": width, "length": length}
    return {"id": number + 1, "file_names": names, **size}


def _annotation(
    visible: np.ndarray, place: int, video: int, category: int, split: str
) -> dict[str, Any]:
    """Return an annotation of an instance that is ``visible``, bool ``(T, H, W)``."""
    found = {
        "id": place,
        "video_id": video,
        "category_id": category,
        "iscrowd": 0,
        "bboxes": [_box(mask) for mask in visible],
        "areas": [int(mask.sum()) or None for mask in visible],
    }
    if split == "valid":
        height, width = visible.shape[1:]
        found["segmentations"] = [
            {"size": [height, width], "counts": rle.encode(mask[None])[0]} if mask.any() else None
            for mask in visible
        ]
    return found


def _box(mask: np.ndarray) -> list[float] | None:
    """Return the box x, y, width, height of a mask; None where it is empty."""
    if not mask.any():
        return None
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    x, y = float(columns[0]), float(rows[0])
    return [x, y, float(columns[-1] + 1 - x), float(rows[-1] + 1 - y)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--train", type=int, default=12)
    parser.add_argument("--valid", type=int, default=4)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=192)
    args = vars(parser.parse_args(arguments))
    write_dataset(args.pop("out"), **args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
