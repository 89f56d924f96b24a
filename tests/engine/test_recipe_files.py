"""The recipes that come with the program: each loads, builds, and names its sources."""

from __future__ import annotations

import dataclasses
import re
from importlib import resources
from pathlib import Path

import pytest
import torch

from maskfree.config import DataConfig, ModelConfig, RecipeConfig, TemporalKNNConfig
from maskfree.datasets.layouts import KINDS
from maskfree.model.build import build_model
from maskfree.presets import preset
from maskfree.recipes.recipe import load_recipe, recipe_names

PUBLISHED = [
    "bdd-r50",
    "coco-image-pretrain",
    "ovis-r50",
    "ovis-swinl",
    "ytvis19-joint",
    "ytvis19-r101",
    "ytvis19-r50",
    "ytvis19-swinl",
    "ytvis21-r50",
    "ytvis21-swinl",
]
NAMES = sorted([*PUBLISHED, "tiny"])
VALUE = re.compile(r"(\w+) = (.+?)(?:  # (.+))?")
SOURCES = re.compile(r"released|paper|Mask2Former|DVIS|detectron2|BDD100K|COCO|ResNet|ours")
UNSOURCED = {"about", "extends"}
DOCS = Path(__file__).parents[2] / "docs/recipes.md"


def lines(name: str) -> list[str]:
    text = (resources.files("maskfree.recipes") / f"{name}.toml").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and line[0] not in "#["]


def network(name: str) -> str:
    if "swinl" in name:
        return "swin-l"
    return "r101" if "r101" in name else "r50"


def test_these_are_all() -> None:
    assert recipe_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_value_names_its_source_on_its_line(name: str) -> None:
    for line in lines(name):
        match = VALUE.fullmatch(line)
        assert match, line
        key, _, source = match.groups()
        if key not in UNSOURCED:
            assert source, f"{name}: {line}"
            assert SOURCES.search(source), f"{name}: {line}"


@pytest.mark.parametrize("name", NAMES)
def test_every_value_that_differs_from_the_code_is_in_a_file(name: str) -> None:
    """A recipe is the released code's way but for what its file, and those below it, say."""
    recipe, said, base = load_recipe(name), set(), name
    while base:
        own = dict(line.split("  # ")[0].split(" = ", 1) for line in lines(base))
        said |= own.keys()
        base = own.get("extends", "").strip('"')
    plain = RecipeConfig()
    for section in ("model", "temporal", "matching", "data", "extra", "schedule", "inference"):
        mine, default = getattr(recipe, section), getattr(plain, section)
        differs = {key for key in vars(mine) if getattr(mine, key) != getattr(default, key)}
        assert differs <= said
    if name in PUBLISHED:
        assert (recipe.pairwise, recipe.objective) == (plain.pairwise, plain.objective)
    assert recipe.name == name
    assert recipe.about


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_network_is_a_published_one_and_can_be_built(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.model == ModelConfig.published(network(name))
    with torch.device("meta"):
        model = build_model(recipe.model, num_classes=40, num_queries=1)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    assert millions == pytest.approx(
        {"r50": 44.0, "r101": 62.9, "swin-l": 215.5}[network(name)], abs=0.2
    )
    assert model.config.num_queries == recipe.model.num_queries


@pytest.mark.parametrize("name", NAMES)
def test_what_belongs_together_fits(name: str) -> None:
    recipe = load_recipe(name)
    schedule, inference = recipe.schedule, recipe.inference
    assert recipe.data.kind in KINDS
    assert max(schedule.decay_steps) < schedule.steps
    assert recipe.matching.mode == "tube"
    assert inference.clip_length == 0 or inference.overlap < inference.clip_length
    if recipe.extra_share:
        assert recipe.extra.pseudo_frames == recipe.data.clip_length
    if recipe.data.clip_length > 1 and name in PUBLISHED:
        # a cycle of three frames has the pairs that the released code takes of three
        assert recipe.temporal.tube == ("dense" if recipe.data.clip_length == 3 else "cyclic")


@pytest.mark.parametrize("name", NAMES)
def test_the_documents_table_says_what_the_file_does(name: str) -> None:
    recipe = load_recipe(name)
    rows = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if f"`{name}`" in line]
    row = next(line for line in rows if line.startswith("|"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    schedule = recipe.schedule
    expected = [
        f"`{name}`",
        recipe.data.kind + (" + coco" if recipe.extra_share else ""),
        {"r50": "R50", "r101": "R101", "swin-l": "Swin-L"}[network(name)]
        if name in PUBLISHED
        else "tiny",
        str(recipe.data.clip_length),
        str(schedule.batch_size),
        str(schedule.steps),
        f"{schedule.learning_rate:g}",
        ", ".join(map(str, schedule.decay_steps)),
        _sides(recipe.data),
        str(recipe.inference.short_side),
    ]
    assert cells[: len(expected)] == expected
    assert cells[len(expected)]


def _sides(data: DataConfig) -> str:
    if data.scale_side:
        return f"{data.scale_low:g} to {data.scale_high:g} of {data.scale_side}"
    first, last = data.short_sides[0], data.short_sides[-1]
    return f"{first} to {last}" if last > first else str(first)


def test_the_recipe_for_a_cpu_has_the_network_of_the_preset() -> None:
    recipe, config = load_recipe("tiny"), preset("tiny")
    assert (recipe.model, recipe.pairwise) == (config.model, config.pairwise)
    assert recipe.temporal == config.temporal
    assert recipe.objective == config.objective


def test_numbers_by_hand() -> None:
    joint, swin = load_recipe("ytvis19-joint"), load_recipe("ytvis21-swinl")
    assert (joint.schedule.steps, joint.schedule.decay_steps) == (70000, (37500,))
    assert joint.extra_share == pytest.approx(1 / 1.75, abs=1e-3)
    assert (joint.extra.kind, joint.extra.crop, joint.data.crop) == ("coco", True, False)
    assert (swin.schedule.steps, swin.inference.short_side, swin.data.clip_length) == (8000, 360, 3)
    assert load_recipe("ytvis19-swinl").inference.short_side == 480
    first = load_recipe("ytvis19-r50")
    assert (first.data.clip_length, first.temporal.tube, first.temporal.weight) == (
        5,
        "cyclic",
        0.1,
    )


def test_the_documents_settings_make_the_papers_temporal_loss() -> None:
    said = DOCS.read_text(encoding="utf-8").split("--set temporal.window")[1].split("```")[0]
    words = f"temporal.window{said}".replace("\\\n", " ").split()
    changes = dict(word.split("=") for word in words)
    made = load_recipe("ytvis19-r50", changes).temporal
    paper = TemporalKNNConfig.paper()
    assert made.max_distance == pytest.approx(paper.max_distance, abs=2e-3)  # rounded there
    assert dataclasses.replace(made, max_distance=paper.max_distance) == paper
