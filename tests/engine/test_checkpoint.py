from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch

from maskfree.errors import InputError
from maskfree.model.build import build_model
from maskfree.model.checkpoint import load_model, read_tensors, save_model

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import Config

CPU = torch.device("cpu")
CLASSES, IDS = ["cat", "dog"], [3, 7]


@pytest.fixture
def saved(tmp_path: Path, small_config: Config) -> Path:
    torch.manual_seed(0)
    model = build_model(small_config.model, num_classes=2, num_queries=2)
    path = tmp_path / "model.safetensors"
    save_model(path, model, small_config, classes=CLASSES, track_ids=IDS)
    return path


def message(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(path, CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewrite(path: Path, **changes: Any) -> None:
    about = path.with_suffix(".json")
    data = json.loads(about.read_text(encoding="utf-8"))
    about.write_text(json.dumps({**data, **changes}), encoding="utf-8")


def test_a_model_comes_back_as_it_was(tmp_path: Path, small_config: Config) -> None:
    torch.manual_seed(0)
    model = build_model(small_config.model, num_classes=2, num_queries=9)
    rgb = torch.rand(1, 2, 3, 64, 96)
    model.train()(rgb)  # the running means of the backbone are kept as well
    path = tmp_path / "model.safetensors"
    save_model(path, model, small_config, classes=CLASSES, track_ids=IDS)
    torch.manual_seed(1)
    loaded, config, classes, ids = load_model(path, CPU)
    assert (config, classes, ids) == (small_config, CLASSES, IDS)
    assert loaded.config.num_queries == 9
    assert list(loaded.state_dict()) == list(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    with torch.no_grad():
        here, there = model.eval()(rgb), loaded.eval()(rgb)
    assert torch.equal(here.mask_logits[-1], there.mask_logits[-1])


def test_the_files_are_plain_and_nothing_else_is_left(saved: Path) -> None:
    assert sorted(p.name for p in saved.parent.iterdir()) == [
        "model.json",
        "model.safetensors",
    ]
    about = json.loads(saved.with_suffix(".json").read_text(encoding="utf-8"))
    assert about["classes"] == CLASSES
    assert about["track_ids"] == IDS
    assert about["config"]["model"]["hidden_size"] == 32
    tensors = safetensors.torch.load_file(saved)
    assert "class_predictor.weight" in tensors


def test_saving_again_replaces(saved: Path, small_config: Config) -> None:
    model = build_model(small_config.model, num_classes=1, num_queries=1)
    save_model(saved, model, small_config, classes=["cat"], track_ids=[])
    assert load_model(saved, CPU)[2:] == (["cat"], [])


AGAIN = "Fine-tune again to make a new run."


def test_missing_weights(saved: Path) -> None:
    saved.unlink()
    told = message(saved)
    assert told.startswith(f"{saved} is not a readable safetensors file: ")
    assert told.endswith("convert foreign weights with: maskfree convert-weights IN OUT")


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_truncated_weights(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    assert message(saved).startswith(f"{saved} is not a readable safetensors file: ")


def test_weights_that_are_something_else(saved: Path) -> None:
    saved.write_bytes(b"GIF89a" * 100)
    assert message(saved).startswith(f"{saved} is not a readable safetensors file: ")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"\xff\xfe\x00",
        b"{}",
        b'{"format": 2, "config": {}, "classes": ["a"], "track_ids": [], "num_queries": 1}',
        b'{"config": {}, "classes": ["a"], "track_ids": [], "num_queries": 1}',
        b'{"format": 1, "config": {}, "classes": ["a"], "track_ids": []}',
        b'{"format": 1, "config": [], "classes": ["a"], "track_ids": [], "num_queries": 1}',
        b'{"format": 1, "config": {}, "classes": 3, "track_ids": [], "num_queries": 1}',
        b'{"format": 1, "config": {}, "classes": ["a"], "track_ids": ["x"], "num_queries": 1}',
        b'{"format": 1, "config": {}, "classes": ["a"], "track_ids": [], "num_queries": "many"}',
        b'{"format": 1, "config": {"model": 3}, "classes": [], "track_ids": [], "num_queries": 1}',
    ],
)
def test_a_description_that_is_none(saved: Path, content: bytes) -> None:
    about = saved.with_suffix(".json")
    about.write_bytes(content)
    told = message(saved)
    assert told.startswith(f"{about} should describe the weights beside it and cannot be read: ")
    assert told.endswith(AGAIN)


def test_a_description_of_a_newer_version(saved: Path) -> None:
    rewrite(saved, format=2)
    assert "cannot be read: format 2 is not 1, update napari-maskfree." in message(saved)


def test_a_missing_description(saved: Path) -> None:
    saved.with_suffix(".json").unlink()
    assert message(saved).startswith(f"{saved.with_suffix('.json')} should describe the weights")


def test_a_description_of_impossible_sizes(saved: Path) -> None:
    rewrite(saved, config={"model": {"hidden_size": 48}})
    assert "model.hidden_size must be a multiple of 32" in message(saved)


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"classes": ["cat"]}, "class_predictor.weight"),
        ({"num_queries": 5}, "model.transformer_module.queries_embedder.weight"),
        ({"config": {}}, "model.pixel_level_module"),
    ],
)
def test_weights_of_another_model(saved: Path, changes: dict[str, Any], first: str) -> None:
    rewrite(saved, **changes)
    told = message(saved)
    assert told.startswith(f"{saved} holds other weights than model.json describes (")
    assert f"tensors differ, first {first}" in told
    assert told.endswith(AGAIN)


def test_weights_with_too_many_or_too_few_tensors(saved: Path) -> None:
    tensors = read_tensors(saved)
    safetensors.torch.save_file({**tensors, "stranger": torch.zeros(2)}, saved)
    assert "(1 tensors differ, first stranger)" in message(saved)
    tensors.pop("class_predictor.bias")
    safetensors.torch.save_file(tensors, saved)
    assert "(1 tensors differ, first class_predictor.bias)" in message(saved)
