"""From the queries of each clip to instances over the whole video."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from maskfree.errors import InputError
from maskfree.matching import assign_queries

if TYPE_CHECKING:
    from maskfree.clip_features import SeenClip
    from maskfree.config import Config, PredictConfig
    from maskfree.targets import BoxTargets

__all__ = ["Linker", "TrackLinker"]

_ABSENT = -15.0
_LEAST_PROBABILITY = 1e-8


class TrackLinker:
    """Links each clip to the annotated tracks: by bound queries, or by matching with the boxes.

    Parameters
    ----------
    ids
        Track ids in the boxes' order.
    bound_ids
        The track that each of the first queries is bound to; empty: match every clip anew.
    """

    def __init__(self, ids: list[int], bound_ids: list[int], config: Config) -> None:
        self._ids, self._matching = ids, config.matching
        if config.matching.mode == "mask":  # a video to predict has boxes, no masks
            self._matching = dataclasses.replace(config.matching, mode="tube")
        self._queries = [bound_ids.index(i) if i in bound_ids else -1 for i in ids]
        self._num_bound = len(bound_ids)
        self._scores = [0.0] * len(ids)
        self._generator = torch.Generator().manual_seed(0)

    def ids(self) -> list[int]:
        """Return the track id of each row of what :meth:`link` returned last."""
        return self._ids

    def scores(self) -> list[float]:
        """Return the class score of each instance in the last clip."""
        return self._scores

    def link(self, clip: SeenClip, targets: BoxTargets, *, shared: int) -> torch.Tensor:
        """Return mask logits of every track: ``(N, T, H4, W4)``; ``shared`` does not matter."""
        if not self._num_bound:
            return self._match(clip, targets)
        prompts = targets.reach.new_zeros((self._num_bound, *targets.reach.shape[1:]))
        known = [n for n, q in enumerate(self._queries) if q >= 0]
        rows = [self._queries[n] for n in known]
        prompts[rows] = targets.reach[known]
        classes, masks = clip.ask(prompts, rows=self._num_bound)
        out = masks.new_full((len(self._ids), *masks.shape[1:]), _ABSENT)
        out[known] = masks[rows]
        best = classes[:, :-1].amax(1).tolist()
        self._scores = [best[q] if q >= 0 else 0.0 for q in self._queries]
        return out

    def _match(self, clip: SeenClip, targets: BoxTargets) -> torch.Tensor:
        classes, masks = clip.ask(None)
        present = targets.box_masks.flatten(1).any(1).nonzero()[:, 0]
        out = masks.new_full((len(self._ids), *masks.shape[1:]), _ABSENT)
        self._scores = [0.0] * len(self._ids)
        if len(present) > len(masks):
            raise InputError(
                f"{len(present)} tracks are in view, but the network was fine-tuned with "
                f"{len(masks)} queries. Fine-tune again."
            )
        if len(present):
            # any class will do: which instance it is follows from its boxes
            objectness = torch.stack([classes[:, :-1].amax(1), classes[:, -1]], 1)
            labels = torch.zeros(len(present), dtype=torch.long)
            queries = assign_queries(
                objectness.clamp_min(_LEAST_PROBABILITY).log(),
                masks,
                targets.box_masks[present],
                labels,
                present,
                config=self._matching,
                generator=self._generator,
            )
            out[present] = masks[queries]
            for n, score in zip(present.tolist(), classes[queries, :-1].amax(1), strict=True):
                self._scores[n] = float(score)
        return out


class Linker:
    """Links instances over clips without boxes: by mask overlap in the frames that clips share."""

    def __init__(self, config: PredictConfig) -> None:
        self._config = config
        self._scores: list[float] = []
        self._last: torch.Tensor | None = None

    def ids(self) -> list[int]:
        """Return the id of each row of what :meth:`link` returned last: 1, 2, …"""
        return list(range(1, len(self._scores) + 1))

    def scores(self) -> list[float]:
        """Return the score of each instance, from the clip that showed it last."""
        return self._scores

    def link(self, clip: SeenClip, targets: BoxTargets, *, shared: int) -> torch.Tensor:
        """Return mask logits of every instance known so far: ``(N, T, H4, W4)``.

        ``shared``: how many frames the clip has in common with the one before.
        """
        classes, masks = clip.ask(None)
        scores = classes[:, :-1].amax(1)
        order = scores.argsort(descending=True).tolist()
        kept: list[int] = []
        for q in order:
            if scores[q] < self._config.score_threshold or not (masks[q] > 0).any():
                continue
            if all(_iou(masks[q], masks[k]) < self._config.duplicate_overlap for k in kept):
                kept.append(q)
        rows = self._assign(masks[kept], shared)
        count = max([len(self._scores), *[r + 1 for r in rows]])
        out = masks.new_full((count, *masks.shape[1:]), _ABSENT)
        self._scores = self._scores + [0.0] * (count - len(self._scores))
        for query, row in zip(kept, rows, strict=True):
            out[row] = masks[query]
            self._scores[row] = float(scores[query])
        self._last = out
        return out

    def _assign(self, found: torch.Tensor, shared: int) -> list[int]:
        """Return the row of each found instance: of a known one that it overlaps, or a new one.

        Clips that share no frame are compared by the last frame before and the first one now.
        """
        known = len(self._scores)
        rows = [-1] * len(found)
        if self._last is not None and len(found):
            tail, head = self._last[:, -max(1, shared) :], found[:, : max(1, shared)]
            overlap = np.array([[_iou(a, b) for b in tail] for a in head]).reshape(len(found), -1)
            for i, j in zip(*linear_sum_assignment(-overlap), strict=True):
                if overlap[i, j] >= self._config.link_overlap:
                    rows[i] = int(j)
        for i, row in enumerate(rows):
            if row < 0:
                rows[i], known = known, known + 1
        return rows


def _iou(a: torch.Tensor, b: torch.Tensor) -> float:
    first, second = a > 0, b > 0
    union = (first | second).sum()
    return float((first & second).sum() / union) if union else 0.0
