"""True masks: a folder of indexed PNGs, and which frame each of them belongs to."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import list_names
from maskfree.formats.indexed_png import list_pngs, read_ids

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import numpy as np

__all__ = ["Truth", "match_names", "read_truth"]


@dataclasses.dataclass(frozen=True)
class Truth:
    """A folder of true masks: the stem of each file, in natural order, to its path."""

    folder: Path
    files: Mapping[str, Path]

    def ids(self, name: str) -> np.ndarray:
        """Return the ids of one file, uint8 or uint16 ``(H, W)``; 0 is background."""
        return read_ids(self.files[name])


def read_truth(folder: str | os.PathLike[str]) -> Truth:
    """Find the true masks in a folder of indexed PNGs named by frame.

    Raises
    ------
    InputError
        When the folder is missing or holds no PNG.
    """
    place = Path(folder)
    return Truth(place, {stem: place / name for stem, name in list_pngs(place).items()})


def match_names(truth: Truth, frame_names: Sequence[str]) -> dict[int, str]:
    """Return frame number to the name of its true mask, in order of frame.

    A mask belongs to the frame of its name; where none has it and the name is a number, to the
    frame whose name is the same number (``7`` and ``00007``). Masks that fit no frame are left out
    with a warning.

    Raises
    ------
    InputError
        When no mask fits a frame, or two fit the same one.
    """
    by_name = {name: frame for frame, name in enumerate(frame_names)}
    by_number = {int(name): frame for name, frame in by_name.items() if name.isdecimal()}
    matched: dict[int, str] = {}
    unmatched = []
    for name in truth.files:
        frame = by_name.get(name)
        if frame is None and name.isdecimal():
            frame = by_number.get(int(name))
        if frame is None:
            unmatched.append(name)
        elif frame in matched:
            raise InputError(
                f'{truth.folder}: "{matched[frame]}" and "{name}" are both masks of frame '
                f'"{frame_names[frame]}". Remove one.'
            )
        else:
            matched[frame] = name
    if not matched:
        raise InputError(
            f"{truth.folder}: no mask is named after a frame. The masks are named "
            f"{list_names(unmatched)}, the frames {list_names(frame_names)}. Rename the masks."
        )
    if unmatched:
        warnings.warn(
            f"{truth.folder}: {len(unmatched)} masks are named after no frame and are left out: "
            f"{list_names(unmatched)}.",
            InputWarning,
            stacklevel=2,
        )
    return dict(sorted(matched.items()))
