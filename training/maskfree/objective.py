"""The total objective of one clip, over every decoder output.

    L = w_mask (L_proj + l_pair L_pair + l_temp L_temp + l_out L_out + l_ev L_ev + l_prior L_prior
                + l_corr L_corr) + w_class L_class

The first three are the paper's. *Outside* says that beyond its box a pixel is not this instance;
*evidence* says inside the boxes what the video shows without the network (`evidence.py`,
`consensus.py`); the *prior* says, less and less, that the middle of a box is object and its corners
are not, where that is silent. *Corrections* are what a person painted or accepted, where somebody
did. In an ignore region no loss looks, whoever said something there.
Decoder outputs are stacked along the instance axis, so that each loss is called once.

With ``objective.supervision`` of masks all of that is silent: the clip's true masks (its ``hand``)
teach alone, by cross-entropy and dice with Mask2Former's weights. An instance is there where its
mask is; a clip of which no cell is known teaches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from maskfree.losses import pairwise_loss, projection_loss
from maskfree.losses.mask_terms import cross_entropy_and_dice, masks_loss
from maskfree.matching import assign_queries
from maskfree.supervision import by_masks, check_supervision
from maskfree.temporal_term import TemporalTerm

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.model.mask2former_video import VideoOutput
    from maskfree.sampling import TrainingClip
    from maskfree.targets import BoxTargets

__all__ = ["Objective"]

_NEVER = -15.0
"""Logit of a cell beyond an instance's reach: probability 3e-7, still finite in the losses."""


class Objective:
    """Computes the losses of a clip.

    Parameters
    ----------
    config
        All weights.
    labels
        Class of each annotated track, in the tracks' order; None: each clip says it.
    seed
        Seeds the points drawn for the matching.

    Raises
    ------
    InputError
        For settings that do not go together, or whose optical flow cannot be had.
    """

    def __init__(self, config: Config, labels: list[int] | None, *, seed: int) -> None:
        check_supervision(config)
        self.config = config
        self.labels = None if labels is None else torch.tensor(labels, dtype=torch.long)
        self._generator = torch.Generator().manual_seed(seed)
        self._temporal = TemporalTerm(config)

    @property
    def rng_state(self) -> torch.Tensor:
        """State of the points' generator, for resuming."""
        return self._generator.get_state()

    @rng_state.setter
    def rng_state(self, state: torch.Tensor) -> None:
        self._generator.set_state(state)

    def __call__(
        self, output: VideoOutput, sample: TrainingClip, *, step: int, steps: int
    ) -> dict[str, torch.Tensor]:
        """Return the weighted losses by name; their sum is what is minimised."""
        config, masks = self.config, _masks(sample) if by_masks(self.config) else None
        class_loss = output.class_logits[0].sum(dtype=torch.float32) * 0
        if by_masks(config) and (masks is None or not masks.any()):
            return {"class": class_loss}  # nothing is known of this clip: it is passed over
        known = sample.targets.box_masks if masks is None else masks > 0
        present = known.flatten(1).any(1).nonzero()[:, 0]
        targets = sample.targets.select(present)
        masks = None if masks is None else masks[present]
        classes = self._classes(sample).to(present.device)[present]
        layers = list(zip(output.class_logits, output.mask_logits, strict=True))
        if not config.objective.deep_supervision:
            layers = layers[-1:]
        chosen = []
        for class_logits, mask_logits in layers:
            queries = assign_queries(
                class_logits[0],
                mask_logits[0],
                targets.box_masks,
                classes,
                present,
                config=config.matching,
                generator=self._generator,
                ignored=sample.ignored,
                masks=masks,
            )
            class_loss = class_loss + self._class_loss(class_logits[0], queries, classes)
            chosen.append(mask_logits[0][queries])
        losses = {"class": config.objective.class_weight * class_loss}
        if len(present):
            logits = torch.cat(chosen)
            if masks is None:
                terms = self._box_terms(logits, targets, present, sample, step, steps, len(layers))
            else:
                terms = self._true_terms(logits, targets, masks, len(layers))
            scale = config.objective.mask_weight * len(layers)
            losses.update({name: scale * value for name, value in terms.items()})
        return losses

    def _classes(self, sample: TrainingClip) -> torch.Tensor:
        known = self.labels if sample.classes is None else sample.classes
        if known is None:
            raise ValueError("The clip must say its instances' classes, got none. Set its classes.")
        return known

    def _class_loss(
        self, logits: torch.Tensor, queries: torch.Tensor, classes: torch.Tensor
    ) -> torch.Tensor:
        nothing = logits.shape[-1] - 1
        target = torch.full((len(logits),), nothing, dtype=torch.long, device=logits.device)
        target[queries] = classes
        weight = torch.ones(nothing + 1, device=logits.device)
        weight[nothing] = self.config.objective.no_object_weight
        return functional.cross_entropy(logits.float(), target, weight)

    def _true_terms(
        self, logits: torch.Tensor, targets: BoxTargets, masks: torch.Tensor, layers: int
    ) -> dict[str, torch.Tensor]:
        """Mean over decoder outputs of the terms against true masks ``(N, T, H4, W4)``."""
        # beyond its reach prediction lets no mask of a bound track stand
        bound = self.config.matching.mode == "bound"
        asked = targets.reach.repeat(layers, 1, 1, 1) if bound else None
        entropy, dice = masks_loss(logits.float(), masks.repeat(layers, 1, 1, 1), asked)
        return {"cross-entropy": entropy, "dice": dice}

    def _box_terms(
        self,
        logits: torch.Tensor,
        targets: BoxTargets,
        present: torch.Tensor,
        sample: TrainingClip,
        step: int,
        steps: int,
        layers: int,
    ) -> dict[str, torch.Tensor]:
        """Mean over decoder outputs of each term of the boxes; ``logits (L N, T, H4, W4)``."""
        config = self.config
        logits = logits.float()
        labels = sample.labels[present].repeat(layers, 1, 1, 1)
        rows = torch.arange(len(targets.trust), device=logits.device).repeat(layers)
        repeated = targets.select(rows)
        bound = config.matching.mode == "bound"
        gated = logits.masked_fill(~repeated.reach, _NEVER) if bound else logits
        lab, ignored = sample.clip.lab, sample.ignored
        trust = repeated.trust if bound else None
        # what has no weight costs nothing, and still has a graph
        terms = dict.fromkeys(("projection", "pairwise", "temporal"), logits.sum() * 0)
        if config.objective.projection_weight:
            projection = projection_loss(gated, repeated.box_masks, trust, ignored)
            terms["projection"] = config.objective.projection_weight * projection
        if config.pairwise.weight:
            pairwise = pairwise_loss(
                gated, repeated.box_masks, lab, config=config.pairwise, ignored=ignored
            )
            terms["pairwise"] = config.pairwise.weight * pairwise
        if not self._temporal.is_off:
            warmth = min(1.0, (step + 1) / max(1, config.temporal.warmup_steps))
            temporal = self._temporal(gated, repeated.box_masks, sample, layers=layers)
            terms["temporal"] = warmth * temporal
        if config.objective.outside_weight:
            outside = self._outside(logits, repeated, ignored)
            terms["outside"] = config.objective.outside_weight * outside
        if config.evidence.weight:
            terms["evidence"] = config.evidence.weight * self._evidence(logits, repeated, labels)
        fading = max(config.prior.floor, 1 - step / max(1.0, steps * config.prior.until))
        if config.prior.weight and fading > 0:
            prior = self._prior(logits, repeated, labels, ignored)
            terms["prior"] = config.prior.weight * fading * prior
        if sample.hand is not None:
            told = masks_loss(logits, sample.hand[present].repeat(layers, 1, 1, 1))
            terms["corrections"] = config.corrections.weight * (told[0] + told[1])
        return terms

    def _outside(
        self, logits: torch.Tensor, targets: BoxTargets, ignored: torch.Tensor | None
    ) -> torch.Tensor:
        """Not this instance: beyond every box for sure; in others' boxes, with less weight."""
        others = ~targets.reach & ~targets.certain_background
        weight = targets.certain_background + self.config.objective.other_box_weight * others
        weight = weight if ignored is None else weight.masked_fill(ignored, 0)
        cost = functional.softplus(logits) * weight
        return cost.sum() / weight.sum().clamp_min(1)

    def _evidence(
        self, logits: torch.Tensor, targets: BoxTargets, labels: torch.Tensor
    ) -> torch.Tensor:
        """What the video shows without the network, each cell weighted by how sure that is.

        The evidence alone speaks of few cells, object or background: each side counts as much. The
        consensus speaks of all: cross-entropy and dice, as against true masks (Mask2Former).
        """
        background = targets.reach * (-labels).clamp_min(0)
        foreground = targets.reach * labels.clamp_min(0)
        if not self.config.consensus.train:
            least = max(1.0, self.config.evidence.least_share * float(targets.reach.sum()))
            return _balanced(logits, foreground, background, least)
        return torch.stack(cross_entropy_and_dice(logits, foreground, background)).sum()

    def _prior(
        self,
        logits: torch.Tensor,
        targets: BoxTargets,
        labels: torch.Tensor,
        ignored: torch.Tensor | None,
    ) -> torch.Tensor:
        silent = labels.abs() < self.config.prior.silence
        silent = silent if ignored is None else silent & ~ignored
        centre = silent & (targets.radius < self.config.prior.centre)
        corner = silent & (targets.box_masks > 0) & (targets.radius > self.config.prior.corner)
        return _balanced(logits, centre, corner, least=1)


def _masks(sample: TrainingClip) -> torch.Tensor | None:
    """Return the true masks of a clip, ``(N, T, H4, W4)``, as far as they are known."""
    if sample.hand is None or sample.ignored is None:
        return sample.hand
    return sample.hand.masked_fill(sample.ignored, 0)


def _balanced(
    logits: torch.Tensor, foreground: torch.Tensor, background: torch.Tensor, least: float
) -> torch.Tensor:
    """Cross-entropy, averaged over each side on its own: the smaller side counts as much.

    Each side is a weight per cell. One that sums to fewer than ``least`` cells is averaged over
    ``least``: a few stray cells stay few.
    """
    missed = functional.softplus(-logits) * foreground
    spilled = functional.softplus(logits) * background
    return (
        missed.sum() / foreground.sum().clamp_min(least)
        + spilled.sum() / background.sum().clamp_min(least)
    ) / 2
