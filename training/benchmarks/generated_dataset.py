"""A small data set in a published layout, to try training on without a download.

Videos of two textured objects, a blob and a star, that move, turn and hide each other; in BDD100K
they are called car and pedestrian, in COCO every frame is a picture. The split for training has
boxes alone, the one to score on masks as well (of YouTube-VIS and OVIS).

usage: python training/benchmarks/generated_dataset.py OUT [--kind ytvis2019] [--train 12]
       [--valid 4] [--frames 12] [--height 128] [--width 192]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from maskfree import rle
from napari_maskfree.sample_data.generated import LABELS, generated_clip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from napari_maskfree.sample_data.generated import GeneratedClip

__all__ = ["KINDS", "main", "write_dataset"]

KINDS = ("ytvis2019", "ytvis2021", "ovis", "bdd100k", "coco")
QUALITY = 92
"""Of the JPEG files."""
BDD_NAMES = ("car", "pedestrian")
BOXES, PICTURES = "labels/box_track_20", "images/track"


def write_dataset(
    out: Path, kind: str, *, train: int, valid: int, frames: int, height: int, width: int
) -> None:
    """Write both splits; their videos are made from different seeds."""
    for split, first, count in (("train", 0, train), ("valid", train, valid)):
        clips = (generated_clip(frames, height, width, first + n) for n in range(count))
        if kind == "coco":
            _write_coco(out, split, clips)
        elif kind == "bdd100k":
            _write_bdd100k(out, split, clips)
        else:
            _write_videos(out, split, clips, ovis=kind == "ovis")


def _write_videos(out: Path, split: str, clips: Iterator[GeneratedClip], *, ovis: bool) -> None:
    """Write YouTube-VIS' layout, or OVIS' with its own places."""
    pictures = out / split / ("" if ovis else "JPEGImages")
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, clip in enumerate(clips, start=1):
        length, height, width = clip.masks.shape
        size = {"height": height, "width": width, "length": length}
        names = _write_frames(pictures, f"video{number:03d}", clip)
        videos.append({"id": number, "file_names": names, **size})
        for category, _ in enumerate(LABELS, start=1):
            visible = clip.masks == category
            if visible.any():
                own = {"id": len(annotations) + 1, "video_id": number, "category_id": category}
                annotations.append({**own, "iscrowd": 0, **_instance(visible, split == "valid")})
    about = {"categories": _categories(LABELS), "videos": videos, "annotations": annotations}
    _write(out / (f"annotations_{split}.json" if ovis else f"{split}/instances.json"), about)


def _instance(visible: np.ndarray, masks: bool) -> dict[str, Any]:
    """Return boxes, areas and masks of an instance that is ``visible``, bool ``(T, H, W)``."""
    found: dict[str, Any] = {
        "bboxes": [_box(mask) for mask in visible],
        "areas": [int(mask.sum()) or None for mask in visible],
    }
    if masks:
        size = list(visible.shape[1:])
        found["segmentations"] = [
            {"size": size, "counts": rle.encode(mask[None])[0]} if mask.any() else None
            for mask in visible
        ]
    return found


def _write_coco(out: Path, split: str, clips: Iterator[GeneratedClip]) -> None:
    split = "val" if split == "valid" else split
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, clip in enumerate(clips):
        names = _write_frames(out / f"{split}2017", f"{number:03d}", clip)
        for name, ids in zip(names, clip.masks, strict=True):
            place = len(images) + 1
            size = {"height": ids.shape[0], "width": ids.shape[1]}
            images.append({"id": place, "file_name": name, **size})
            for category, _ in enumerate(LABELS, start=1):
                box = _box(ids == category)
                if box is not None:
                    own = {"id": len(annotations) + 1, "image_id": place, "iscrowd": 0}
                    own["area"] = int((ids == category).sum())
                    annotations.append({**own, "category_id": category, "bbox": box})
    about = {"categories": _categories(LABELS), "images": images, "annotations": annotations}
    _write(out / f"annotations/instances_{split}2017.json", about)


def _write_bdd100k(out: Path, split: str, clips: Iterator[GeneratedClip]) -> None:
    split = "val" if split == "valid" else split
    for number, clip in enumerate(clips):
        name = f"video{number:03d}"
        frames = []
        files = _write_frames(out / PICTURES / split, name, clip)
        for frame, (file, ids) in enumerate(zip(files, clip.masks, strict=True)):
            labels = []
            for category, label in enumerate(BDD_NAMES, start=1):
                box = _box(ids == category)
                if box is not None:
                    x, y, w, h = box  # its right and lower edges are those of the last pixel
                    edges = {"x1": x, "y1": y, "x2": x + w - 1, "y2": y + h - 1}
                    attributes = {"crowd": False, "occluded": False, "truncated": False}
                    own = {"id": str(category), "category": label, "attributes": attributes}
                    labels.append({**own, "box2d": edges})
            file_name = file.rpartition("/")[2]
            about = {"name": file_name, "videoName": name, "frameIndex": frame}
            frames.append({**about, "labels": labels})
        _write(out / BOXES / split / f"{name}.json", frames)


def _write_frames(folder: Path, name: str, clip: GeneratedClip) -> list[str]:
    """Write a video's pictures into a folder of its name; return theirs, with that folder's."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    names = [f"{name}/{name}-{frame:07d}.jpg" for frame in range(1, len(clip.frames) + 1)]
    for file, frame in zip(names, clip.frames, strict=True):
        Image.fromarray(frame).save(folder / file, quality=QUALITY)
    return names


def _categories(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for number, name in enumerate(names, start=1)]


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


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
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0])
    parser.add_argument("--train", type=int, default=12)
    parser.add_argument("--valid", type=int, default=4)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=192)
    args = vars(parser.parse_args(arguments))
    write_dataset(args.pop("out"), args.pop("kind"), **args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
