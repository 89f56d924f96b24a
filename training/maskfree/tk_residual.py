"""Where the masks of matched pixels disagree: an error map that needs no truth.

The TK-Loss asks a cell p and its matches k in another frame to agree: with the masks' values m in
[0, 1], ``m_p m_k + (1 - m_p)(1 - m_k)`` is how much they do, and its negative logarithm the loss's
term. What is left to 1 is the residual, and it has two sides:

* *missing* ``(1 - m_p) m_k``: the matches are the object, the mask says background;
* *excess* ``m_p (1 - m_k)``: the mask says object, the matches are not.

Both are averaged over all valid matches of a cell, those into the frame before and those into the
frame after together. A cell without a match has no residual: nothing is known of it.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.config import Config, ResidualConfig
from maskfree.ignore_masks import IgnoreMasks
from maskfree.lab import GRID_STRIDE
from maskfree.matching_grid import compared_video

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from maskfree.types import BoxTracks, InstanceMasks, Matches
    from maskfree.video import Video

    GridMasks = Mapping[int, np.ndarray]

__all__ = ["Finding", "Residual", "ResidualMaker", "tk_residual", "to_grid"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """A track's cells where most matches disagree with its mask, all of one side.

    ``missing``: the matches are the object, the mask says background; else the reverse. ``frames``:
    the neighbours that most of these matches disagree in.
    """

    track_id: int
    missing: bool
    cells: int
    frames: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Residual:
    """The residual of one frame.

    ``neighbours``: the frames that it was compared with, none where they have no masks. ``signed``:
    float32 ``(h, w)`` in [-1, 1], of each cell the residual of the track that disagrees most,
    missing above 0, excess below. ``findings``: the largest first. ``cell_area``: of a cell, in
    pixels of the video.
    """

    frame: int
    neighbours: tuple[int, ...]
    signed: np.ndarray
    findings: tuple[Finding, ...]
    cell_area: float


def tk_residual(
    frame: int,
    matches: Mapping[int, Matches],
    masks: Mapping[int, GridMasks],
    *,
    grid: tuple[int, int],
    cell_area: float,
    config: ResidualConfig,
) -> Residual:
    """Compare a frame's masks with those of its neighbours.

    Parameters
    ----------
    matches
        From ``frame`` into each neighbour, by the neighbour, on a grid of ``(h, w)`` cells.
    masks
        By frame and track id: float ``(h, w)`` in [0, 1]. A track that a frame does not have is
        nowhere in it.
    grid
        ``(h, w)``.
    cell_area
        Of a cell, in pixels of the video.
    config
        What counts as a finding.

    Raises
    ------
    ValueError
        For masks or matches of another grid.

    Notes
    -----
    MaskFreeVIS section 3.3; see the module for the residual's relation to equation and code.
    """
    _check(matches, masks, grid)
    votes = {s: _Votes(match) for s, match in matches.items()}
    total = np.maximum(sum((v.count for v in votes.values()), np.zeros(grid, np.float32)), 1)
    signed, findings = np.zeros(grid, np.float32), []
    for track_id in sorted({i for s in (frame, *matches) for i in masks[s]}):
        own = masks[frame].get(track_id, np.zeros(grid, np.float32))
        says = {s: v.of(masks[s].get(track_id)) for s, v in votes.items()}
        missing = {s: (1 - own) * yes for s, yes in says.items()}
        excess = {s: own * (votes[s].count - yes) for s, yes in says.items()}
        both = []
        for is_missing, side in ((True, missing), (False, excess)):
            mean = sum(side.values(), np.zeros(grid, np.float32)) / total
            both.append(mean)
            wrong = mean >= config.majority
            if (cells := int(wrong.sum())) >= config.fewest_cells:
                frames = _where(wrong, side, votes, config.majority)
                findings.append(Finding(track_id, is_missing, cells, frames))
        mine = both[0] - both[1]
        larger = np.abs(mine) > np.abs(signed)
        larger |= (np.abs(mine) == np.abs(signed)) & (mine > signed)
        signed[larger] = mine[larger]
    findings.sort(key=lambda f: -f.cells)
    return Residual(frame, tuple(sorted(matches)), signed, tuple(findings), cell_area)


def _check(
    matches: Mapping[int, Matches], masks: Mapping[int, GridMasks], grid: tuple[int, int]
) -> None:
    shapes = {tuple(match.valid.shape[1:]) for match in matches.values()}
    shapes |= {mask.shape for known in masks.values() for mask in known.values()}
    if other := shapes - {grid}:
        raise ValueError(
            f"masks and matches must be on a grid of {grid} cells, got {other.pop()}. Bring the "
            "masks onto it with to_grid."
        )


class _Votes:
    """The matches into one neighbour: ``count`` float32 (h, w) of those that are valid."""

    def __init__(self, match: Matches) -> None:
        valid = np.asarray(match.valid)
        target = np.asarray(match.target_yx)
        grid = valid.shape[1:]
        self.valid = valid
        inside = np.clip(target, 0, np.array(grid) - 1)
        self.place = inside[..., 0] * grid[1] + inside[..., 1]
        self.count = valid.sum(0, dtype=np.float32)

    def of(self, mask: np.ndarray | None) -> np.ndarray:
        """Return the sum of the mask at each cell's valid matches: float32 (h, w)."""
        if mask is None:
            return np.zeros_like(self.count)
        found = np.where(self.valid, mask.ravel()[self.place], np.float32(0))
        return np.asarray(found.sum(0, dtype=np.float32))


def _where(
    wrong: np.ndarray,
    side: Mapping[int, np.ndarray],
    votes: Mapping[int, _Votes],
    majority: float,
) -> tuple[int, ...]:
    """Return the neighbours in which most matches of the wrong cells disagree; at least one."""
    shares = {
        s: float(found[wrong].sum() / max(1.0, votes[s].count[wrong].sum()))
        for s, found in side.items()
    }
    most = max(shares.values())
    return tuple(s for s in sorted(shares) if shares[s] >= min(majority, most))


def to_grid(
    masks: InstanceMasks, grid: tuple[int, int], *, config: ResidualConfig
) -> dict[int, np.ndarray]:
    """Bring a frame's masks onto the grid: float32 ``(h, w)`` by track id, each cell 0 or 1.

    A cell is the object when enough of its pixels are (``config.covered``).
    """
    found = {}
    for track_id, mask in zip(masks.track_ids, masks.masks, strict=True):
        part = cv2.resize(mask.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
        found[track_id] = (part >= config.covered).astype(np.float32)
    return found


class ResidualMaker:
    """The residuals of one video's frames, at the scale and contrast that a run works with.

    Making one is free; the first residual measures the video's contrast. It imports torch.

    Parameters
    ----------
    video
        Its frames.
    tracks
        The boxes that the working scale follows from, see :func:`maskfree.tube.tracks_scale`, and
        the ignore regions, where nothing is compared; None: the whole frame fits the area budget.
    config
        The matching (``temporal``), the scale and the contrast (``sampling``).
    residual
        What counts as a finding.
    """

    def __init__(
        self,
        video: Video,
        tracks: BoxTracks | None = None,
        *,
        config: Config | None = None,
        residual: ResidualConfig | None = None,
    ) -> None:
        self.config = config or Config()
        self.video, self.tracks = compared_video(video, tracks, self.config), tracks
        self._ignore = None if tracks is None else IgnoreMasks(tracks)
        self.residual = residual or ResidualConfig()
        self._working: tuple[tuple[int, int], float] | None = None
        self._lab: collections.OrderedDict[int, torch.Tensor] = collections.OrderedDict()

    def of(self, frame: int, read: Callable[[int], InstanceMasks | None]) -> Residual | None:
        """Return the residual of a frame, None where it has no masks.

        It looks at the frame and the ones before and after it, nothing else.

        Parameters
        ----------
        read
            Returns the masks of a frame, None where there are none.

        Raises
        ------
        InputError
            Where a frame or its masks cannot be read.
        """
        from maskfree.correspondence import match_patches

        here = read(frame)
        if here is None:
            return None
        grid, _ = self._at_work()
        masks = {frame: to_grid(here, grid, config=self.residual)}
        matches = {}
        for other in self._neighbours(frame):
            there = read(other)
            if there is not None:
                masks[other] = to_grid(there, grid, config=self.residual)
                found = match_patches(
                    self._lab_of(frame), self._lab_of(other), config=self.config.temporal
                )
                matches[other] = self._counted(found, frame, other, grid)
        _, height, width, _ = self.video.shape
        area = height * width / (grid[0] * grid[1])
        return tk_residual(frame, matches, masks, grid=grid, cell_area=area, config=self.residual)

    def _counted(self, matches: Matches, frame: int, other: int, grid: tuple[int, int]) -> Matches:
        """Return the matches without those from or into an ignore region."""
        if not self._ignore:
            return matches
        import torch

        from maskfree.correspondence import drop_ignored

        none = np.zeros(grid, bool)
        hidden = [self._ignore.resized(t, grid) for t in (frame, other)]
        here, there = (torch.from_numpy(none if m is None else m) for m in hidden)
        return drop_ignored(matches, here, there)

    def _neighbours(self, frame: int) -> Sequence[int]:
        return [f for f in (frame - 1, frame + 1) if 0 <= f < len(self.video)]

    def _at_work(self) -> tuple[tuple[int, int], float]:
        """Return the grid's rows and columns, and the stretch of the contrast."""
        if self._working is None:
            from maskfree.contrast import lab_stretch
            from maskfree.tube import tracks_scale
            from maskfree.working import WorkingFrames, working_scale

            _, height, width, _ = self.video.shape
            sampling = self.config.sampling
            if self.tracks is None:
                none = np.zeros((0, len(self.video), 4))
                scale = working_scale(none, height, width, config=sampling)
            else:
                scale = tracks_scale(self.video, self.tracks, self.config)
            frames = WorkingFrames(self.video, scale, cache_bytes=0)
            grid = (
                max(1, round(frames.height / GRID_STRIDE)),
                max(1, round(frames.width / GRID_STRIDE)),
            )
            self._working = grid, lab_stretch(frames, config=sampling)
        return self._working

    def _lab_of(self, frame: int) -> torch.Tensor:
        """Return the Lab of a frame averaged onto the grid: float32 (3, h, w)."""
        import torch

        from maskfree.lab import rgb_to_lab

        if frame in self._lab:
            self._lab.move_to_end(frame)
            return self._lab[frame]
        grid, stretch = self._at_work()
        rgb = np.asarray(self.video[frame], np.float32) / 255
        small = cv2.resize(rgb, grid[::-1], interpolation=cv2.INTER_AREA)
        lab = rgb_to_lab(torch.from_numpy(small).permute(2, 0, 1)) * stretch
        self._lab[frame] = lab
        while len(self._lab) > self.residual.frames_kept:
            self._lab.popitem(last=False)
        return lab
