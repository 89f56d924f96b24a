"""The results of one video, as Mask2Former-video and MaskFreeVIS publish theirs.

All frames go through the network at once, at the test size. A query's scores are the softmax of
its classes without the last one, "no object"; the best pairs of a query and a class are the
results, the masks the query's logits, enlarged to the video and above 0. Of pictures Mask2Former
multiplies a score by the mean probability within its mask (arXiv 2112.01527, its
``instance_inference``); of videos it does not. Sources: Mask2Former for video instance segmentation
(arXiv 2112.10764) and the released code, whose numbers :class:`maskfree.config.InferenceConfig`
names.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from maskfree import rle
from maskfree.clip_features import ClipFeatures
from maskfree.inference.frames import VideoFrames
from maskfree.inference.query_tracks import QueryTracks, surest, top_pairs
from maskfree.network_pass import windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from maskfree.config import InferenceConfig
    from maskfree.datasets.types import DataVideo
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["FoundTrack", "infer_video"]


@dataclasses.dataclass(frozen=True)
class FoundTrack:
    """One result of a video.

    ``class_index``: its place among the classes that were asked for; ``score``: in [0, 1];
    ``segments``: compressed run lengths (:mod:`maskfree.rle`) of its mask in every frame, at the
    video's size; None: it is not there.
    """

    class_index: int
    score: float
    segments: tuple[str | None, ...]


@torch.no_grad()
def infer_video(
    model: Mask2FormerVideo,
    video: DataVideo,
    root: Path,
    config: InferenceConfig,
    *,
    device: torch.device,
    classes: Sequence[int] | None = None,
    picture: bool = False,
) -> list[FoundTrack]:
    """Return the results of a video, the surest first.

    In memory are the features of one clip, the mask logits of its queries, and run lengths.

    Parameters
    ----------
    root
        The folder that the video's files are relative to.
    classes
        The model's classes that are asked for, in their order; None: all.
    picture
        Whether a score is multiplied by the mean probability within its mask.

    Raises
    ------
    InputError
        Where a picture is missing, damaged, or not of the video's size.
    """
    training = model.training
    model.eval()
    try:
        frames = VideoFrames(video, root, config, model.mean)
        seen = _Inference(model, frames, config, device, picture=picture)
        return seen.run((video.height, video.width), classes)
    finally:
        model.train(training)


class _Inference:
    """What is known of a video while its clips go through the network."""

    def __init__(
        self,
        model: Mask2FormerVideo,
        frames: VideoFrames,
        config: InferenceConfig,
        device: torch.device,
        *,
        picture: bool,
    ) -> None:
        self._frames, self._config, self._device = frames, config, device
        self._picture = picture
        self._seen = ClipFeatures(
            model,
            lambda span: frames.read(span).to(device),
            mirror=False,
            at_once=config.frames_at_once,
        )
        # of a probability, its logit
        self._floor = math.log(config.mask_threshold / (1 - config.mask_threshold))
        self._tracks = QueryTracks(config.link_overlap, self._floor)
        self._segments: list[list[str | None]] = []
        self._within: list[float] = []

    def run(self, size: tuple[int, int], classes: Sequence[int] | None) -> list[FoundTrack]:
        for frame, row, logits in self._merged(classes):
            while len(self._segments) <= row:
                self._segments.append([None] * len(self._frames))
                self._within.append(0.0)
            whole = self._enlarged(logits, size)
            found = whole > self._floor
            if found.any():
                self._within[row] = float(whole[found].sigmoid().mean())
                self._segments[row][frame] = rle.encode(np.asarray(found.cpu())[None])[0]
        scores = self._tracks.scores()
        if len(self._clips()) > 1:  # a mask without a pixel is linked to nothing: one a clip
            scores[[not any(each) for each in self._segments]] = 0
        pairs = top_pairs(scores, self._config.top)
        if self._picture:
            scores = scores * np.array(self._within)[:, None]
            pairs.sort(key=lambda pair: -scores[pair])
        return [
            FoundTrack(column, float(scores[row, column]), tuple(self._segments[row]))
            for row, column in pairs
            if scores[row, column] > 0
        ]

    def _clips(self) -> list[tuple[int, int]]:
        length = self._config.clip_length or len(self._frames)
        return windows(0, len(self._frames), length, min(self._config.overlap, length - 1))

    def _ask(self, first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a clip's class probabilities ``(Q, C + 1)`` and mask logits, of all queries."""
        amp = self._config.amp and self._device.type == "cuda"
        with torch.autocast(self._device.type, enabled=amp):
            return self._seen.clip(first, last).ask(None)

    def _merged(self, classes: Sequence[int] | None) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Yield frame, track and mask logits ``(H4, W4)``, where clips overlap their mean."""
        clips = self._clips()
        pending: dict[int, dict[int, tuple[torch.Tensor, int]]] = {}
        for number, (first, last) in enumerate(clips):
            found, masks = self._ask(first, last)
            scores = np.asarray(found[:, :-1].float().cpu(), np.float64)
            if classes is not None:
                scores = scores[:, list(classes)]
            kept = self._kept(scores, whole=len(clips) == 1)
            masks = masks[kept].float()
            shared = max(0, clips[number - 1][1] - first) if number else 0
            rows = self._tracks.add(scores[kept], masks, shared=shared)
            following = clips[number + 1][0] if number + 1 < len(clips) else last
            for offset, frame in enumerate(range(first, last)):
                here = pending.pop(frame, {})
                for place, row in enumerate(rows):
                    before, count = here.get(row, (masks.new_zeros(()), 0))
                    here[row] = before + masks[place, offset], count + 1
                if frame >= following:
                    pending[frame] = here
                    continue
                for row, (total, count) in here.items():
                    yield frame, row, total / count

    def _kept(self, scores: np.ndarray, *, whole: bool) -> list[int]:
        """Return the queries of a clip that may become results."""
        if not whole:
            return surest(scores, self._config.linked_queries)
        return sorted({query for query, _ in top_pairs(scores, self._config.top)})

    def _enlarged(self, logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Return the logits at the video's ``size``, ``(H, W)``: by way of the padded frame."""
        padded = functional.interpolate(logits[None, None], self._frames.padded, mode="bilinear")
        height, width = self._frames.size
        whole = functional.interpolate(padded[..., :height, :width], size, mode="bilinear")
        return whole[0, 0]
