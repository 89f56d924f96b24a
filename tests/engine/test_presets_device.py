from __future__ import annotations

import dataclasses

import pytest
import torch

from maskfree.config import Config, PairwiseConfig, TemporalKNNConfig
from maskfree.device import resolve_device
from maskfree.errors import InputError
from maskfree.presets import PRESETS, preset
from maskfree.settings import changes


def test_tiny_is_the_default() -> None:
    assert preset("tiny") == Config()
    assert list(PRESETS) == [
        *("tiny", "paper", "released", "boxinst", "resnet18", "resnet50"),
        *("r50", "r101", "swin-t", "swin-s", "swin-b", "swin-l"),
    ]


def test_tiny_learns_from_scratch_from_the_consensus() -> None:
    config = preset("tiny")
    assert config.pairwise == PairwiseConfig.from_scratch() != PairwiseConfig.paper()
    assert config.temporal == TemporalKNNConfig.from_scratch() != TemporalKNNConfig.paper()
    assert config.evidence.seek
    assert config.evidence.weight > 0
    assert config.consensus.train
    assert config.consensus.refine
    assert config.consensus.teacher_at < 1


@pytest.mark.parametrize(
    ("name", "pairwise", "temporal"),
    [
        ("paper", PairwiseConfig.paper(), TemporalKNNConfig.paper()),
        ("released", PairwiseConfig.released(), TemporalKNNConfig.released()),
        ("boxinst", PairwiseConfig.paper(), TemporalKNNConfig(method="none")),
    ],
)
def test_the_published_recipes_have_their_own_terms_alone(
    name: str, pairwise: PairwiseConfig, temporal: TemporalKNNConfig
) -> None:
    config = preset(name)
    assert config.preset == name
    assert (config.pairwise, config.temporal) == (pairwise, temporal)
    assert config.objective.outside_weight == 0
    assert config.evidence.weight == 0
    assert not config.evidence.seek
    assert not config.consensus.train
    assert not config.consensus.refine
    assert config.prior.weight == 0
    assert config.matching.mode == "tube"
    assert config.sampling.contrast == 0  # Lab as it is
    assert config.sampling.shuffle is (name == "released")
    assert config.model == Config().model
    assert not config.follow.between  # boxes interpolated
    assert config.augment.scale_jitter == 0.2
    assert config.optimiser.norm_clips == 0  # running means
    assert not config.predict.middle_scale


@pytest.mark.parametrize(
    ("name", "sizes", "depths", "layer"),
    [
        ("resnet18", (64, 128, 256, 512), (2, 2, 2, 2), "basic"),
        ("resnet50", (256, 512, 1024, 2048), (3, 4, 6, 3), "bottleneck"),
    ],
)
def test_pretrained_presets_are_tiny_but_for_the_backbone(
    name: str, sizes: tuple[int, ...], depths: tuple[int, ...], layer: str
) -> None:
    config, tiny = preset(name), preset("tiny")
    assert config.preset == name
    model = config.model
    assert (model.backbone_sizes, model.backbone_depths) == (sizes, depths)
    assert model.backbone_layer == layer
    assert model.backbone_weights == f"microsoft/resnet-{name[-2:]}"
    assert config.optimiser.backbone_multiplier == 0.1
    plain = {each: getattr(tiny.model, each) for each in vars(model) if "backbone" in each}
    back = dataclasses.replace(
        config,
        preset="tiny",
        model=dataclasses.replace(model, **plain),
        sampling=dataclasses.replace(config.sampling, clip_length=tiny.sampling.clip_length),
        optimiser=tiny.optimiser,
    )
    assert back == tiny
    # as they were before tiny had shorter clips and a higher rate: these serve fresh weights
    assert config.sampling.clip_length == 3
    assert (config.optimiser.steps, config.optimiser.learning_rate) == (180, 1e-3)


@pytest.mark.parametrize("name", ["tiny", "paper", "released", "boxinst"])
def test_the_other_presets_want_no_weights(name: str) -> None:
    assert preset(name).model.backbone_weights == ""
    assert preset(name).model.backbone_layer == "basic"
    assert preset(name).optimiser.backbone_multiplier == 1.0


def test_boxinst_is_the_paper_without_its_temporal_loss() -> None:
    paper, own = preset("paper"), preset("boxinst")
    assert changes(paper, own) == ("temporal.method=none",)


@pytest.mark.parametrize("name", ["paper", "released", "boxinst"])
def test_the_published_objectives_keep_their_run_length(name: str) -> None:
    assert preset(name).optimiser.steps == 300


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        preset("papers")
    assert str(caught.value) == (
        "preset must be one of tiny, paper, released, boxinst, resnet18, resnet50, r50, r101, "
        "swin-t, swin-s, swin-b, swin-l, "
        'got "papers". Did you mean "paper"?'
    )


@pytest.mark.parametrize(
    ("name", "backbone", "weights"),
    [
        ("r50", "microsoft/resnet-50", ""),
        ("r101", "microsoft/resnet-101", ""),
        ("swin-t", "", "facebook/mask2former-swin-tiny-coco-instance"),
        ("swin-l", "", "facebook/mask2former-swin-large-coco-instance"),
    ],
)
def test_the_published_sizes_are_mask2formers(name: str, backbone: str, weights: str) -> None:
    config = preset(name)
    model = config.model
    assert (config.preset, model.backbone_weights, model.weights) == (name, backbone, weights)
    assert (model.hidden_size, model.num_heads, model.encoder_layers) == (256, 8, 6)
    assert (model.feedforward_size, model.encoder_feedforward_size) == (2048, 1024)
    assert (model.decoder_layers, model.num_queries) == (10, 200 if name == "swin-l" else 100)
    assert model.frozen_norms is name.startswith("r")
    # the paper's 1e-4 where a whole network is there to begin with
    optimiser = config.optimiser
    assert optimiser.learning_rate * optimiser.weights_multiplier == pytest.approx(1e-4)


def test_presets_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("tiny").model.num_queries = 3  # type: ignore[misc]


def have(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [
        (False, False, "cpu"),
        (True, False, "cuda"),
        (False, True, "mps"),
        (True, True, "cuda"),
    ],
)
def test_auto_takes_the_fastest(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    have(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device("auto") == torch.device(expected)
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    have(monkeypatch, cuda=False, mps=False)
    with pytest.raises(InputError) as caught:
        resolve_device(name)
    assert str(caught.value) == (
        f"--device {name} was asked for, but torch {torch.__version__} finds no {name} device "
        "here. Use --device auto or --device cpu."
    )
    have(monkeypatch, cuda=True, mps=True)
    assert resolve_device(name) == torch.device(name)


def test_an_unknown_device_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        resolve_device("cude")
    assert str(caught.value) == (
        'device must be one of auto, cpu, cuda, mps, got "cude". Did you mean "cuda"?'
    )
