"""What all cues together say about the pixels around a box, at the picture's own detail.

For each track: background seen elsewhere, the track's and its surroundings' colours over the whole
video, what goes on outside the box, where in the box a pixel lies, and, once there is one, the
network. Their sum is made to keep to the picture's edges (mean-field steps through the guided
filter), and the colours are learnt again from the result, a few times. Before training this gives
the network its first labels, from boxes alone; during training it takes the network's own masks in
(a teacher that is corrected by the picture); after it, it refines them. What a person said of a
pixel stands above all cues. In an ignore region no cue has a say: what lies around goes on there.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from maskfree.appearance import ColourModel
from maskfree.belief import SURE
from maskfree.box_pixels import touched
from maskfree.consensus_memory import ConsensusMemory
from maskfree.crop import Crop
from maskfree.edges import GuidedFilter
from maskfree.evenly import evenly
from maskfree.geodesic import reached_from_outside
from maskfree.watch import Ticks, Watch, unwatched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.belief import Belief
    from maskfree.config import ConsensusConfig
    from maskfree.hand_pixels import HandPixels
    from maskfree.ignore_masks import IgnoreMasks

__all__ = ["Consensus", "Frames", "Network"]

Network = Callable[[int, int, "Crop"], np.ndarray | None]
"""Gives the network's logits of (track, frame) at a crop's pixels, or None where it has none."""
_LIMIT = 30.0
_HALF = 0.5
"""Part of a pixel that a person must have spoken of."""


class Frames(Protocol):
    """A video's frames, uint8 RGB ``(H, W, 3)``, read one at a time."""

    def __getitem__(self, index: int, /) -> np.ndarray:
        """Return frame ``index``."""
        ...


@dataclasses.dataclass(frozen=True)
class _View:
    """A box and its surroundings in one frame, at the crop's scale.

    ``inner``: rows and columns that hold all pixels that may be object. Of the whole crop are
    ``lab`` and ``ignored``, all else is of the inner part alone.
    """

    crop: Crop
    lab: np.ndarray
    inner: tuple[slice, slice]
    allowed: np.ndarray
    evidence: np.ndarray
    shape: np.ndarray
    reached: np.ndarray
    hand: np.ndarray | None
    edges: GuidedFilter
    ignored: np.ndarray | None

    def heard(self, unary: np.ndarray) -> np.ndarray:
        """Return the inner part's cues without those of ignored pixels."""
        return unary if self.ignored is None else np.where(self.ignored[self.inner], 0.0, unary)

    def counted(self, values: np.ndarray) -> np.ndarray:
        """Return the whole crop's values at the pixels that colours are learnt from."""
        return values if self.ignored is None else values[~self.ignored]

    def whole(self, values: np.ndarray, beyond: float) -> np.ndarray:
        """Return the inner part's values as those of the whole crop, float32."""
        out = np.full(self.lab.shape[:2], beyond, np.float32)
        out[self.inner] = values
        return out


class Consensus:
    """Settles, track by track and frame by frame, what is object.

    Parameters
    ----------
    frames
        The video's frames, uint8 RGB ``(H, W, 3)``, read one at a time.
    boxes, slack
        float ``(N, T, 4)`` xyxy in the video's pixels, NaN where absent; ``(N, T)``, how far they
        may be wrong, as a part of their size.
    evidence
        ``(T, h, w)`` for whole frames, see :mod:`maskfree.evidence`, or None.
    stretch
        By how much the clip's contrast is stretched: the more, the less its colours tell and the
        more the masks lean on the box's ellipse.
    config
        Weights of the cues.
    hand
        What a person said of single pixels: there no cue has a say.
    ignore
        Pixels that are neither object nor background; ``frames`` have them painted over.
    """

    def __init__(
        self,
        frames: Frames,
        boxes: np.ndarray,
        slack: np.ndarray,
        evidence: Belief | None,
        *,
        stretch: float,
        config: ConsensusConfig,
        hand: HandPixels | None = None,
        ignore: IgnoreMasks | None = None,
    ) -> None:
        self._frames, self._boxes, self._slack = frames, boxes, slack
        self._hand, self._ignore = hand, ignore or None
        self._evidence, self._stretch, self._config = evidence, stretch, config
        self._models: dict[int, ColourModel] = {}
        self._kept: collections.OrderedDict[tuple[int, int], Crop] = collections.OrderedDict()
        self._room = config.kept_bytes
        self._network: Network | None = None

    @classmethod
    def recall(
        cls,
        frames: Frames,
        boxes: np.ndarray,
        slack: np.ndarray,
        ids: Sequence[int],
        memory: ConsensusMemory,
        *,
        config: ConsensusConfig,
        hand: HandPixels | None = None,
        ignore: IgnoreMasks | None = None,
    ) -> Consensus:
        """Make it anew from what was kept; tracks that it did not know have no crops."""
        evidence, stretch = memory.evidence, memory.stretch
        made = cls(
            frames,
            boxes,
            slack,
            evidence,
            stretch=stretch,
            config=config,
            hand=hand,
            ignore=ignore,
        )
        made._models = {n: memory.colours[i] for n, i in enumerate(ids) if i in memory.colours}
        return made

    def memory(self, ids: Sequence[int]) -> ConsensusMemory:
        """Return what is to be kept; ``ids``: the tracks' ids in the boxes' order."""
        colours = {ids[n]: model for n, model in self._models.items()}
        return ConsensusMemory(self._evidence, self._stretch, colours)

    def hear(self, network: Network | None) -> None:
        """Take the network's logits in, from now on."""
        self._network = network
        self._kept.clear()
        self._room = self._config.kept_bytes

    def fit(self, network: Network | None = None, *, watch: Watch = unwatched) -> None:
        """Learn every track's colours, from some of its frames; ``watch`` hears of each track."""
        self.hear(network)
        tick = Ticks(watch, "colours", len(self._boxes))
        for n in range(len(self._boxes)):
            present = np.flatnonzero(np.isfinite(self._boxes[n]).all(1))
            if len(present):
                chosen = evenly(present.tolist(), self._config.frames)
                self._fit_track(n, sorted({*chosen, *self._corrected(n, present)}))
            tick()

    def crop(self, n: int, t: int) -> Crop | None:
        """Return the logits of a track in a frame; None where it is absent."""
        if n not in self._models or not np.isfinite(self._boxes[n, t]).all():
            return None
        if (n, t) in self._kept:
            self._kept.move_to_end((n, t))
            return self._kept[n, t]
        view = self._view(n, t)
        colours = self._models[n](self._models[n].bins(view.lab[view.inner]))
        unary = view.heard(self._unary(view, n, t) + self._config.colour * colours)
        logits = view.whole(_logits(self._settle(unary, view)), _NEVER)
        made = Crop(view.crop.rows, view.crop.columns, logits)
        self._kept[n, t] = made
        self._room -= made.values.nbytes
        while self._room < 0:
            self._room += self._kept.popitem(last=False)[1].values.nbytes
        return made

    def place(self, n: int, t: int, box: np.ndarray, slack: float) -> None:
        """Put a track's box in a frame, xyxy in the video's pixels; its crop is made anew."""
        self._boxes[n, t], self._slack[n, t] = box, slack
        old = self._kept.pop((n, t), None)
        self._room += 0 if old is None else old.values.nbytes

    def _corrected(self, n: int, present: np.ndarray) -> list[int]:
        """Return the frames of a track that a person corrected, as many as colours need."""
        frames = [] if self._hand is None else self._hand.frames(n)
        return evenly([t for t in frames if t in present], self._config.frames)

    def _fit_track(self, n: int, chosen: list[int]) -> None:
        views = [self._view(n, t) for t in chosen]
        unaries = [self._unary(v, n, t) for v, t in zip(views, chosen, strict=True)]
        model = ColourModel([v.counted(v.lab) for v in views], self._config)
        bins = [model.bins(v.lab) for v in views]
        found = []
        for view, unary in zip(views, unaries, strict=True):
            silent = np.abs(view.evidence) < self._config.silence
            first = view.heard(unary + self._config.first_shape * view.shape * silent)
            found.append(_chances(first, ~view.allowed))
        for _ in range(self._config.rounds):
            model.fit(_samples(views, bins, found))
            found = [
                self._settle(view.heard(unary + self._config.colour * model(b[view.inner])), view)
                for view, unary, b in zip(views, unaries, bins, strict=True)
            ]
        model.fit(_samples(views, bins, found))
        self._models[n] = model

    def _unary(self, view: _View, n: int, t: int) -> np.ndarray:
        """Sum of the cues but for the colours."""
        config = self._config
        lean = config.shape + config.lean * (self._stretch - 1)
        out = config.evidence * view.evidence + lean * view.shape + view.reached
        logits = self._network(n, t, view.crop) if self._network is not None else None
        if logits is not None:
            limit = config.network_limit
            out = out + config.network * np.clip(logits[view.inner], -limit, limit)
        if view.hand is not None:
            out = np.where(np.abs(view.hand) > _HALF, np.sign(view.hand) * 2 * _LIMIT, out)
        return np.asarray(out)

    def _settle(self, unary: np.ndarray, view: _View) -> np.ndarray:
        """Mean-field steps: a pixel goes with what is like it around it."""
        alone, beyond = unary.astype(np.float32), ~view.allowed
        found = _chances(alone.copy(), beyond)
        smooth = self._config.smooth / self._stretch  # edges of little contrast hold less
        for _ in range(self._config.steps):
            found = view.edges(found)
            found *= 2
            found -= 1
            found *= smooth
            found += alone
            found = _chances(found, beyond)
        return found

    def _view(self, n: int, t: int) -> _View:
        config = self._config
        frame = self._frames[t]
        height, width = frame.shape[:2]
        x0, y0, x1, y1 = self._boxes[n, t]
        across, down = x1 - x0, y1 - y0
        loose = self._slack[n, t]
        margin = config.margin * max(across, down)
        rows = touched(y0 - loose * down - margin, y1 + loose * down + margin, height, least=1)
        left, right = x0 - loose * across - margin, x1 + loose * across + margin
        columns = touched(left, right, width, least=1)
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        scale = min(
            1.0, config.detail / math.sqrt(across * down), config.most_detail / math.sqrt(area)
        )
        size = (
            max(1, round((rows.stop - rows.start) * scale)),
            max(1, round((columns.stop - columns.start) * scale)),
        )
        crop = Crop(rows, columns, np.zeros(size, np.float32))
        picture = np.ascontiguousarray(frame[rows, columns])
        if size != picture.shape[:2]:
            picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(np.divide(picture, 255, dtype=np.float32), cv2.COLOR_RGB2LAB)
        y = rows.start + (np.arange(size[0]) + 0.5) * (rows.stop - rows.start) / size[0]
        x = columns.start + (np.arange(size[1]) + 0.5) * (columns.stop - columns.start) / size[1]
        allowed = _within(self._boxes[n, t], loose, x, y)
        hand = None if self._hand is None else self._hand.crop(n, t, rows, columns, size)
        if hand is not None:
            allowed = allowed | (hand > _HALF)
        ignored = None
        if self._ignore is not None:
            ignored = self._ignore.crop(t, rows, columns, size)
        inner = _held(allowed)
        y, x = y[inner[0]], x[inner[1]]
        radius = np.hypot(((2 * y - y0 - y1) / down)[:, None], (2 * x - x0 - x1) / across)
        reach = min(config.radius, max(2, round(scale * math.sqrt(across * down) / 12)))
        edges = GuidedFilter(lab, reach, config.flat / self._stretch**2, within=inner)
        reached = np.zeros(radius.shape, np.float32)
        if weight := config.geodesic.weight:
            found = reached_from_outside(
                lab, allowed, stretch=self._stretch, config=config.geodesic
            )
            reached = weight * found[inner]
        return _View(
            crop,
            lab,
            inner,
            allowed[inner],
            self._evidence_at(n, t, x, y, (height, width)),
            np.clip(1 - radius, -1, 1).astype(np.float32),
            reached,
            None if hand is None else hand[inner],
            edges,
            ignored,
        )

    def _evidence_at(
        self, n: int, t: int, x: np.ndarray, y: np.ndarray, size: tuple[int, int]
    ) -> np.ndarray:
        """Return the belief at places of a frame: rows ``y``, columns ``x``.

        Where another track's box reaches, "object" may mean that one: there it tells nothing.
        """
        if self._evidence is None:
            return np.zeros((len(y), len(x)), np.float32)
        belief = self._evidence[t].astype(np.float32) / SURE
        map_x = (x * belief.shape[1] / size[1] - 0.5).astype(np.float32)
        map_y = (y * belief.shape[0] / size[0] - 0.5).astype(np.float32)
        grid_x, grid_y = np.meshgrid(map_x, map_y)
        found = np.asarray(
            cv2.remap(belief, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )
        for m in self._near(n, t, x, y):
            shared = _within(self._boxes[m, t], self._slack[m, t], x, y)
            found = np.where(shared, np.minimum(found, 0), found)
        return found

    def _near(self, n: int, t: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the other tracks whose boxes reach into a crop with columns ``x``, rows ``y``."""
        boxes, slack = self._boxes[:, t], self._slack[:, t, None]
        loose = slack * (boxes[:, 2:] - boxes[:, :2])
        low, high = boxes[:, :2] - loose, boxes[:, 2:] + loose
        near = (low <= [x[-1], y[-1]]).all(1) & (high >= [x[0], y[0]]).all(1)  # NaN: absent
        near[n] = False
        return np.flatnonzero(near)


def _samples(
    views: Sequence[_View], bins: Sequence[np.ndarray], found: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what colours are learnt from, frame by frame."""
    each = zip(views, bins, found, strict=True)
    return [(view.counted(b), view.counted(view.whole(f, 0))) for view, b, f in each]


def _chances(logits: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """Turn logits into chances where they lie, float32; 0 in the pixels ``beyond``."""
    np.negative(logits, out=logits)
    np.minimum(logits, _LIMIT, out=logits)  # at the other end 1 plus next to nothing is 1
    np.exp(logits, out=logits)
    logits += 1
    np.reciprocal(logits, out=logits)
    logits[beyond] = 0
    return logits


def _logits(chances: np.ndarray) -> np.ndarray:
    """Turn chances into logits, float32, within some limits."""
    chances = np.clip(chances, math.exp(-_LIMIT / 2), 1 - 1e-6)
    return np.asarray(np.log(chances / (1 - chances)), np.float32)


_NEVER = float(_logits(np.zeros(1, np.float32))[0])
"""The logit of a pixel that cannot be object."""


def _held(allowed: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns that hold all pixels; of nothing, the first row and column."""
    rows, columns = (np.flatnonzero(allowed.any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 1), slice(0, 1)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _within(box: np.ndarray, slack: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Say which places, rows ``y`` and columns ``x``, lie in a box grown by its slack."""
    x0, y0, x1, y1 = box
    across, down = slack * (x1 - x0), slack * (y1 - y0)
    rows = (y >= y0 - down) & (y < y1 + down)
    return np.asarray(rows[:, None] & (x >= x0 - across) & (x < x1 + across))
