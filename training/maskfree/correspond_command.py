"""``maskfree correspond``: the 1:K matches between two frames of a video, as a file."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from maskfree.config import Config
from maskfree.correspondence import match_patches
from maskfree.errors import InputError, InputWarning
from maskfree.lab import GRID_STRIDE, to_lab
from maskfree.settings import override
from maskfree.storage import atomic_file
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.types import Matches

__all__ = ["correspond"]

_UNUSED = {
    *("method", "flow_error", "flow_weights", "tube", "centre_frame", "normaliser"),
    *("inside_boxes", "weight", "warmup_steps", "kept_matches"),
}
"""Settings of the temporal loss that say nothing of the matches between two frames."""


def correspond(
    video_path: str, source: int, target: int, settings: Mapping[str, str], out: str
) -> tuple[dict[str, Any], str]:
    """Match frame ``source``, which holds the centres, to ``target``; write ``out`` (.npz).

    Returns what was found: as plain values, and as text.

    Raises
    ------
    InputError
        Where the video has no such frame, or one too small, or ``out`` is no .npz.
    """
    config = override(Config(), settings).temporal
    unused = [key.rpartition(".")[2] for key in settings if key.rpartition(".")[2] in _UNUSED]
    if unused:
        warnings.warn(
            f"--set {' '.join(unused)}: of no use here, where two frames are matched by their "
            "patches, the first of which holds the centres.",
            InputWarning,
            stacklevel=2,
        )
    with open_video(video_path) as video:
        for frame in (source, target):
            if not 0 <= frame < len(video):
                raise InputError(
                    f"{video_path} has the frames 0 to {len(video) - 1}, got frame {frame}. "
                    "Count from the first frame, which is 0."
                )
        labs = _lab(video[source]), _lab(video[target])
    matches = match_patches(*labs, config=config)
    _write_matches(out, matches, (source, target))
    kept = float(matches.valid.any(0).float().mean())
    count, height, width = matches.valid.shape
    result = {"out": out, "shape": [count, height, width], "matched": kept}
    text = f"{out}: {count} x {height} x {width} matches, {kept:.1%} of the cells have one"
    return result, text


def _lab(frame: np.ndarray) -> torch.Tensor:
    """Return uint8 RGB ``(H, W, 3)`` as Lab ``(3, H4, W4)``, cut to whole grid cells."""
    height, width = (side // GRID_STRIDE * GRID_STRIDE for side in frame.shape[:2])
    if not height or not width:
        raise InputError(
            f"A frame must be at least {GRID_STRIDE} pixels high and wide, got "
            f"{frame.shape[1]}x{frame.shape[0]} (width x height). Give a larger video."
        )
    rgb = torch.tensor(frame[:height, :width]).permute(2, 0, 1).float() / 255
    return to_lab(rgb[None])[0]


def _write_matches(path: str, matches: Matches, frames: tuple[int, int]) -> None:
    if not path.endswith(".npz"):
        raise InputError(f"--out must end in .npz, got {path}. Try {path}.npz")
    with atomic_file(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            target_yx=matches.target_yx.numpy(),
            distance=matches.distance.numpy(),
            valid=matches.valid.numpy(),
            frames=np.array(frames),
        )
