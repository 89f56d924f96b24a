"""The refinement on its own: from boxes filled in to masks, without any network.

The ablation's rows "without refinement" and "refinement on filled boxes" come from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.first_masks import settle_video

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.config import Config
    from maskfree.types import BoxTracks, InstanceMasks
    from maskfree.video import Video

__all__ = ["SWITCHED_OFF", "refined_boxes"]

SWITCHED_OFF = {"consensus.refine": "false"}
"""The settings under which a prediction is not refined."""


def refined_boxes(
    video: Video, tracks: BoxTracks, config: Config
) -> Iterator[tuple[int, InstanceMasks]]:
    """Yield frame and masks of the whole video: the boxes, refined."""
    yield from settle_video(video, tracks, config)
