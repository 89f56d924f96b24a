"""The cyclic tube of one cell: its best match followed from frame to frame, and back."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from maskfree.inspect_patch import Fate, inspect_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from maskfree.config import TemporalKNNConfig

__all__ = ["PatchPath", "follow_cell"]


@dataclasses.dataclass(frozen=True)
class PatchPath:
    """Where a cell went. ``frames`` and ``cells`` (row, column): the steps, the first one picked.

    ``distances``: Lab, of each step from the one before; one more where the path came back.
    ``back``: the cell in the first frame that the last one leads to, None where it was lost or has
    fewer than two frames. ``wanted``: how many frames it was to have.
    """

    frames: tuple[int, ...]
    cells: tuple[tuple[int, int], ...]
    distances: tuple[float, ...]
    back: tuple[int, int] | None
    wanted: int

    @property
    def lost(self) -> bool:
        """Whether a step had no match, the one back included."""
        return self.back is None and self.wanted > 1


def follow_cell(
    frames: Mapping[int, np.ndarray],
    order: Sequence[int],
    cell: tuple[int, int],
    *,
    config: TemporalKNNConfig,
    stretch: float = 1.0,
    ignored: Callable[[int], np.ndarray | None] = lambda _: None,
) -> PatchPath:
    """Follow the best match of a cell through frames, then from the last back into the first.

    Parameters
    ----------
    frames
        uint8 RGB ``(H, W, 3)`` at the working size, by number.
    order
        The frames of the tube, the picked one first.
    cell
        Row and column in the first frame.
    config, stretch
        As for :func:`maskfree.inspect_patch.inspect_cell`.
    ignored
        Returns the cells of a frame that an ignore region touches, None where there is none.

    Notes
    -----
    MaskFreeVIS figure 5 pairs the frames of a tube like that, t with t+1 and the last with the
    first. The loss compares every cell with K others in each pair; this follows the nearest alone.
    """
    seen, cells, distances = [order[0]], [cell], []
    here = cell

    def step(source: int, target: int) -> bool:
        nonlocal here
        found = inspect_cell(
            frames[source],
            frames[target],
            here,
            config=config,
            stretch=stretch,
            ignored=(ignored(source), ignored(target)),
        )
        kept = found.of(Fate.KEPT)
        if len(kept):
            here = (int(found.yx[kept[0], 0]), int(found.yx[kept[0], 1]))
            distances.append(float(found.distance[kept[0]]))
        return bool(len(kept))

    for source, target in itertools.pairwise(order):
        if not step(source, target):
            return PatchPath(tuple(seen), tuple(cells), tuple(distances), None, len(order))
        seen.append(target)
        cells.append(here)
    closed = len(order) > 1 and step(order[-1], order[0])
    return PatchPath(
        tuple(seen), tuple(cells), tuple(distances), here if closed else None, len(order)
    )
