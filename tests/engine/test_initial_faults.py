"""Weights that are at fault in other ways: precision, names beside them, what is missing."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch

from maskfree.errors import InputError, InputWarning
from maskfree.model.class_names import read_classes, same_classes
from maskfree.model.convert import convert_checkpoint
from maskfree.model.initial import read_initial
from maskfree.model.weights_about import classes_of
from test_initial import HEAD, SWIN, begun, learnt, saved

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import ModelConfig


def converted(folder: Path, config: ModelConfig, names: list[str]) -> Path:
    saved(folder, learnt(config, ["a", "b", "c"]))
    path = folder / "named.safetensors"
    convert_checkpoint(folder / "model.safetensors", path, classes=names)
    return path


def test_the_names_of_the_classes_survive_another_conversion(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    first = converted(tmp_path, model_config, ["cat", "dog", "snake"])
    convert_checkpoint(first, tmp_path / "again.safetensors")
    _, words = begun(model_config, tmp_path / "again.safetensors", ["snake", "ape"])
    assert words.endswith("classes: known snake, new ape")


def test_another_json_file_beside_the_weights_says_nothing_of_them(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    path = converted(tmp_path, model_config, ["cat", "dog", "snake"])
    path.with_suffix(".json").write_text(json.dumps({"classes": ["x", "y", "z"]}))
    assert classes_of(path, 3) == ("cat", "dog", "snake")
    bare = tmp_path / "model.safetensors"
    bare.with_suffix(".json").write_text(json.dumps({"classes": ["x", "y", "z"]}))
    (tmp_path / "config.json").unlink()
    assert classes_of(bare, 3) == ()


def test_names_that_are_not_as_many_as_the_outputs_are_not_used(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    saved(tmp_path, learnt(model_config, ["a", "b", "c"]))
    file = tmp_path / "model.safetensors"
    tensors = safetensors.torch.load_file(file)
    names = {"format": "pt", "classes": json.dumps([*"abcdef", "rabbit"])}
    safetensors.torch.save_file(tensors, file, metadata=names)
    with pytest.warns(InputWarning, match="names 7 classes for 3 class outputs; the names are not"):
        _, words = begun(model_config, file, ["rabbit"])
    assert words.endswith("classes: new rabbit")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_taken_over(
    tmp_path: Path, model_config: ModelConfig, kind: Any
) -> None:
    weights = saved(tmp_path, learnt(model_config, ["cell"]))
    path = tmp_path / "half.pth"
    torch.save({name: value.to(kind) for name, value in weights.items()}, path)
    model, _ = begun(model_config, path, ["cell"])
    assert model.state_dict()[HEAD].dtype == torch.float32
    expected = weights[HEAD].to(kind).float()
    torch.testing.assert_close(model.state_dict()[HEAD], expected)


def test_whole_and_complex_numbers_are_no_weights(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    weights = saved(tmp_path, learnt(model_config, ["cell"]))
    for kind in (torch.int32, torch.complex64):
        path = tmp_path / "odd.pth"
        torch.save({name: value.to(kind) for name, value in weights.items()}, path)
        with pytest.raises(InputError, match="must be real numbers, got a tensor of torch"):
            begun(model_config, path, ["cell"])


def test_what_is_missing_is_no_matter_of_sizes(tmp_path: Path, model_config: ModelConfig) -> None:
    weights = saved(tmp_path, learnt(model_config, ["cell"]))
    del weights["model.transformer_module.decoder.layernorm.bias"]
    torch.save(weights, tmp_path / "less.pth")
    with pytest.raises(InputError) as caught:
        begun(model_config, tmp_path / "less.pth", ["cell"])
    assert str(caught.value) == (
        f"{tmp_path / 'less.pth'} lacks 1 tensors of a whole network, first "
        "model.transformer_module.decoder.layernorm.bias. Give a whole Mask2Former or MaskFreeVIS "
        "checkpoint."
    )


@pytest.mark.parametrize("kind", ["resnet", "swin"])
@pytest.mark.parametrize("form", ["folder", "state_dict"])
def test_a_deeper_network_is_not_cut_off(
    tmp_path: Path, model_config: ModelConfig, kind: str, form: str
) -> None:
    config = SWIN if kind == "swin" else model_config
    deeper = dataclasses.replace(config, backbone_depths=(1, 1, 2, 1))
    weights = saved(tmp_path, learnt(deeper, ["cell"]))
    source = tmp_path
    if form == "state_dict":
        source = tmp_path / "model.pth"
        torch.save(weights, source)
    with pytest.raises(InputError, match=r"1-1-2-1 blocks.* and the settings describe .*1-1-1-1 b"):
        begun(config, source, ["cell"])


def test_a_decoder_is_not_cut_off(tmp_path: Path, model_config: ModelConfig) -> None:
    more = dataclasses.replace(model_config, decoder_layers=model_config.decoder_layers + 1)
    torch.save(saved(tmp_path, learnt(more, ["cell"])), tmp_path / "more.pth")
    with pytest.raises(
        InputError, match=r"tensors do not fit, first model\.transformer_module\.dec"
    ):
        begun(model_config, tmp_path / "more.pth", ["cell"])


def test_queries_that_are_left_out_are_said(tmp_path: Path, model_config: ModelConfig) -> None:
    more = dataclasses.replace(model_config, num_queries=model_config.num_queries + 3)
    network = learnt(more, ["cell"])
    wanted, there = model_config.num_queries, model_config.num_queries + 3
    weights = dict(network.state_dict())
    for name in ("queries_embedder", "queries_features"):
        key = f"model.transformer_module.{name}.weight"
        weights[key] = torch.rand(there, weights[key].shape[1])
    torch.save(weights, tmp_path / "more.pth")
    _, words = begun(model_config, tmp_path / "more.pth", ["cell"])
    assert words.endswith(f"; the first {wanted} of its {there} queries")


def test_a_home_that_is_nobodys_is_no_checkpoint(model_config: ModelConfig) -> None:
    with pytest.raises(InputError, match=r"There is no checkpoint ~nobody-at-all/r50\.pth"):
        read_initial("~nobody-at-all/r50.pth", model_config)


def test_classes_of_one_plain_name_keep_their_own_rows() -> None:
    names = ("T-cell", "person", "T cell", "pedestrian")
    assert same_classes(names, names) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert same_classes(("motorbike", "motorcycle"), ("Motorbike", "moto")) == {0: 0}
    assert same_classes(("person",), ("person", "pedestrian")) == {0: 0, 1: 0}


def test_a_file_that_is_not_there_is_said_to_be_a_file(model_config: ModelConfig) -> None:
    with pytest.raises(InputError) as caught:
        read_initial("./nofile.safetensors", model_config)
    assert str(caught.value) == "There is no checkpoint nofile.safetensors. Check model.weights."


def test_a_list_of_classes_names_each_once(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\ncat\n")
    with pytest.raises(InputError, match=r'names "cat" twice\. Give every class a name of its own'):
        read_classes(str(tmp_path / "names.txt"))
