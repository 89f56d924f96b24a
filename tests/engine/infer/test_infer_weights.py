"""Which weights and which recipe ``maskfree infer`` takes, and which it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch

from maskfree.config import InferenceConfig, RecipeConfig
from maskfree.datasets.opening import open_dataset
from maskfree.errors import InputError
from maskfree.inference import dataset_inference
from maskfree.inference.trained import find_recipe, find_weights, load_trained
from maskfree.model.weights_about import about
from maskfree.settings import as_text, to_dict
from walking_squares import saved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.model.mask2former_video import Mask2FormerVideo

CPU = torch.device("cpu")


def test_a_run_gives_its_newest_checkpoint_and_its_recipe(
    model: Mask2FormerVideo, small_config: Config, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for step in ("00000009", "00000010"):
        saved(run / "checkpoints" / step / "model.safetensors", model, small_config)
    (run / "checkpoints/.begun-11").mkdir()
    newest = run / "checkpoints/00000010"
    assert find_weights(str(run)) == newest / "model.safetensors"
    assert find_weights(str(newest.parent / "00000009")).parent.name == "00000009"
    saved(newest / "ema.safetensors", model, small_config)
    assert find_weights(str(run)).name == "ema.safetensors"
    recipe = RecipeConfig(name="own", inference=InferenceConfig(short_side=96))
    about = {"recipe": to_dict(recipe), "format": 1}
    (run / "recipe.json").write_text(json.dumps(about), encoding="utf-8")
    for source in (run, newest, newest / "ema.safetensors"):
        assert find_recipe(str(source), None, {}) == recipe
    changed = find_recipe(str(run), None, {"inference.top": "3"})
    assert (changed.inference.short_side, changed.inference.top) == (96, 3)
    named = find_recipe(str(run), "ytvis19-r50", {})
    assert named.name == "ytvis19-r50"
    assert find_recipe(str(tmp_path), None, {}) == RecipeConfig()
    (tmp_path / "recipe.json").write_text("[]", encoding="utf-8")  # of something else, above it all
    assert find_recipe(str(saved(tmp_path / "a/w.safetensors", model, small_config)), None, {}) == (
        RecipeConfig()
    )


def test_foreign_weights_are_of_the_recipes_network(
    infer: Callable[..., Any],
    model: Mask2FormerVideo,
    weights: Path,
    small_config: Config,
    root: Path,
    tmp_path: Path,
) -> None:
    """The same numbers without a description beside them, with and without classes' names."""
    infer(weights)
    wanted = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    settings = [f"model.{key}={as_text(value)}" for key, value in vars(small_config.model).items()]
    (tmp_path / "bare").mkdir()
    for name, said in (("order", []), ("names", ["Cat", "DOG"])):
        path = tmp_path / f"bare/{name}.safetensors"
        path.write_bytes(safetensors.torch.save(model.state_dict(), metadata=about(said)))
        done = infer(path, *[word for word in settings if not word.endswith("=")])
        assert done.code == 0, done.err
        assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == wanted
    other = ("cat", "dog", "ox")
    recipe = RecipeConfig(model=small_config.model)
    with pytest.raises(InputError, match="has 2 class outputs without names, the data set 3"):
        load_trained(tmp_path / "bare/order.safetensors", recipe, other, CPU)
    assert load_trained(path, recipe, other, CPU)[1] == ("Cat", "DOG")


def test_what_holds_no_weights_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no nowhere"):
        find_weights("nowhere")
    with pytest.raises(InputError, match="holds no weights: neither ema"):
        find_weights(str(tmp_path))


def test_weights_that_are_no_numbers_are_refused(infer: Callable[..., Any], weights: Path) -> None:
    tensors = safetensors.torch.load_file(weights)
    name = next(name for name in tensors if name.endswith("weight"))
    tensors[name].view(-1)[0] = torch.nan
    safetensors.torch.save_file(tensors, weights)
    done = infer(weights)
    assert done.code == 2
    assert f'"{name}" of {weights} holds numbers that are none (NaN or infinite)' in done.err


def test_a_model_of_other_classes_is_refused(model: Mask2FormerVideo, root: Path) -> None:
    dataset = open_dataset("ytvis2019", root, "valid", masks=True, without_boxes=True)
    two = dataset_inference.infer_videos(model, dataset, InferenceConfig(), device=CPU)
    assert next(two)[1].name == "v0"
    fewer = type(dataset)(dataset.name, dataset.root, ("cat",), (4,), dataset.videos)
    with pytest.raises(InputError, match="model has 2 classes, ytvis2019 valid has 1"):
        next(dataset_inference.infer_videos(model, fewer, InferenceConfig(), device=CPU))
