"""Pretrained backbones to try: made here, saved as a hub has them."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import (
    ResNetModel,
)

from maskfree.errors import InputError, InputWarning
from maskfree.model.backbone import backbone_config, pretrained_backbone
from maskfree.model.hub_folder import quiet
from maskfree.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import Config, ModelConfig
    from maskfree.session import Session

CPU = torch.device("cpu")
HUB_ID = "somebody/resnet-8"
ENCODER = "model.pixel_level_module.encoder."


def resnet(config: ModelConfig, kind: Any = ResNetModel) -> Any:
    """A ResNet whose every number is its own, the running statistics too."""
    torch.manual_seed(11)
    made = kind(backbone_config(config)).eval()
    for value in made.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.1)
        else:
            value.fill_(7)
    return made


def write(folder: Path, config: ModelConfig, kind: Any = ResNetModel) -> dict[str, torch.Tensor]:
    """Save such a ResNet as the hub has it; return its tensors by their names in a backbone."""
    made = resnet(config, kind)
    with quiet():
        made.save_pretrained(folder)
    return {
        key.removeprefix("resnet."): value
        for key, value in made.state_dict().items()
        if not key.startswith("classifier.")
    }


def naming(config: Config, weights: str | Path) -> Config:
    model = dataclasses.replace(config.model, backbone_weights=str(weights))
    return dataclasses.replace(config, model=model)


def gently(config: Config) -> Config:
    optimiser = dataclasses.replace(config.optimiser, backbone_multiplier=0.1)
    return dataclasses.replace(config, optimiser=optimiser)


def multiplier_of(trainer: Trainer) -> float:
    of_backbone = trainer._optimiser.param_groups[1]
    first = next(trainer.model.model.pixel_level_module.encoder.parameters())
    assert of_backbone["params"][0] is first
    return float(of_backbone["multiplier"])


def told(config: ModelConfig, weights: str | Path) -> str:
    """Return the refusal of ``weights``, which is one line."""
    with pytest.raises(InputError) as caught:
        pretrained_backbone(dataclasses.replace(config, backbone_weights=str(weights)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def encoder_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = trainer.model.model.pixel_level_module.encoder.state_dict()
    return state


def trainer_of(session: Session, config: Config, **how: Any) -> Trainer:
    return Trainer(session.open_video(), session.boxes, config, device=CPU, seed=1, **how)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[k], second[k]) for k in first)


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("nobody should have asked")


def warned(config: ModelConfig, weights: str) -> tuple[dict[str, torch.Tensor], list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = pretrained_backbone(dataclasses.replace(config, backbone_weights=weights))
    assert all(issubclass(each.category, InputWarning) for each in caught)
    return found, [str(each.message) for each in caught]


WARNING = (
    f"The backbone was to begin with the pretrained weights {HUB_ID}, but there is no folder "
    f"{HUB_ID} here, and they could not be fetched from the hub or its cache ([Errno -2] Name or "
    "service not known). It begins with fresh weights, which learn at the full rate in this run "
    "and for which the preset tiny is made. To use pretrained ones, download config.json and "
    f"model.safetensors of {HUB_ID} elsewhere and name their folder: --set "
    "model.backbone_weights=FOLDER"
)
