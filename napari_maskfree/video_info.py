"""What the window knows of the video that is annotated. No Qt, no napari."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskfree.types import BoxTracks

__all__ = ["VideoInfo"]


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """The video that the boxes belong to.

    ``source`` is the file or folder that the engine can read by itself, None for an image that
    lives in memory only. ``axes`` are the engine's letters for the layer's data (``"tyxc"``),
    ``time_axis`` the index of "t" among the layer's own axes (None for a single image). ``boxes``
    are those that came with the video: a boxes file, or the boxes themselves.
    """

    name: str
    source: str | None
    num_frames: int
    height: int
    width: int
    fps: float | None = None
    axes: str = "tyxc"
    time_axis: int | None = 0
    depth: int = 0
    channels: tuple[int, ...] | None = None
    boxes: str | BoxTracks | None = None

    @property
    def size(self) -> tuple[int, int, int]:
        """Frames, height, width."""
        return self.num_frames, self.height, self.width

    @property
    def summary(self) -> str:
        """One line: size, length and rate."""
        rate = f" · {self.fps:g} fps" if self.fps else ""
        return f"{self.num_frames} frames · {self.width}×{self.height}{rate}"
