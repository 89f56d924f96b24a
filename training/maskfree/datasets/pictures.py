"""Reading a frame of a data set, checked against what the annotations say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.video_folder import header_size, read_picture
from maskfree.video_source import check_readable, to_rgb

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.datasets.types import DataVideo

__all__ = ["read_frame"]


def read_frame(root: Path, video: DataVideo, frame: int) -> np.ndarray:
    """Return a frame of a video as uint8 RGB ``(H, W, 3)``; ``root``: the pictures' folder.

    Raises
    ------
    InputError
        Where the picture is missing, damaged, deeper than 8 bits, or not of the video's size, which
        is looked at before anything of its own size is made.
    """
    path = root / video.files[frame]
    check_readable(path)
    height, width = header_size(path)
    if (height, width) != (video.height, video.width):
        raise InputError(
            f"{path} is {width} x {height} pixels, its annotations are for {video.width} x "
            f"{video.height}. Copy the right picture there."
        )
    picture = read_picture(path)
    if picture.dtype == np.bool_:
        picture = picture.astype(np.uint8) * np.uint8(255)
    if picture.dtype != np.uint8:
        raise InputError(f"{path} holds {picture.dtype}, not 8 bits. Convert it to 8 bits.")
    return to_rgb(picture)
