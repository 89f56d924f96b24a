"""What a run learns from: boxes, or true masks. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.errors import InputError

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.hand_pixels import HandPixels

__all__ = ["by_masks", "check_supervision", "check_told"]


def by_masks(config: Config) -> bool:
    """Whether true masks teach, and they alone."""
    return config.objective.supervision == "masks"


def check_supervision(config: Config) -> None:
    """Check that the settings go together.

    Raises
    ------
    InputError
        Where predictions are to be matched with masks that there are none of.
    """
    if config.matching.mode == "mask" and not by_masks(config):
        raise InputError(
            "matching.mode=mask compares predictions with true masks, which objective.supervision="
            f"{config.objective.supervision} does not have. Set objective.supervision=masks, or "
            "another matching.mode."
        )


def check_told(config: Config, hand: HandPixels) -> None:
    """Check that there is anything to learn from in one video's corrections.

    Raises
    ------
    InputError
        Where masks are to teach, and no frame has one.
    """
    if by_masks(config) and not hand:
        raise InputError(
            "objective.supervision=masks learns from corrected masks alone, and the session has "
            "none of its tracks (gold ones teach nothing). Correct or accept some, or leave "
            "objective.supervision out."
        )
