"""Small data sets in their published layouts: a painted rectangle on noise, a box for each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from maskfree import rle
from maskfree.datasets.types import DataInstance, DataVideo, VideoDataset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEIGHT, WIDTH = 48, 80
OBJECT, GROUND = (220, 40, 30), (20, 60, 90)
XYWH = [16, 8, 24, 20]
"""The object's box in frame 0; it moves 2 pixels to the right a frame."""


def painted(frame: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A frame: RGB uint8 ``(H, W, 3)``."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = GROUND
    x, y, w, h = XYWH
    picture[y : y + h, x + 2 * frame : x + 2 * frame + w] = OBJECT
    return picture


def box_in(frame: int) -> list[int]:
    return [XYWH[0] + 2 * frame, *XYWH[1:]]


def run_lengths(frame: int) -> dict[str, Any]:
    """The object's mask as COCO's compressed RLE."""
    mask = (painted(frame) == OBJECT).all(-1)
    return {"size": [HEIGHT, WIDTH], "counts": rle.encode(mask[None])[0]}


def save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[:, :, ::-1])


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def ytvis(
    names: Sequence[str] = ("aa", "bb"), length: int = 3, *, boxes: bool = True, masks: bool = False
) -> dict[str, Any]:
    """The JSON of videos with one object each, as YouTube-VIS has it; category 4 of 2, 4, 9."""
    return {
        "info": {"description": "generated"},
        "videos": [
            {
                "id": n + 1,
                "height": HEIGHT,
                "width": WIDTH,
                "length": length,
                "file_names": [f"{name}/{t:05d}.png" for t in range(length)],
            }
            for n, name in enumerate(names)
        ],
        "categories": [
            {"id": number, "name": name} for number, name in ((9, "cat"), (2, "dog"), (4, "fish"))
        ],
        "annotations": [
            {
                "height": HEIGHT,
                "width": WIDTH,
                "id": 10 * (n + 1),
                "category_id": 4,
                "segmentations": [run_lengths(t) if masks else None for t in range(length)],
                "bboxes": [box_in(t) if boxes else None for t in range(length)],
                "iscrowd": 0,
                "video_id": n + 1,
            }
            for n in range(len(names))
        ],
    }


def save_frames(folder: Path, names: Sequence[str] = ("aa", "bb"), length: int = 3) -> None:
    for name in names:
        for frame in range(length):
            save(folder / name / f"{frame:05d}.png", painted(frame))


def coco(count: int = 2) -> dict[str, Any]:
    """The JSON of images with one object each, categories last, as COCO 2017 has it."""
    return {
        "info": {},
        "images": [
            {"id": 100 + n, "file_name": f"{n:012d}.png", "height": HEIGHT, "width": WIDTH}
            for n in range(count)
        ],
        "annotations": [
            {
                "id": 7 + n,
                "image_id": 100 + n,
                "category_id": 3,
                "bbox": box_in(n),
                "iscrowd": 0,
            }
            for n in range(count)
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    }


def scalabel(name: str, length: int = 3, *, label: dict[str, Any] | None = None) -> list[Any]:
    """The JSON of a video of one car, as BDD100K has it."""
    return [
        {
            "name": f"{name}-{t + 1:07d}.png",
            "videoName": name,
            "frameIndex": t,
            "labels": [
                {
                    "id": "00091079",
                    "category": "car",
                    "attributes": {"crowd": False, "occluded": False},
                    **({"box2d": box2d(t)} if label is None else label),
                }
            ],
        }
        for t in range(length)
    ]


def box2d(frame: int) -> dict[str, float]:
    x, y, w, h = box_in(frame)
    return {"x1": x, "y1": y, "x2": x + w - 1, "y2": y + h - 1}


def xyxy_in(frame: int) -> list[float]:
    x, y, w, h = box_in(frame)
    return [x, y, x + w, y + h]


def dataset(
    root: Path,
    videos: int = 4,
    length: int = 6,
    *,
    instances: Sequence[DataInstance] | None = None,
    masks: bool = False,
) -> VideoDataset:
    """A data set in memory, its pictures written below ``root``."""
    made = []
    for n in range(videos):
        files = tuple(f"{n:02d}/{t:05d}.png" for t in range(length))
        for t, file in enumerate(files):
            save(root / file, painted(t))
        boxes = np.array([xyxy_in(t) for t in range(length)], np.float32)
        segments = {t: run_lengths(t)["counts"] for t in range(length)} if masks else None
        own = (DataInstance(n + 1, 1, boxes, False, segments),) if instances is None else instances
        made.append(DataVideo(n + 1, f"{n:02d}", HEIGHT, WIDTH, files, tuple(own)))
    return VideoDataset("painted", root, ("dog", "fish"), (2, 4), made)
