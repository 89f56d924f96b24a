"""Bounds on what a file may ask for, checked before anything of that size is made."""

from __future__ import annotations

from maskfree.config import FormatConfig
from maskfree.errors import InputError

__all__ = ["check_masks", "check_size"]


def check_size(height: int, width: int, where: str) -> None:
    """Check the size of a frame in pixels, as a file gives it; ``where`` begins the message.

    Raises
    ------
    InputError
        Where a side is below 1 or beyond ``FormatConfig.most_side``, or there are more pixels than
        ``FormatConfig.most_pixels``.
    """
    config = FormatConfig()
    least, most = min(height, width), max(height, width)
    if least < 1 or most > config.most_side or height * width > config.most_pixels:
        raise InputError(
            f"{where}: a frame must have sides of 1 to {config.most_side} pixels and up to "
            f"{config.most_pixels} pixels in all, got {width} x {height} (width x height). "
            "Correct the size, or scale the video down."
        )


def check_masks(count: int, height: int, width: int, where: str) -> None:
    """Check that the masks of one frame fit into memory; ``where`` begins the message.

    Raises
    ------
    InputError
        Where ``count`` masks of this size have more than ``FormatConfig.frame_pixels`` pixels.
    """
    most = FormatConfig().frame_pixels
    if count * height * width > most:
        raise InputError(
            f"{where}: the masks of one frame may have up to {most} pixels together, got {count} "
            f"masks of {width} x {height} pixels. Split the file, or scale the masks down."
        )
