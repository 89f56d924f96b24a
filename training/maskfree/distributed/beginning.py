"""What a run's network begins with, the same in every process."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from typing import TYPE_CHECKING

import torch

from maskfree.errors import InputError, InputWarning
from maskfree.model.build import build_model
from maskfree.model.hub_folder import NotFetched
from maskfree.model.initial import find_pretrained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import ModelConfig
    from maskfree.distributed.team import Team
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["begin_network"]

_FRESH = "model.backbone_weights= model.frozen_norms=false schedule.backbone_multiplier=1"


def begin_network(
    config: ModelConfig,
    classes: Sequence[str],
    *,
    weights: str | None,
    seed: int,
    going_on: bool,
    team: Team,
) -> Mask2FormerVideo:
    """Return a network as the settings and ``weights`` (before them) say that it begins.

    Parameters
    ----------
    weights
        See `maskfree.model.initial.read_initial`; None: those of the settings.
    going_on
        Its weights come from a checkpoint: none are looked for.

    Raises
    ------
    InputError
        In every process: for weights that are damaged, of another network or cannot be had, and
        where the processes do not begin with the same.
    """
    named = config if weights is None else dataclasses.replace(config, weights=weights)

    def begin() -> Mask2FormerVideo:
        torch.manual_seed(seed)
        model = build_model(config, num_classes=len(classes), num_queries=1)
        if not going_on:
            with warnings.catch_warnings():
                if not team.main:
                    warnings.simplefilter("ignore", InputWarning)
                _load(model, named, classes)
        return model

    model = team.together(begin)
    if len(set(team.gather(_digest(model)))) > 1:
        raise InputError(
            "The processes begin with other weights than each other. Give every machine the same "
            "files, and the same versions of torch and transformers."
        )
    return model


def _load(model: Mask2FormerVideo, config: ModelConfig, classes: Sequence[str]) -> None:
    with warnings.catch_warnings(record=True) as said:  # of a session's run, which goes on
        warnings.simplefilter("always", InputWarning)
        found = find_pretrained(config)
    wanted = config.weights or config.backbone_weights
    if wanted and found.kind != ("whole" if config.weights else "backbone"):
        reasons = [
            f" ({each.message.why})" for each in said if isinstance(each.message, NotFetched)
        ]
        how = (
            "--weights FOLDER. To begin without it leave --weights out, or the recipe's: --set "
            "model.weights="
            if config.weights
            else f"--set model.backbone_weights=FOLDER. For fresh weights: --set {_FRESH}"
        )
        raise InputError(
            f"{wanted} cannot be had here{''.join(reasons[:1])}, and the network is to begin with "
            f"it. Download it elsewhere and give its folder: {how}"
        )
    for each in said:
        warnings.warn(each.message, stacklevel=2)
    if not wanted and model.frozen_norms and model.norms():
        warnings.warn(
            "The network begins with fresh weights, and its batch norms stay as they are: they "
            f"would learn nothing. Let them learn: --set {_FRESH}",
            InputWarning,
            stacklevel=2,
        )
    if words := found.into(model, classes):
        warnings.warn(words, InputWarning, stacklevel=2)


def _digest(model: Mask2FormerVideo) -> str:
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()
