"""What the method finds for one pixel, in the frames around it, and in plain words. No Qt here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.inspect_patch import Fate, inspect_cell
from maskfree.lab_array import GRID_STRIDE
from maskfree.patch_path import follow_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.config import TemporalKNNConfig
    from maskfree.inspect_patch import Candidates
    from maskfree.matching_grid import MatchingGrid
    from maskfree.patch_path import PatchPath

__all__ = [
    "FrameAnswer",
    "Inspection",
    "Tile",
    "frames_around",
    "inspect",
    "main_answer",
    "method_words",
    "path_words",
    "rule_words",
    "sentence",
    "tube_frames",
]

_BEYOND = 128
"""Grey that stands for what lies beyond the edge of the picture."""


@dataclasses.dataclass(frozen=True)
class Tile:
    """A patch to look at: uint8 RGB pixels ``(4 N, 4 N, 3)`` of the working frame.

    ``shift``: down and right from the picked pixel, in pixels of the video.
    """

    pixels: np.ndarray
    distance: float
    fate: Fate
    shift: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class FrameAnswer:
    """The candidates in one frame, and those of them that are shown side by side."""

    frame: int
    candidates: Candidates
    tiles: tuple[Tile, ...]


@dataclasses.dataclass(frozen=True)
class Inspection:
    """All that is shown of one pixel.

    ``yx``: the position in the video's pixels; ``cell``: its cell on ``grid``; ``query``: the
    pixels of its patch; ``answers`` in the order of their frames.
    """

    frame: int
    yx: tuple[float, float]
    cell: tuple[int, int]
    grid: MatchingGrid
    query: np.ndarray
    answers: tuple[FrameAnswer, ...]
    path: PatchPath | None = None


def frames_around(frame: int, each_side: int, total: int) -> list[int]:
    """Return the frames t - n … t + n of a video without t itself."""
    first, last = max(0, frame - each_side), min(total - 1, frame + each_side)
    return [t for t in range(first, last + 1) if t != frame]


def tube_frames(frame: int, length: int, total: int) -> list[int]:
    """Return the frames of a tube that begins here: fewer near the end of the video."""
    return list(range(frame, min(frame + length, total)))


def inspect(
    frames: Mapping[int, np.ndarray],
    grid: MatchingGrid,
    frame: int,
    yx: tuple[float, float],
    *,
    targets: Sequence[int],
    tube: Sequence[int] = (),
) -> Inspection | None:
    """Compare a pixel's patch with those around it in other frames; None outside the grid.

    Parameters
    ----------
    frames
        Working frames by number: ``frame``, ``targets`` and ``tube``.
    targets, tube
        The frames that are compared with, and those that the cyclic tube goes through.
    """
    cell = grid.cell_at(np.array(yx))
    if cell is None:
        return None
    answers = []
    for target in targets:
        found = inspect_cell(
            frames[frame],
            frames[target],
            cell,
            config=grid.config,
            stretch=grid.stretch,
            ignored=(grid.ignored(frame), grid.ignored(target)),
        )
        tiles = tuple(
            _tile(frames[target], found, int(i), cell, grid) for i in _shown(found, grid.config)
        )
        answers.append(FrameAnswer(target, found, tiles))
    path = None
    if tube:
        path = follow_cell(
            frames,
            tube,
            cell,
            config=grid.config,
            stretch=grid.stretch,
            ignored=grid.ignored,
        )
    query = _patch(frames[frame], cell, grid.config.patch_size)
    return Inspection(frame, yx, cell, grid, query, tuple(answers), path)


def _shown(found: Candidates, config: TemporalKNNConfig) -> list[int]:
    """Return the candidates to show: the K best, and the best one that another rule rejected."""
    best = [i for i in range(min(config.num_neighbors, len(found.fate))) if _is_shown(found, i)]
    others = [i for fate in (Fate.BEYOND_K, Fate.RADIUS) for i in found.of(fate)[:1].tolist()]
    return best + [i for i in others if i not in best][:1]


def _is_shown(found: Candidates, index: int) -> bool:
    return found.fate[index] not in (Fate.OUTSIDE, Fate.IGNORED)


def _tile(
    frame: np.ndarray, found: Candidates, index: int, cell: tuple[int, int], grid: MatchingGrid
) -> Tile:
    there = int(found.yx[index, 0]), int(found.yx[index, 1])
    down, right = (np.array(there) - cell) * grid.cell_size
    return Tile(
        _patch(frame, there, grid.config.patch_size),
        float(found.distance[index]),
        Fate(int(found.fate[index])),
        (float(down), float(right)),
    )


def _patch(frame: np.ndarray, cell: tuple[int, int], size: int) -> np.ndarray:
    """Return the pixels of a patch, grey where it lies beyond the edge of the grid."""
    side, half = size * GRID_STRIDE, size // 2
    out = np.full((side, side, 3), _BEYOND, np.uint8)
    rows, columns = (n // GRID_STRIDE * GRID_STRIDE for n in frame.shape[:2])
    top, left = ((c - half) * GRID_STRIDE for c in cell)
    y0, x0, y1, x1 = max(0, top), max(0, left), min(rows, top + side), min(columns, left + side)
    out[y0 - top : y1 - top, x0 - left : x1 - left] = frame[y0:y1, x0:x1]
    return out


# ---- in plain words


def rule_words(fate: Fate, config: TemporalKNNConfig) -> str:
    """Say in a few words what became of a candidate."""
    return {
        Fate.KEPT: "kept",
        Fate.TOO_FAR: f"too far in colour (over {config.limit:g})",
        Fate.BEYOND_K: f"beyond the best {config.num_neighbors}",
        Fate.RADIUS: "outside the search radius",
        Fate.OUTSIDE: "outside the picture",
        Fate.IGNORED: "in an ignore region",
    }[fate]


def method_words(grid: MatchingGrid, of: str) -> str:
    """Say what is compared with what."""
    height, width = grid.size
    stretch = f", contrast ×{grid.stretch:.1f}" if grid.stretch > 1 else ""
    config = grid.config
    return (
        f"Compared {of}: the frame at {width}×{height}{stretch}, patches of "
        f"{config.patch_size}×{config.patch_size} cells of {grid.cell_size.mean():.0f} px, "
        f"within {grid.radius:.0f} px."
    )


def main_answer(found: Inspection) -> FrameAnswer | None:
    """Return what was found in the next frame, else in the one before."""
    after = [a for a in found.answers if a.frame > found.frame]
    return after[0] if after else (found.answers[-1] if found.answers else None)


def sentence(found: Inspection) -> str:
    """Say in one line what was found, and why it is not more."""
    answer = main_answer(found)
    y, x = (round(v) for v in found.yx)
    place = f"Pixel ({x}, {y}) of frame {found.frame}"
    if answer is None:
        return f"{place} has no frame beside it."
    hidden = found.grid.ignored(found.frame)
    if hidden is not None and hidden[found.cell]:
        return f"{place} lies in an ignore region: no loss looks there."
    count = answer.candidates.count
    kept, far = count(Fate.KEPT), count(Fate.TOO_FAR)
    limit, best = found.grid.config.limit, found.grid.config.num_neighbors
    if kept:
        text = f"{place} has {_look_alikes(kept)} in frame {answer.frame}"
        beyond, ignored = count(Fate.BEYOND_K), count(Fate.IGNORED)
        if ignored:
            lie = "lies" if ignored == 1 else "lie"
            return f"{text}; {ignored} more {lie} in an ignore region, where no loss looks."
        if beyond:
            were = "was" if beyond == 1 else "were"
            return f"{text}; {beyond} more {were} alike, but only the best {best} count."
        were = "was" if far == 1 else "were"
        return f"{text}; {far} more {were} too far in colour (over {limit:g})."
    text = f"{place} has no look-alike in frame {answer.frame}"
    if count(Fate.IGNORED):
        return f"{text} that counts: what it looks like lies in an ignore region."
    if count(Fate.RADIUS):
        return (
            f"{text} within the search radius ({found.grid.radius:.0f} px), but one beyond it: "
            "it moved further than the method looks."
        )
    compared = answer.candidates.distance[answer.candidates.of(Fate.TOO_FAR)]
    nearest = f" (nearest {compared.min():.1f}, over {limit:g})" if len(compared) else ""
    return f"{text}: all are too far in colour{nearest}. It is hidden there, or changed."


def path_words(found: Inspection) -> str:
    """Say where the cyclic tube led."""
    path = found.path
    if path is None:
        return ""
    if path.wanted < 2:
        return "The tube needs a frame after this one."
    last = path.frames[-1]
    if len(path.frames) < path.wanted:
        return f"The tube ends in frame {last}: no look-alike in frame {last + 1}."
    if path.back is None:
        return f"The tube reaches frame {last}, but nothing leads from there back to {found.frame}."
    away = (np.array(path.back) - found.cell) * found.grid.cell_size
    where = "where it began" if not away.any() else f"{np.hypot(*away):.0f} px from where it began"
    return f"The tube goes to frame {last} and back: it ends {where}."


def _look_alikes(count: int) -> str:
    return f"{count} look-alike{'' if count == 1 else 's'}"
