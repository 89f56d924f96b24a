"""The network on one clip after the other; what it sees in a frame is kept for the next clip.

Frames meet in the decoder alone, so that a frame which two clips share is looked at once: the
backbone and the pixel decoder take most of the time.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree.model.mask2former_video import FrameFeatures

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["ClipFeatures", "SeenClip"]


@dataclasses.dataclass(frozen=True)
class SeenClip:
    """A clip that the network has seen; ``mirrored``: its mirror image, None: was not looked at."""

    model: Mask2FormerVideo
    plain: FrameFeatures
    mirrored: FrameFeatures | None = None

    def ask(
        self, prompts: torch.Tensor | None, rows: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return class probabilities ``(Q, C + 1)`` and mask logits ``(Q, T, H4, W4)``.

        A clip and its mirror image are averaged in logit space.

        Parameters
        ----------
        prompts
            bool ``(N, T, H4, W4)``, the boxes of the first N queries, or None.
        rows
            Masks of so many queries, the first, are wanted; None: of all.
        """
        classes, masks = self._decode(self.plain, prompts, rows)
        if self.mirrored is not None:
            turned = None if prompts is None else prompts.flip(-1)
            other_classes, other_masks = self._decode(self.mirrored, turned, rows)
            classes, masks = (classes + other_classes) / 2, (masks + other_masks.flip(-1)) / 2
        return classes.softmax(-1), masks

    def _decode(
        self, features: FrameFeatures, prompts: torch.Tensor | None, rows: int | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        boxes = None if prompts is None else prompts[None]
        output = self.model.decode(features, boxes, rows=rows, deep=False)
        return output.class_logits[-1][0], output.mask_logits[-1][0]


class ClipFeatures:
    """Looks at clips that follow each other.

    Parameters
    ----------
    read
        Gives frames as the network sees them, float ``(T, 3, H, W)``, on its device.
    mirror
        Look at the mirror images as well.
    at_once
        Look at no more frames than these at once; None: at all that are new.
    """

    def __init__(
        self,
        model: Mask2FormerVideo,
        read: Callable[[range], torch.Tensor],
        *,
        mirror: bool,
        at_once: int | None = None,
    ) -> None:
        self._model, self._read, self._mirror, self._at_once = model, read, mirror, at_once
        self._frames = range(0)
        self._last: list[FrameFeatures] = []

    def clip(self, first: int, last: int) -> SeenClip:
        """Look at the frames [first, last), in so far as they were not in the clip before."""
        known, parts = self._frames, []
        if known.start <= first < known.stop:
            part = slice(first - known.start, last - known.start)
            parts.append([features.frames(part) for features in self._last])
        fresh = range(min(known.stop, last) if parts else first, last)
        step = self._at_once or max(1, len(fresh))
        for start in range(0, len(fresh), step):
            rgb = self._read(fresh[start : start + step])
            views = [rgb, rgb.flip(-1)] if self._mirror else [rgb]
            parts.append([self._model.features(view[None]) for view in views])
        self._last = [FrameFeatures.joined(each) for each in zip(*parts, strict=True)]
        self._frames = range(first, last)
        return SeenClip(self._model, *self._last)
