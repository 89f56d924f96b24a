"""A session's masks as they stand: what the last run predicted, under what a person corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.corrections import apply_corrections

if TYPE_CHECKING:
    from maskfree.correction_store import CorrectionStore
    from maskfree.mask_store import MaskStore
    from maskfree.types import InstanceMasks

__all__ = ["CorrectedMasks"]


class CorrectedMasks:
    """Reads masks frame by frame, corrected; what is shown, exported and evaluated.

    Parameters
    ----------
    predicted, corrections
        Where both are; neither is changed.
    """

    def __init__(self, predicted: MaskStore, corrections: CorrectionStore) -> None:
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
