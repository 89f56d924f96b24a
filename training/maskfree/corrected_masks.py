"""A session's masks as they stand: what the last run predicted, under what a person corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from maskfree.corrections import apply_corrections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.corrections import Correction
    from maskfree.mask_store import MaskStore
    from maskfree.types import InstanceMasks

__all__ = ["CorrectedMasks", "NothingPredicted"]


class Corrections(Protocol):
    """Where corrections are: on disk, or in a window's memory that is ahead of it."""

    def read(self, frame: int) -> Mapping[int, Correction]:
        """Return a frame's corrections by track id."""

    def frames(self) -> list[int]:
        """Return the frames that have some, in order."""


class NothingPredicted:
    """Stands for the masks on disk as long as no session is saved."""

    def read(self, _frame: int) -> None:
        """Return no masks."""

    def stamp(self, _frame: int) -> None:
        """Return no stamp: there is no file."""

    def frames(self) -> list[int]:
        """Return no frame."""
        return []


class CorrectedMasks:
    """Reads masks frame by frame, corrected; what is shown, exported and evaluated.

    Parameters
    ----------
    predicted, corrections
        Where both are; neither is changed.
    """

    def __init__(self, predicted: MaskStore | NothingPredicted, corrections: Corrections) -> None:
        self.predicted, self.corrections = predicted, corrections

    def read(self, frame: int) -> InstanceMasks | None:
        """Return the masks of ``frame``; None where nothing was predicted or drawn.

        Raises
        ------
        InputError
            Where a file is broken.
        """
        return apply_corrections(self.predicted.read(frame), self.corrections.read(frame))

    def frames(self) -> list[int]:
        """Return the frames that have masks, in order."""
        return sorted({*self.predicted.frames(), *self.corrections.frames()})
