"""Folders with a file a frame: whether the files' names tell which frame each is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.formats.davis import names_of_frames
from maskfree.video_folder import natural_key

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["loss_of_order"]


def loss_of_order(names: Sequence[str]) -> list[str]:
    """Name that frames come back in another order, or with others between them.

    ``names``: of the frames that have a file, in their own order.
    """
    if not names or list(names_of_frames(sorted(names, key=natural_key))) == list(names):
        return []
    return [
        "frames are read in the order of their names (those that are numbers from 0 number the "
        "frames), which is another one here"
    ]
