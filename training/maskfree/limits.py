"""Bounds on what a file may ask for, checked before anything of that size is made."""

from __future__ import annotations

from maskfree.config import FormatConfig
from maskfree.errors import InputError

__all__ = ["check_frame", "check_json", "check_length", "check_masks", "check_size"]

_LIST, _OBJECT, _ITEM = 64, 200, 40
"""Bytes that an empty list, an object and an item of either take in memory."""
_FREE = 1 << 20
"""Text of fewer bytes is not looked at."""


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


def check_frame(height: int, width: int, where: str) -> None:
    """Check the size of a video's frames, as its file gives it; ``where`` begins the message.

    Raises
    ------
    InputError
        Where there are more pixels than ``FormatConfig.video_pixels``.
    """
    most = FormatConfig().video_pixels
    if height * width > most:
        raise InputError(
            f"{where}: a frame may have up to {most} pixels, got {width} x {height}. Check the "
            "file, or scale the video down."
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


def check_length(frames: int, where: str) -> None:
    """Check how many frames a video has, as a file gives it; ``where`` begins the message.

    Raises
    ------
    InputError
        Where there are more than ``FormatConfig.most_frames``.
    """
    most = FormatConfig().most_frames
    if frames > most:
        raise InputError(
            f"{where}: a video may have up to {most} frames, got {frames}. Correct the number."
        )


def check_json(text: str | bytes, where: str) -> None:
    """Check, before JSON is parsed, that its values fit into memory; ``where`` names it.

    What they take is told by the brackets and commas, those within texts included: 3 bytes of file
    may take 64 of memory.

    Raises
    ------
    InputError
        Where that is more than ``FormatConfig.json_memory``, or the text is longer than
        ``FormatConfig.json_bytes``.
    """
    if len(text) < _FREE:
        return
    if isinstance(text, str):
        lists, objects, items = text.count("["), text.count("{"), text.count(",")
    else:
        lists, objects, items = text.count(b"["), text.count(b"{"), text.count(b",")
    config = FormatConfig()
    taken = len(text) + lists * _LIST + objects * _OBJECT + items * _ITEM
    most = config.json_memory
    if len(text) > config.json_bytes:
        raise InputError(
            f"The {where} is longer than {config.json_bytes >> 20} MB. Check that it is the file "
            "you meant, or split it."
        )
    if taken > most:
        raise InputError(
            f"The {where} would take some {taken >> 20} MB of memory, at most {most >> 20} are "
            "given to it. Check that it is the file you meant, or split it."
        )
