"""What a frame's residual says, in one sentence with its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.tk_residual import Finding, Residual

__all__ = ["residual_words"]


def residual_words(residual: Residual | None, frame: int, name: Callable[[int], str]) -> str:
    """Return the sentence; ``name`` says what a track is called."""
    if residual is None:
        return f"Frame {frame} has no masks to compare."
    if not residual.neighbours:
        return f"The frames beside frame {frame} have no masks to compare it with."
    if not residual.findings:
        return f"Frame {frame} agrees with {_frames(residual.neighbours)}: nothing stands out."
    count = len(residual.findings)
    rank = f" (the largest of {count} findings)" if count > 1 else ""
    return f"Frame {frame}: {_finding(residual.findings[0], residual.cell_area, name)}{rank}."


def _finding(finding: Finding, cell_area: float, name: Callable[[int], str]) -> str:
    many, track = max(1, round(finding.cells * cell_area)), name(finding.track_id)
    where = _frames(finding.frames)
    if finding.missing:
        return f"about {many} pixels match {track} in {where}, but its mask here leaves them out"
    return f"about {many} pixels in the mask of {track} match what is outside it in {where}"


def _frames(frames: Sequence[int]) -> str:
    many = "frames" if len(frames) > 1 else "frame"
    return f"{many} {' and '.join(map(str, frames))}"
