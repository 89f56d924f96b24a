"""What ties the frames of a clip together: TK-Loss, or one of the baselines it is compared with."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from maskfree.correspondence import frame_pairs, match_clip
from maskfree.errors import InputWarning
from maskfree.flow_matches import flow_of, match_flow
from maskfree.losses import pairwise3d_loss, temporal_flow_loss, temporal_knn_loss
from maskfree.match_cache import MatchCache

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.sampling import TrainingClip

__all__ = ["TemporalTerm"]


class TemporalTerm:
    """The temporal loss that ``config.temporal.method`` names, of one clip after the other.

    ``matches``: what keeps the matches of frames that are seen again, None where none are.

    Raises
    ------
    InputError
        Where the flow that the settings name cannot be had.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        # clips that are each enlarged by another amount never show the same frame twice
        again = config.temporal.method == "knn" and not config.augment.scale_jitter
        self.matches = MatchCache(config.temporal) if again else None
        self._flow = None
        if config.temporal.flow_weights and config.temporal.method != "flow":
            warnings.warn(
                "temporal.flow_weights is of use with temporal.method=flow alone; the method is "
                f"{config.temporal.method}.",
                InputWarning,
                stacklevel=2,
            )
        if config.temporal.method == "flow":  # what is at fault with it is said before any step
            self._flow = flow_of(config.temporal, torch.device("cpu"))

    @property
    def is_off(self) -> bool:
        """Whether it is nothing."""
        return not self.config.temporal.weight or self.config.temporal.method == "none"

    def __call__(
        self, logits: torch.Tensor, box_masks: torch.Tensor, sample: TrainingClip, *, layers: int
    ) -> torch.Tensor:
        """Return the weighted loss, a scalar; the matches serve all decoder outputs.

        ``logits``, ``box_masks``: ``(L N, T, H4, W4)``, of L decoder outputs one after the other.
        """
        config, lab, ignored = self.config.temporal, sample.clip.lab, sample.ignored
        if config.method == "pairwise3d":
            pairs, pairwise = frame_pairs(len(lab), config.tube), self.config.pairwise
            return config.weight * pairwise3d_loss(
                logits, box_masks, lab, pairs, config=pairwise, ignored=ignored
            )
        boxes = box_masks if config.inside_boxes else None
        if config.method == "flow":
            rgb = sample.clip.rgb
            if config.flow_weights:
                self._flow = flow_of(config, rgb.device)
            found = match_flow(rgb, config=config, flow=self._flow)
            loss = temporal_flow_loss(
                logits, None, boxes, config=config, matches=found, ignored=ignored
            )
        else:
            kept = self.matches
            found = match_clip(lab, config=config) if kept is None else kept.match_clip(lab)
            loss = temporal_knn_loss(
                logits, lab, boxes, config=config, matches=found, ignored=ignored
            )
        if config.normaliser == "matches":
            return loss
        # a sum over the instances of all decoder outputs
        return loss / (len(logits) if self.config.objective.temporal_mean else layers)
