"""Painted objects, and a network that knows them by their colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from maskfree.model.mask2former_video import VideoOutput
from maskfree.predict import predict_video
from maskfree.video import open_video
from stub_network import StubNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import Config
    from maskfree.types import BoxTracks, InstanceMasks

CPU = torch.device("cpu")
COLOURS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 0.0))


class ColourModel(StubNetwork):
    """Query q shows the cells of colour q; ``roll`` shifts the queries by one each clip."""

    def __init__(self, *, roll: bool = False) -> None:
        super().__init__()
        self.roll, self.calls, self.lengths = roll, 0, []  # type: ignore[var-annotated]

    def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
        small = nn.functional.avg_pool2d(rgb[0], 4)
        colours = torch.tensor(COLOURS)[:, None, :, None, None]
        distance = (small - colours).abs().amax(2)
        masks = 10 - 20 * distance.clamp(0, 1)
        shows = (masks > 5).flatten(1).any(1)
        classes = torch.stack([shows * 8.0 - 4, shows * 0.0], 1)
        shift = self.calls // 2 if self.roll else 0
        self.calls += 1
        self.lengths.append(len(rgb[0]))
        return VideoOutput((classes.roll(shift, 0)[None],), (masks.roll(shift, 0)[None],))


Place = tuple[int, int, int, int] | None


def paint(*paths: Sequence[Place], height: int = 64, width: int = 96) -> np.ndarray:
    """Frames with a rectangle of colour n at its place in each frame, later ones in front."""
    frames = np.zeros((len(paths[0]), height, width, 3), np.uint8)
    for n, path in enumerate(paths):
        for t, place in enumerate(path):
            if place is not None:
                x0, y0, x1, y1 = place
                frames[t, y0:y1, x0:x1] = np.array(COLOURS[n]) * 255
    return frames


def truth(path: Sequence[Place], frame: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    mask = np.zeros(size, bool)
    place = path[frame]
    if place is not None:
        mask[place[1] : place[3], place[0] : place[2]] = True
    return mask


def moving(x: int, y: int, dx: int, dy: int, count: int, size: int = 16) -> list[Place]:
    return [(x + dx * t, y + dy * t, x + dx * t + size, y + dy * t + size) for t in range(count)]


def boxes_of(path: Sequence[Place]) -> dict[int, Any]:
    """Keyframes on every frame; None only where the object goes out of sight."""
    boxes: dict[int, Any] = {}
    for t, place in enumerate(path):
        if place is not None or (t and path[t - 1] is not None):
            boxes[t] = None if place is None else tuple(map(float, place))
    return boxes


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def run(
    frames: Any,
    tracks: BoxTracks | None,
    config: Config,
    *,
    track_ids: Sequence[int] = (1, 2, 3, 4),
    model: nn.Module | None = None,
    span: tuple[int, int] | None = None,
) -> dict[int, InstanceMasks]:
    video = open_video(frames) if isinstance(frames, np.ndarray) else frames
    found = predict_video(
        video,
        tracks,
        model or ColourModel(),  # type: ignore[arg-type]
        config,
        track_ids=list(track_ids),
        device=CPU,
        frames=span,
    )
    results = list(found)
    assert [f for f, _ in results] == sorted({f for f, _ in results})
    return dict(results)


def mask_of(masks: InstanceMasks, track_id: int) -> np.ndarray:
    return np.asarray(masks.masks[masks.track_ids.index(track_id)])
