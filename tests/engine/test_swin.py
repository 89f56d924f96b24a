"""A Swin as the backbone: its sizes, and pretrained weights from a folder."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import SwinModel

from backbone_weights import write
from maskfree.config import ModelConfig
from maskfree.errors import InputError
from maskfree.model.backbone import backbone_config, pretrained_backbone
from maskfree.model.build import build_model

if TYPE_CHECKING:
    from pathlib import Path

SWIN = ModelConfig(
    backbone="swin",
    backbone_sizes=(16, 32, 64, 128),
    backbone_depths=(1, 1, 2, 1),
    backbone_heads=(1, 2, 4, 4),
    backbone_window=4,
)


def test_a_swin_begins_with_the_weights_of_a_folder(tmp_path: Path) -> None:
    expected = write(tmp_path, SWIN, SwinModel)
    config = dataclasses.replace(SWIN, backbone_weights=str(tmp_path))
    found = pretrained_backbone(config)
    stages = [key for key in found if key.startswith("hidden_states_norms.")]
    assert len(stages) == 8  # only a backbone has them; fresh, as in Mask2Former
    for key, value in found.items():
        if key not in stages:
            torch.testing.assert_close(value, expected[key.removeprefix("swin.")])
    model = build_model(config, num_classes=1, num_queries=1)
    model.model.pixel_level_module.encoder.load_state_dict(found)


def test_another_swin_is_refused_by_what_differs(tmp_path: Path) -> None:
    write(tmp_path, SWIN, SwinModel)
    wider = dataclasses.replace(
        SWIN, backbone_window=7, backbone_depths=(1, 1, 1, 1), backbone_weights=str(tmp_path)
    )
    with pytest.raises(InputError) as caught:
        pretrained_backbone(wider)
    assert str(caught.value) == (
        f"{tmp_path} holds another Swin than the settings describe: depths [1, 1, 2, 1], not [1, "
        "1, 1, 1]; window_size 4, not 7. Set model.backbone_sizes, model.backbone_depths, "
        "model.backbone_heads and model.backbone_window to fit, or give other weights."
    )
    with pytest.raises(InputError, match=r'should hold a ResNet .*, got "swin"'):
        pretrained_backbone(dataclasses.replace(ModelConfig(), backbone_weights=str(tmp_path)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"backbone_sizes": (16, 32, 48, 128)},
            "must double from stage to stage, got 16,32,48,128. Take 16,32,64,128.",
        ),
        (
            {"backbone_heads": (3, 2, 4, 4)},
            r"must be 4 numbers that divide model.backbone_sizes \(16,32,64,128\), got 3,2,4,4.",
        ),
    ],
)
def test_sizes_that_make_no_swin(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        backbone_config(dataclasses.replace(SWIN, **change))
