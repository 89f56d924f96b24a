"""Training clips: which frames, which window of them, and the changes made to them."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from maskfree.belief import SURE
from maskfree.colour_jitter import jittered
from maskfree.contrast import lab_stretch
from maskfree.lab import GRID_STRIDE, to_lab
from maskfree.loose_tube import loose_tube
from maskfree.targets import BoxTargets, box_targets
from maskfree.types import Clip

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from maskfree.belief import Belief
    from maskfree.config import AugmentConfig, SamplingConfig
    from maskfree.consensus import Consensus
    from maskfree.hand_pixels import HandPixels
    from maskfree.ignore_masks import IgnoreMasks
    from maskfree.types import BoxTracks
    from maskfree.working import WorkingFrames

__all__ = ["ClipSampler", "TrainingClip", "padded_size"]

_MULTIPLE = 32


def padded_size(height: float, width: float) -> tuple[int, int]:
    """Return the next multiples of 32, at least one each; 8 pixels less are near enough."""
    return (
        max(1, math.ceil(height / _MULTIPLE - 0.25)) * _MULTIPLE,
        max(1, math.ceil(width / _MULTIPLE - 0.25)) * _MULTIPLE,
    )


@dataclasses.dataclass(frozen=True)
class TrainingClip:
    """A clip with everything that the objective needs.

    ``targets`` covers all N annotated tracks in their order; ``labels``: float
    ``(N, T, H4, W4)``, what is believed of each cell without the network's say, from -1 (certainly
    not this instance) to 1 (certainly this instance), 0 where nothing is known; ``hand``: the same
    of what a person said, None where no frame of the video was corrected; ``ignored``: bool
    ``(T, H4, W4)``, the cells that an ignore region touches, None where there is none: nothing is
    known there (both are 0), and no loss looks there; ``classes``: long ``(N,)``, the instances'
    classes, None where they are the same in every clip and the objective knows them.
    """

    clip: Clip
    targets: BoxTargets
    labels: torch.Tensor
    hand: torch.Tensor | None = None
    ignored: torch.Tensor | None = None
    classes: torch.Tensor | None = None

    def to(self, device: torch.device) -> TrainingClip:
        """Move every tensor to ``device``."""
        clip = Clip(self.clip.rgb.to(device), self.clip.lab.to(device), self.clip.frames)
        hand = None if self.hand is None else self.hand.to(device)
        ignored = None if self.ignored is None else self.ignored.to(device)
        classes = None if self.classes is None else self.classes.to(device)
        return TrainingClip(
            clip, self.targets.to(device), self.labels.to(device), hand, ignored, classes
        )


class ClipSampler:
    """Draws training clips from one annotated video.

    Parameters
    ----------
    frames, tracks
        The video at its working scale, and its boxes (in the video's own pixels).
    evidence
        ``(T, h, w)`` for whole frames, see :mod:`maskfree.evidence`, or None.
    consensus
        Where the labels come from; None: from the evidence alone.
    rng
        Source of all randomness: the same seed draws the same clips.
    tube
        Boxes and slack, see `loose_tube`, where they are known better.
    hand, hand_share
        What a person said of single pixels, and the part of the clips that hold some of it.
    ignore, seen
        Which pixels are neither object nor background, and ``frames`` with those painted over: the
        losses' colours are taken from there.
    """

    def __init__(
        self,
        frames: WorkingFrames,
        tracks: BoxTracks,
        evidence: Belief | None,
        consensus: Consensus | None = None,
        *,
        sampling: SamplingConfig,
        augment: AugmentConfig,
        rng: np.random.Generator,
        tube: tuple[np.ndarray, np.ndarray] | None = None,
        hand: HandPixels | None = None,
        hand_share: float = 0.0,
        ignore: IgnoreMasks | None = None,
        seen: WorkingFrames | None = None,
    ) -> None:
        self.frames, self.tracks = frames, tracks
        self._ignore, self._seen = ignore or None, seen or frames
        self.hand, self._hand_share = hand or None, hand_share
        self.evidence, self.consensus = evidence, consensus
        self.sampling, self.augment, self.rng = sampling, augment, rng
        keyframes = {k.frame for t in tracks.tracks for k in t.keyframes if not k.outside}
        boxes, self._slack = tube or loose_tube(tracks, range(len(frames)), config=sampling)
        self._boxes = frames.to_working(boxes)
        shrink = min(1.0, math.sqrt(sampling.frame_area / (frames.height * frames.width)))
        self.size = padded_size(frames.height * shrink, frames.width * shrink)
        present = np.isfinite(boxes).all(-1).any(0)
        self._keyframes = np.array(sorted(k for k in keyframes if present[k]))
        self._present = np.flatnonzero(present)
        self._stretch = lab_stretch(self._seen, config=sampling)
        self._recurring = not augment.scale_jitter
        """Whether a window can be drawn again: then it lies on the grid, for matches to be kept."""

    def draw(self) -> TrainingClip:
        """Return the next clip."""
        indices = self._draw_frames()
        boxes, slack = self._boxes[:, indices], self._slack[:, indices]
        matrix = self._draw_window(boxes)
        clean = self._window(indices, matrix)
        rgb = self._jitter_colour(clean)
        height, width = self.size
        grid = (height // GRID_STRIDE, width // GRID_STRIDE)
        cells = _map_boxes(boxes, matrix) / GRID_STRIDE
        targets = box_targets(cells, slack, *grid, config=self.sampling)
        labels, shape = self._labels(indices, matrix, targets), targets.box_masks.shape
        hand = self._hand_labels(self.hand, indices, matrix, shape) if self.hand else None
        ignored = self._ignored(self._ignore, indices, matrix, shape) if self._ignore else None
        if ignored is not None:
            clean = self._window(indices, matrix, self._seen)
            labels = labels.masked_fill(ignored, 0)
            hand = None if hand is None else hand.masked_fill(ignored, 0)
        clip = Clip(rgb, self._lab(clean, matrix), tuple(indices))
        return TrainingClip(clip, targets, labels, hand, ignored)

    def pictures(self, count: int, seed: int) -> Generator[torch.Tensor, None, None]:
        """Yield what ``count`` clips look like, float ``(T, 3, H, W)``; drawing goes on as before.

        The same ``seed`` yields the same clips.
        """
        own, self.rng = self.rng, np.random.default_rng(seed)
        try:
            for _ in range(count):
                indices = self._draw_frames()
                matrix = self._draw_window(self._boxes[:, indices])
                yield self._jitter_colour(self._window(indices, matrix))
        finally:
            self.rng = own

    def _window(
        self, indices: list[int], matrix: np.ndarray, frames: WorkingFrames | None = None
    ) -> torch.Tensor:
        """Return what the frames show through a window: float ``(T, 3, H, W)``."""
        height, width = self.size
        frames = self.frames if frames is None else frames
        mirrored = self._mirrored_after(matrix)
        if mirrored:
            matrix = _mirror(width) @ np.vstack([matrix, [0, 0, 1]])
        images = [
            cv2.warpAffine(
                frames[t],
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR,  # clips are never smaller than their frames
                borderMode=cv2.BORDER_REPLICATE,
            )
            for t in indices
        ]
        clip = np.stack(images)[:, :, ::-1] if mirrored else np.stack(images)
        return torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 3, 1, 2).float() / 255

    def _mirrored_after(self, matrix: np.ndarray) -> bool:
        """Whether a window is mirrored once it is made: it is then to the bit the other's image."""
        return self._recurring and bool(matrix[0, 0] < 0)

    def _lab(self, rgb: torch.Tensor, matrix: np.ndarray) -> torch.Tensor:
        """Return Lab for the losses, ``(T, 3, H4, W4)``."""
        if self._mirrored_after(matrix):
            return to_lab(rgb.flip(-1)).flip(-1) * self._stretch
        return to_lab(rgb) * self._stretch

    def _draw_frames(self) -> list[int]:
        """T frames around a frame with boxes; a keyframe half of the time, or a corrected one.

        In the video's order, unless they are to be shuffled.
        """
        pool = self._present if self.rng.random() < 0.5 else self._keyframes
        if self.hand and self.rng.random() < self._hand_share:
            corrected = np.intersect1d(self.hand.frames(), self._present)
            pool = corrected if len(corrected) else pool
        anchor = int(self.rng.choice(pool))
        length, total = self.sampling.clip_length, len(self.frames)
        gaps = self.rng.integers(1, self.sampling.max_gap + 1, length - 1)
        offsets = np.concatenate([[0], np.cumsum(gaps)])
        start = anchor - offsets[self.rng.integers(length)]
        start = int(np.clip(start, 0, max(0, total - 1 - offsets[-1])))
        frames = [int(min(start + o, total - 1)) for o in offsets]
        return self.rng.permutation(frames).tolist() if self.sampling.shuffle else frames

    def _draw_window(self, boxes: np.ndarray) -> np.ndarray:
        """Affine ``(2, 3)`` map from working pixels to the clip's pixels: zoom, crop, mirror."""
        height, width = self.size
        fit = max(height / self.frames.height, width / self.frames.width)
        jitter = self.augment.scale_jitter
        zoom = max(1.0, fit) * (1 + self.rng.uniform(0, jitter) * 2)
        room_x = zoom * self.frames.width - width
        room_y = zoom * self.frames.height - height
        shift_x, shift_y = self._draw_shift(boxes, zoom, room_x, room_y)
        if self._recurring:
            shift_x, shift_y = _whole_cells(shift_x, room_x), _whole_cells(shift_y, room_y)
        matrix = np.array([[zoom, 0, -shift_x], [0, zoom, -shift_y]])
        mirrored = self.rng.random() < 0.5  # drawn in any case: the other draws stay the same
        if self.augment.flip and mirrored:
            matrix = _mirror(width) @ np.vstack([matrix, [0, 0, 1]])
        return matrix

    def _draw_shift(
        self, boxes: np.ndarray, zoom: float, room_x: float, room_y: float
    ) -> tuple[float, float]:
        """Place the window so that it holds the centre of a box that is drawn at random."""
        height, width = self.size
        present = boxes[np.isfinite(boxes).all(-1)]
        if not len(present):
            return self.rng.uniform(0, max(room_x, 0)), self.rng.uniform(0, max(room_y, 0))
        x0, y0, x1, y1 = present[self.rng.integers(len(present))] * zoom
        x = self._interval(x0, x1, width, room_x)
        y = self._interval(y0, y1, height, room_y)
        return x, y

    def _interval(self, low: float, high: float, size: int, room: float) -> float:
        """Draw a window start in [0, room], with [low, high) inside it where it fits."""
        first, last = min(high - size, low), max(high - size, low)
        if high - low >= size:
            first, last = low, high - size
        first, last = np.clip([first, last], 0, max(room, 0))
        return float(self.rng.uniform(first, max(first, last)))

    def _jitter_colour(self, rgb: torch.Tensor) -> torch.Tensor:
        """Change brightness, contrast and saturation, the same way in every frame."""
        return jittered(rgb, self.augment.colour_jitter, self.rng)

    def _labels(self, indices: list[int], matrix: np.ndarray, targets: BoxTargets) -> torch.Tensor:
        """Labels ``(N, T, H4, W4)`` of a clip; ``matrix (2, 3)``: working pixels to the clip's."""
        shape = targets.box_masks.shape
        if self.consensus is not None:
            return self._consensus_labels(self.consensus, indices, matrix, shape)
        if self.evidence is None:
            return torch.zeros(shape)
        seen = self._window_evidence(self.evidence, indices, matrix, (shape[2], shape[3]))
        # an object in two instances' reach could be either
        mine = (targets.reach.sum(0) <= 1) & (targets.box_masks > 0)
        return torch.where(mine, seen, seen.clamp_max(0))

    def _consensus_labels(
        self, consensus: Consensus, indices: list[int], matrix: np.ndarray, shape: Sequence[int]
    ) -> torch.Tensor:
        x, y, cell = self._places(matrix, shape)
        out = np.full(tuple(shape), -1, np.float32)
        for n in range(shape[0]):
            for i, t in enumerate(indices):
                crop = consensus.crop(n, t)
                if crop is not None:
                    out[n, i] = crop.belief(cell).at(x, y, outside=-1.0)
        return torch.from_numpy(out)

    def _hand_labels(
        self, hand: HandPixels, indices: list[int], matrix: np.ndarray, shape: Sequence[int]
    ) -> torch.Tensor:
        """Return what a person said of a clip's cells, ``(N, T, H4, W4)``: means over each."""
        x, y, cell = self._places(matrix, shape)
        side = max(1, 2 * round((cell - 1) / 2) + 1)  # odd: around the middle of a pixel
        top, left = (max(0, int(v.min()) - side) for v in (y, x))
        bottom, right = (int(v.max()) + side + 2 for v in (y, x))
        out = np.zeros(tuple(shape), np.float32)
        for n in range(shape[0]):
            for i, t in enumerate(indices):
                whole = hand.at(n, t)
                if whole is not None:
                    seen = whole[top:bottom, left:right].astype(np.float32)
                    means = cv2.blur(seen, (side, side), borderType=cv2.BORDER_REPLICATE)
                    out[n, i] = cv2.remap(means, x - left, y - top, cv2.INTER_LINEAR, borderValue=0)
        return torch.from_numpy(out)

    def _ignored(
        self,
        ignore: IgnoreMasks,
        indices: list[int],
        matrix: np.ndarray,
        shape: Sequence[int],
    ) -> torch.Tensor | None:
        """Return the cells that an ignored pixel has a part in: bool ``(T, H4, W4)``; None: none.

        Beyond the frame a clip repeats what the frame ends with, and so what is ignored there.
        """
        if not any(ignore.at(t) is not None for t in indices):
            return None
        x, y, cell = self._places(matrix, shape)
        side = 2 * math.ceil(cell / 2) + 1
        out = np.zeros((len(indices), *shape[2:]), bool)
        for i, t in enumerate(indices):
            whole = ignore.at(t)
            if whole is not None:
                near = cv2.dilate(whole.astype(np.uint8), np.ones((side, side), np.uint8))
                near = near.astype(np.float32)
                out[i] = cv2.remap(near, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return torch.from_numpy(out)

    def _places(
        self, matrix: np.ndarray, shape: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return where a clip's cells lie in the video: x and y, pixels, and how large one is."""
        sy, sx = self.frames.scale_yx
        cells = np.indices(shape[2:])[::-1] * GRID_STRIDE + (GRID_STRIDE - 1) / 2
        x, y = np.linalg.solve(matrix[:, :2], cells.reshape(2, -1) - matrix[:, 2:])
        x = ((x + 0.5) / sx - 0.5).reshape(shape[2:]).astype(np.float32)
        y = ((y + 0.5) / sy - 0.5).reshape(shape[2:]).astype(np.float32)
        return x, y, abs(float(x[0, -1] - x[0, 0])) / max(1, shape[3] - 1)

    def _window_evidence(
        self, evidence: Belief, indices: list[int], matrix: np.ndarray, grid: tuple[int, int]
    ) -> torch.Tensor:
        cell_y = self.frames.height / evidence.shape[1]
        cell_x = self.frames.width / evidence.shape[2]
        to_frame = np.array(
            [[cell_x, 0, cell_x / 2 - 0.5], [0, cell_y, cell_y / 2 - 0.5], [0, 0, 1]]
        )
        half = (GRID_STRIDE - 1) / 2
        to_clip = np.array([[GRID_STRIDE, 0, half], [0, GRID_STRIDE, half], [0, 0, 1.0]])
        full = np.linalg.inv(to_clip) @ np.vstack([matrix, [0, 0, 1]]) @ to_frame
        warped = [
            cv2.warpAffine(
                evidence[t].astype(np.float32),
                full[:2],
                (grid[1], grid[0]),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for t in indices
        ]
        return torch.from_numpy(np.stack(warped)) / SURE


def _mirror(width: int) -> np.ndarray:
    """Return the affine map ``(2, 3)`` that mirrors a clip of so many pixels left and right."""
    return np.array([[-1.0, 0, width - 1], [0, 1, 0]])


def _whole_cells(shift: float, room: float) -> float:
    """Return the shift to the nearest cell of the mask grid, within the room."""
    cells = min(round(shift / GRID_STRIDE), math.floor(max(0.0, room) / GRID_STRIDE))
    return float(GRID_STRIDE * cells)


def _map_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map ``(..., 4)`` half-open xyxy through an axis-aligned affine of pixel centres."""
    scale = np.array([matrix[0, 0], matrix[1, 1]])
    shift = matrix[:, 2] + 0.5 - 0.5 * scale
    first = boxes[..., :2] * scale + shift
    second = boxes[..., 2:] * scale + shift
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], -1)
