from __future__ import annotations

import dataclasses
import errno
import importlib
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch
from transformers import (
    MobileNetV2Config,
    ResNetBackbone,
    ResNetConfig,
    ResNetForImageClassification,
    ResNetModel,
)
from transformers.utils import logging as transformers_logging

from backbone_weights import (
    ENCODER,
    HUB_ID,
    encoder_of,
    naming,
    never,
    same,
    told,
    trainer_of,
    write,
)
from maskfree.config import Config, ModelConfig
from maskfree.errors import InputError
from maskfree.model.backbone import backbone_config, pretrained_backbone
from maskfree.model.build import build_model

if TYPE_CHECKING:
    from maskfree.session import Session

# the network


def test_the_backbone_of_the_default_is_what_it_was() -> None:
    expected = ResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, 64, 96, 128],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    assert backbone_config(ModelConfig()).to_dict() == expected.to_dict()


@pytest.mark.parametrize("config", [ModelConfig.resnet18(), ModelConfig.resnet50()])
def test_the_stem_of_the_published_resnets_has_64_channels(config: ModelConfig) -> None:
    assert backbone_config(config).embedding_size == 64


def test_the_published_sizes_give_the_published_networks() -> None:
    counts = []
    for config in (ModelConfig.resnet18(), ModelConfig.resnet50()):
        with torch.device("meta"):
            made = ResNetBackbone(backbone_config(config))
        counts.append(sum(p.numel() for p in made.parameters()))
    # torchvision's 11 689 512 and 25 557 032 without their classifiers (1000 classes)
    assert counts == [11_689_512 - 513 * 1000, 25_557_032 - 2049 * 1000]


def test_bottlenecks_need_sizes_that_can_be_divided(model_config: ModelConfig) -> None:
    config = dataclasses.replace(
        model_config, backbone_layer="bottleneck", backbone_sizes=(8, 8, 18, 16)
    )
    with pytest.raises(InputError) as caught:
        build_model(config, num_classes=1, num_queries=1)
    assert str(caught.value) == (
        "model.backbone_sizes must be multiples of 4 with bottlenecks, got 8,8,18,16."
    )


@pytest.mark.parametrize("layer", ["basic", "bottleneck"])
def test_a_network_of_either_kind_of_block_sees(model_config: ModelConfig, layer: str) -> None:
    config = dataclasses.replace(model_config, backbone_layer=layer)
    network = build_model(config, num_classes=1, num_queries=1).eval()
    with torch.no_grad():
        output = network(torch.rand(1, 2, 3, 64, 96))
    assert torch.isfinite(output.mask_logits[-1]).all()


# a folder


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        (ResNetModel, "basic"),
        (ResNetBackbone, "bottleneck"),
        (ResNetForImageClassification, "basic"),
    ],
)
@pytest.mark.usefixtures("no_hub")
def test_a_run_begins_with_the_weights_of_a_folder(
    tmp_path: Path, small_session: Session, small_config: Config, kind: Any, layer: str
) -> None:
    model = dataclasses.replace(small_config.model, backbone_layer=layer)
    config = dataclasses.replace(small_config, model=model)
    expected = write(tmp_path / "weights", model, kind)
    found = encoder_of(trainer_of(small_session, naming(config, tmp_path / "weights")))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert not same(found, encoder_of(trainer_of(small_session, config)))


@pytest.mark.usefixtures("no_hub")
def test_what_is_not_of_the_backbone_begins_as_without_it(
    tmp_path: Path, small_session: Session, small_config: Config
) -> None:
    write(tmp_path, small_config.model)
    fresh = trainer_of(small_session, small_config)
    state = torch.get_rng_state()
    other = trainer_of(small_session, naming(small_config, tmp_path))
    assert torch.equal(torch.get_rng_state(), state)
    rest = [k for k in fresh.model.state_dict() if not k.startswith(ENCODER)]
    assert len(rest) > 20
    for name in rest:
        assert torch.equal(fresh.model.state_dict()[name], other.model.state_dict()[name]), name


def test_weights_without_safetensors_are_read_too(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    expected = write(tmp_path, model_config)
    (tmp_path / "model.safetensors").unlink()
    torch.save(expected, tmp_path / "pytorch_model.bin")
    config = dataclasses.replace(model_config, backbone_weights=str(tmp_path))
    found = pretrained_backbone(config)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_half_precision_becomes_single_and_old_counters_may_be_missing(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    expected = write(tmp_path, model_config)
    kept = {k: v.half() for k, v in expected.items() if not k.endswith("num_batches_tracked")}
    safetensors.torch.save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = dataclasses.replace(model_config, backbone_weights=str(tmp_path))
    found = pretrained_backbone(config)
    for name, value in kept.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], value.float())


def test_nothing_is_printed(
    tmp_path: Path, model_config: ModelConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, model_config, ResNetForImageClassification)  # its head is left over
    capfd.readouterr()
    verbosity = transformers_logging.get_verbosity()
    pretrained_backbone(dataclasses.replace(model_config, backbone_weights=str(tmp_path)))
    assert capfd.readouterr() == ("", "")
    assert transformers_logging.get_verbosity() == verbosity
    assert transformers_logging.is_progress_bar_enabled()


def test_progress_bars_that_a_person_insists_on_are_no_warning(
    tmp_path: Path, model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, model_config)
    bars = importlib.import_module("huggingface_hub.utils.tqdm")
    monkeypatch.setattr(bars, "HF_HUB_DISABLE_PROGRESS_BARS", False)  # the environment says 0
    config = dataclasses.replace(model_config, backbone_weights=str(tmp_path))
    assert pretrained_backbone(config)
    build_model(config, num_classes=1, num_queries=1)
    assert not bars.are_progress_bars_disabled()


def test_building_a_model_leaves_progress_bars_and_the_hub_alone(
    model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    verbosity = transformers_logging.get_verbosity()
    for name in ("disable_progress_bar", "enable_progress_bar"):
        monkeypatch.setattr(transformers_logging, name, never)
    build_model(model_config, num_classes=1, num_queries=1)
    assert transformers_logging.get_verbosity() == verbosity


# a folder that does not fit


def test_other_sizes_are_refused(tmp_path: Path, model_config: ModelConfig) -> None:
    write(tmp_path, model_config)
    other = dataclasses.replace(
        model_config, backbone_sizes=(8, 8, 16, 32), backbone_depths=(1, 2, 1, 1)
    )
    assert told(other, tmp_path) == (
        f"{tmp_path} holds another ResNet than the settings describe: hidden_sizes "
        "[8, 8, 16, 16], not [8, 8, 16, 32]; depths [1, 1, 1, 1], not [1, 2, 1, 1]. Set "
        "model.backbone_sizes, model.backbone_depths and model.backbone_layer to fit, or give "
        "other weights."
    )


def test_a_description_that_leaves_out_what_is_usual_is_read_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}', encoding="utf-8")
    # the library's usual ResNet is the ResNet-50
    assert "holds no weights: " in told(ModelConfig.resnet50(), tmp_path)
    assert "layer_type bottleneck, not basic" in told(ModelConfig.resnet18(), tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_act", "gelu"), ("downsample_in_first_stage", True), ("num_channels", 1)],
)
def test_a_resnet_that_computes_something_else_is_refused(
    tmp_path: Path, model_config: ModelConfig, key: str, value: Any
) -> None:
    write(tmp_path, model_config)
    path = tmp_path / "config.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**about, key: value}), encoding="utf-8")
    assert f"{key} {value}, not " in told(model_config, tmp_path)


def test_tensors_that_are_not_as_described_are_refused(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    expected = write(tmp_path, model_config)
    first = "embedder.embedder.convolution.weight"
    for changed in (
        {k: v for k, v in expected.items() if k != first},
        {**expected, first: torch.rand(9, 3, 7, 7)},
    ):
        safetensors.torch.save_file(
            changed, tmp_path / "model.safetensors", metadata={"format": "pt"}
        )
        assert told(model_config, tmp_path) == (
            f"The weights in {tmp_path} are not those that its config.json describes (1 tensors "
            f"are missing or of another size, first {first}). Download both again."
        )


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, model_config: ModelConfig, keep: int) -> None:
    write(tmp_path, model_config)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    text = told(model_config, tmp_path)
    assert text.startswith(f"The weights in {tmp_path} cannot be read (")
    assert text.endswith("Download model.safetensors again.")


def test_a_file_that_would_run_code_is_refused_and_does_not(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    write(tmp_path, model_config)
    (tmp_path / "model.safetensors").unlink()
    for name, save in (("zip", torch.save), ("pickle", pickle.dump)):
        with (tmp_path / "pytorch_model.bin").open("wb") as file:
            save({"embedder.embedder.convolution.weight": Trap()}, file)
        assert "they are damaged, incomplete or more than weights" in told(
            model_config, tmp_path
        ), name
        assert not (tmp_path / "sprung").exists()


def test_a_folder_without_weights_is_refused(tmp_path: Path, model_config: ModelConfig) -> None:
    write(tmp_path, model_config)
    (tmp_path / "model.safetensors").unlink()
    assert told(model_config, tmp_path) == (
        f"{tmp_path} holds no weights: there is no model.safetensors and no pytorch_model.bin. "
        "Download the first of them beside its config.json."
    )


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\xfe"])
def test_a_folder_that_does_not_say_what_it_holds_is_refused(
    tmp_path: Path, model_config: ModelConfig, content: bytes | None
) -> None:
    write(tmp_path, model_config)
    path = tmp_path / "config.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    text = told(model_config, tmp_path)
    assert text.startswith(f"{path} should describe a ResNet and cannot be read: ")
    assert text.endswith("Give a folder with config.json and model.safetensors, as a hub has them.")


def test_another_network_is_refused(tmp_path: Path, model_config: ModelConfig) -> None:
    MobileNetV2Config().save_pretrained(tmp_path)
    assert told(model_config, tmp_path) == (
        f'{tmp_path} should hold a ResNet for transformers (model_type "resnet"), got '
        '"mobilenet_v2". Give the folder of a ResNet.'
    )


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("name", ["/no/such/folder", "./weights", "../w", "a/b/c", "~/nowhere/x"])
def test_a_missing_folder_is_refused(model_config: ModelConfig, name: str) -> None:
    assert told(model_config, name) == (
        f"There is no folder {Path(name).expanduser()} with pretrained weights. Check "
        "model.backbone_weights, or leave it empty to begin with fresh ones."
    )


LONG = "x" * 5000


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("name", "shown", "reason"),
    [
        ("~nosuchuser/x", "~nosuchuser/x", "Could not determine home directory"),
        ("a\0b", "a\0b", "embedded null byte"),
        (LONG, "x" * 200 + "…", "File name too long"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(
    model_config: ModelConfig, name: str, shown: str, reason: str
) -> None:
    assert told(model_config, name) == (
        f"model.backbone_weights must be a folder or a hub id, and {shown} cannot be looked up "
        f"({reason}). Give the folder that holds config.json and model.safetensors, or leave it "
        "empty to begin with fresh weights."
    )


@pytest.mark.usefixtures("no_hub")
def test_a_folder_that_may_not_be_entered_is_refused(
    tmp_path: Path, model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.stat

    def denied(self: Path, **how: Any) -> Any:
        if self == tmp_path / "x":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return real(self, **how)

    monkeypatch.setattr(Path, "stat", denied)
    assert "cannot be looked up (Permission denied). Give" in told(model_config, tmp_path / "x")


@pytest.mark.usefixtures("no_hub")
def test_a_file_is_no_folder(tmp_path: Path, model_config: ModelConfig) -> None:
    write(tmp_path, model_config)
    path = tmp_path / "model.safetensors"
    assert told(model_config, path) == (
        f"model.backbone_weights must be a folder or a hub id, but {path} is a file. Give the "
        "folder that holds config.json and model.safetensors."
    )


def test_sizes_that_make_no_network_are_told_before_weights_are_looked_for(
    model_config: ModelConfig,
) -> None:
    wrong = dataclasses.replace(model_config, backbone_depths=(1, 1))
    assert told(wrong, HUB_ID).startswith("model.backbone_depths must be 4 numbers above 0")


def test_pictures_are_normalised_as_the_weights_expect(model_config: ModelConfig) -> None:
    network = build_model(model_config, num_classes=1, num_queries=1)
    np.testing.assert_allclose(network.mean.flatten(), (0.485, 0.456, 0.406), rtol=1e-6)
    np.testing.assert_allclose(network.std.flatten(), (0.229, 0.224, 0.225), rtol=1e-6)
