"""Background seen elsewhere: what other frames say about the pixels in a box, without any label.

A pixel in a box is often visible, as certain background, in another frame in which it lies outside
every box. Other frames are warped onto frame t by the camera's motion; the smallest Lab distance
(mean over 3x3 cells) to what was seen there is delta. Small delta: background. Seen, and delta
large: object. What is small and large follows each track's own surroundings (how far *certain*
background lies from its own sightings: moving water and noise raise it) and its box (where its
distances split in two). Between the two the belief is weaker, and there is none at the split.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.belief import SURE, Belief
from maskfree.box_pixels import touched
from maskfree.camera_motion import estimate_motions, surroundings
from maskfree.motion_chain import CameraMotion
from maskfree.scratch import Scratch
from maskfree.thinned import Thinned
from maskfree.watch import Ticks, Watch, unwatched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maskfree.config import EvidenceConfig
    from maskfree.ignore_masks import IgnoreMasks

__all__ = ["SURE", "collect_evidence"]

_UNTOLD = -128
"""Cell that no track has said anything about, while evidence is collected."""
_WHOLE = 0.999
"""A cell is wholly certain above this share: 1, but for rounding."""
_BINS = 64
_ALIKE = 1 - 1e-9
_FEWEST = 50
"""Cells: fewer tell nothing about a distribution."""
_USUAL, _TYPICAL = 0.9, 0.7
"""Noise is this quantile of the distances; a distance of so much of it is background's."""
_STEP, _APART = 1.3, 1.5
"""Factors: from the first doubt to certain object, from certain background to the split."""
_AROUND = np.ones((3, 3), np.uint8)
"""A cell and those around it."""
_SUM = np.ones((1, 3), np.float32)


def collect_evidence(
    frames: Sequence[np.ndarray],
    boxes: np.ndarray,
    *,
    config: EvidenceConfig,
    ignore: IgnoreMasks | None = None,
    watch: Watch = unwatched,
) -> Belief:
    """Say for every cell of every frame what other frames show about it.

    Frames that are far from any with a box are not looked at: all of them is background, and the
    time that it takes does not grow with them.

    Parameters
    ----------
    frames
        T frames, uint8 RGB ``(H, W, 3)``, read one at a time.
    boxes
        float ``(N, T, 4)``, xyxy in pixels of these frames, NaN where absent.
    config
        Thresholds and the number of other frames that are looked at.
    ignore
        Pixels that are no background and of which nothing is said. Nor does the camera's motion
        follow them: a time stamp would say that the camera stands still.
    watch
        Told after each frame, and after each look at a box.

    Returns
    -------
    Belief
        ``(T, H // cell, W // cell)``, the belief that a cell is object: ``SURE`` certainly,
        ``-SURE`` certainly background, 0 unknown. The cells divide the frame evenly.

    Raises
    ------
    InputError
        When there is no room for the temporary files of a long video.
    """
    scene = _look(frames, boxes, config, ignore or None, watch)
    out = Belief((len(frames), *scene.grid))
    for t in scene.frames:
        out[t] = np.full(scene.grid, _UNTOLD, np.int8)
    looks = sum(len(scene.present(n)) for n in range(len(boxes)))
    tick = Ticks(watch, "background seen elsewhere", looks)
    for n in range(len(boxes)):
        _tell(scene, n, out, tick)
    for k, t in enumerate(scene.frames):
        belief = out[t]
        belief[belief == _UNTOLD] = 0
        belief[scene.certain[k]] = -SURE
        out[t] = belief
    return out


def _tell(scene: _Scene, n: int, out: Belief, tick: Ticks) -> None:
    """Add to the belief what a track's cells show: look at every frame, then judge every frame."""
    present = scene.present(n)
    deltas = Scratch(most_bytes=scene.config.most_bytes)
    distances = _Distances(scene.config.most_distances)
    for k in present:
        view = scene.view(n, k)
        place = scene.window(n, k, 0.0)
        deltas.append(view.delta[view.in_box].reshape(_extent(place)))
        distances.add(view)
        tick()
    limits = _limits(distances, scene.config)
    for number, (k, limit) in enumerate(zip(present, limits, strict=True)):
        whole = out[scene.frames[k]]
        part, delta = whole[scene.window(n, k, 0.0)], deltas[number]
        belief, seen = _belief(delta, limit), np.isfinite(delta)
        # what lies in two boxes is no more object than the one that believes it least
        belief = np.where(part == _UNTOLD, belief, np.minimum(part, belief))
        part[seen] = belief[seen]
        out[scene.frames[k]] = whole


def _extent(place: tuple[slice, slice]) -> tuple[int, int]:
    rows, columns = place
    return rows.stop - rows.start, columns.stop - columns.start


@dataclasses.dataclass(frozen=True)
class _View:
    """A track's box and its surroundings in one frame.

    ``delta``: smallest distance to background seen elsewhere, infinite where unseen; ``own``: that
    of the certain background, ``matched``: the same by those frames alone that show the box's
    inside, so that it can be compared with it; ``in_box``: cells in the box.
    """

    delta: np.ndarray
    in_box: np.ndarray
    own: np.ndarray
    matched: np.ndarray


class _Distances:
    """A track's distances over the video, of a long one a part.

    ``own``, ``matched``: see `_View`; ``inside``: delta in the box; ``here``: how far ``matched``
    go in each frame, NaN where there are too few.
    """

    def __init__(self, most: int) -> None:
        self.own, self.matched, self.inside = (Thinned(most) for _ in range(3))
        self.here: list[float] = []

    def add(self, view: _View) -> None:
        """Take the next frame's."""
        inside = view.delta[view.in_box]
        self.inside.add(inside[np.isfinite(inside)])
        self.own.add(view.own)
        self.matched.add(view.matched)
        self.here.append(_quantile(view.matched, _USUAL, math.nan))


@dataclasses.dataclass
class _Scene:
    """What was looked at of a video, on the grid of cells: colours, certain background, motions.

    Everything goes by the place k of a frame among those that were looked at, ``frames``.
    """

    frames: list[int]
    grid: tuple[int, int]
    colours: Scratch
    certain: Scratch
    boxes: np.ndarray
    world: CameraMotion
    around: list[CameraMotion | None]
    to_pixels: np.ndarray
    config: EvidenceConfig
    ignore: IgnoreMasks | None = None
    _sources: dict[int, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)

    def present(self, n: int) -> list[int]:
        """Frames in which a track has a box."""
        return [int(k) for k in np.flatnonzero(np.isfinite(self.boxes[n]).all(1))]

    def window(self, n: int, k: int, margin: float) -> tuple[slice, slice]:
        """Cells of a box's surroundings."""
        rows, columns = self.grid
        x0, y0, x1, y1 = surroundings(self.boxes[n, k], margin)
        x, y = self.to_pixels[0, 0], self.to_pixels[1, 1]
        return (
            touched(y0 / y, y1 / y, rows, least=1),
            touched(x0 / x, x1 / x, columns, least=1),
        )

    def view(self, n: int, k: int) -> _View:
        """Look at a box from all other frames."""
        window = rows, columns = self.window(n, k, self.config.surroundings)
        down, across = self.window(n, k, 0.0)
        inside = (
            slice(down.start - rows.start, down.stop - rows.start),
            slice(across.start - columns.start, across.stop - columns.start),
        )
        shape = _extent(window)
        in_box = np.zeros(shape, bool)
        in_box[inside] = True
        shift = np.array([[1, 0, columns.start], [0, 1, rows.start], [0, 0, 1.0]])
        to_cells = np.linalg.inv(self.to_pixels)
        here = _lab(self.colours[k][window])
        best = np.full(shape, np.inf, np.float32)
        matched = best.copy()
        motion = self.around[n] or self.world
        for s in _sources(k, len(self.frames), self.config.max_sources):
            matrix = motion.between(k, s)
            if matrix is None:
                continue
            colours, certain = self._source(s)
            cells = to_cells @ matrix @ self.to_pixels @ shift
            whole = _warp(certain, cells, shape) > _WHOLE
            seen = cv2.erode(whole.astype(np.uint8), _AROUND) > 0
            if seen.any():
                there = _lab(_warp(colours, cells, shape))
                distance = cv2.blur(_apart(here, there), (3, 3))
                np.minimum(best, distance, out=best, where=seen)
                shown = np.count_nonzero(seen[inside]) / in_box[inside].size
                if shown >= self.config.least_shown:
                    np.minimum(matched, distance, out=matched, where=seen)
        if (ignored := self._ignored(k)) is not None:
            best[ignored[window]] = matched[ignored[window]] = np.inf
        sure = self.certain[k][window]
        own, matched = best[sure & np.isfinite(best)], matched[sure & np.isfinite(matched)]
        return _View(best, in_box, own, matched)

    def _source(self, s: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a frame's colours, padded to four bytes a cell, and its certain background.

        Kept: of a long video few frames are asked, and four bytes are warped quicker than three.
        """
        if s not in self._sources:
            padded = cv2.cvtColor(self.colours[s], cv2.COLOR_RGB2RGBA)
            self._sources[s] = padded, self.certain[s].astype(np.float32)
        return self._sources[s]

    def _ignored(self, k: int) -> np.ndarray | None:
        """Return the cells whose distances an ignored pixel has a part in; None: there are none."""
        cells = self.ignore.resized(self.frames[k], self.grid) if self.ignore else None
        if cells is None:
            return None
        return np.asarray(cv2.dilate(cells.astype(np.uint8), _AROUND) > 0)


def _look(
    frames: Sequence[np.ndarray],
    boxes: np.ndarray,
    config: EvidenceConfig,
    ignore: IgnoreMasks | None = None,
    watch: Watch = unwatched,
) -> _Scene:
    """Read the frames around the boxes once: small frames, certain background, motions."""
    looked = _near_boxes(boxes, config.beyond)
    height, width = frames[looked[0] if looked else 0].shape[:2]
    rows, columns = max(1, height // config.cell), max(1, width // config.cell)
    colours, certain = (Scratch(most_bytes=config.most_bytes) for _ in range(2))

    def grey_and_background() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        tick = Ticks(watch, "the camera's motion", len(looked))
        for t in looked:
            frame = np.ascontiguousarray(frames[t])
            outside = _outside(boxes[:, t], height, width, config)
            ignored = ignore.resized(t, (height, width)) if ignore else None
            outside = outside if ignored is None else outside & ~ignored
            colours.append(cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA))
            share = cv2.resize(
                outside.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA
            )
            certain.append(share > _WHOLE)
            yield cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), outside
            tick()

    near = boxes[:, looked]
    world = CameraMotion(np.zeros((0, 3, 3)), np.zeros(0, int))
    around: list[CameraMotion | None] = [None] * len(boxes)
    if looked:
        world, around = estimate_motions(grey_and_background(), near, config=config)
    y, x = height / rows, width / columns
    to_pixels = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    grid = rows, columns
    return _Scene(looked, grid, colours, certain, near, world, around, to_pixels, config, ignore)


def _near_boxes(boxes: np.ndarray, beyond: int) -> list[int]:
    """Return the frames with a box ``(N, T, 4)``, and those at most so many frames from one."""
    boxed = np.flatnonzero(np.isfinite(boxes).all(-1).any(0))
    near = np.zeros(boxes.shape[1], bool)
    for t in boxed.tolist():
        near[max(0, t - beyond) : t + beyond + 1] = True
    return [int(t) for t in np.flatnonzero(near)]


def _limits(
    distances: _Distances, config: EvidenceConfig
) -> list[tuple[float, float, float, float]]:
    """Return for each frame the delta of certain background, last and first doubt, certain object.

    Two kinds of noise: how far certain background lies from its sightings at best (``least``), and
    how far when only those frames are asked that see the box's inside (``usual``, in each frame).
    """
    own, matched, inside = (d.values for d in (distances.own, distances.matched, distances.inside))
    least = max(config.least_noise, _quantile(own, config.noise_quantile, 2.0))
    usual = max(config.least_noise, _quantile(matched, _USUAL, least))
    near = min(config.background_distance, config.background_noise * least)
    far = min(config.object_distance, config.object_noise * least)
    split = near
    if inside.size >= _FEWEST:
        highest = config.object_distance * config.split_margin
        split = _split(inside, config.least_noise, highest)
    limits = []
    for known in distances.here:
        here = usual if math.isnan(known) else max(config.least_noise, known)
        noise = math.sqrt(here * usual)
        first = max(split * config.split_margin, noise)
        last = max(split / config.split_margin, min(noise, split))
        enough = max(_STEP * first, config.object_least_noise * noise, far)
        limits.append(
            _ordered(max(near, min(_TYPICAL * noise, split / _APART)), last, first, enough)
        )
    return limits


def _quantile(values: np.ndarray, share: float, otherwise: float) -> float:
    return float(np.quantile(values, share)) if values.size >= _FEWEST else otherwise


def _ordered(
    near: float, last: float, first: float, far: float
) -> tuple[float, float, float, float]:
    """Make the four limits rise."""
    far = max(near, far)
    first = min(max(near, first), far)
    return near, min(max(near, last), first), first, far


def _split(values: np.ndarray, low: float, high: float) -> float:
    """Otsu's threshold of the distances, on a logarithmic scale."""
    logs = np.log(np.clip(values, low, None))
    counts, edges = np.histogram(logs, _BINS)
    centres = (edges[1:] + edges[:-1]) / 2
    share = np.cumsum(counts) / counts.sum()
    mass = np.cumsum(counts * centres) / counts.sum()
    between = (mass[-1] * share - mass) ** 2 / np.maximum(share * (1 - share), 1e-9)
    best = between[:-1] >= between[:-1].max() * _ALIKE  # the same anywhere in a gap: its middle
    return float(np.exp(min(centres[:-1][best].mean(), np.log(high))))


def _belief(delta: np.ndarray, limits: tuple[float, float, float, float]) -> np.ndarray:
    """Belief that cells are object, from their delta: piecewise linear in its logarithm."""
    near, last, first, far = limits
    steps = np.log(np.maximum([near, last, first, far], 1e-6)) + np.arange(4) * 1e-6
    logs = np.log(np.maximum(np.where(np.isfinite(delta), delta, 1.0), 1e-6))
    return np.rint(np.interp(logs, steps, [-SURE, 0, 0, SURE])).astype(np.int8)


def _warp(image: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(image, matrix, shape[::-1], flags=flags))


def _sources(t: int, num_frames: int, count: int) -> list[int]:
    """Other frames, spread over the whole video."""
    chosen = np.linspace(0, num_frames - 2, min(count, num_frames - 1)).round().astype(int)
    return [int(s + (s >= t)) for s in chosen]


def _outside(boxes: np.ndarray, height: int, width: int, config: EvidenceConfig) -> np.ndarray:
    """Pixels that lie outside every box grown by its margin."""
    out = np.ones((height, width), bool)
    for x0, y0, x1, y1 in boxes[np.isfinite(boxes).all(1)]:
        dx = config.box_margin * (x1 - x0) + config.cell
        dy = config.box_margin * (y1 - y0) + config.cell
        rows = touched(y0 - dy, y1 + dy, height, least=1)
        out[rows, touched(x0 - dx, x1 + dx, width, least=1)] = False
    return out


def _lab(rgb: np.ndarray) -> np.ndarray:
    """Return the Lab colours of uint8 RGB, or RGB and a fourth channel."""
    return np.asarray(cv2.cvtColor(np.divide(rgb, 255, dtype=np.float32), cv2.COLOR_RGB2LAB))


def _apart(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Distance of the colours of two pictures, float32 ``(H, W, 3)``: float32 ``(H, W)``."""
    difference = cv2.subtract(here, there)
    return np.asarray(cv2.sqrt(cv2.transform(cv2.multiply(difference, difference), _SUM)))
