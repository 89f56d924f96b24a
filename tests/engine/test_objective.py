from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from maskfree.config import (
    Config,
    EvidenceConfig,
    MatchingConfig,
    ObjectiveConfig,
    PairwiseConfig,
    PriorConfig,
    SamplingConfig,
    TemporalKNNConfig,
)
from maskfree.losses import pairwise_loss, projection_loss, temporal_knn_loss
from maskfree.model.mask2former_video import VideoOutput
from maskfree.objective import Objective
from maskfree.presets import preset
from maskfree.sampling import TrainingClip
from maskfree.targets import box_targets
from maskfree.types import Clip

SIDE = 4
ALL_TERMS = {"class", "projection", "pairwise", "temporal", "outside", "evidence", "prior"}
CONFIG = Config(
    pairwise=PairwiseConfig(dilation=1, weight=0.5, similarity_threshold=0.1),
    temporal=TemporalKNNConfig(search_radius=1, num_neighbors=2, max_distance=60.0, weight=0.25),
    objective=ObjectiveConfig(
        class_weight=2.0,
        mask_weight=5.0,
        no_object_weight=0.1,
        projection_weight=0.75,
        outside_weight=1.5,
        other_box_weight=0.2,
    ),
    evidence=EvidenceConfig(weight=0.8, least_share=0.0),
    prior=PriorConfig(weight=1.2, centre=0.5, corner=1.1, silence=0.25, until=0.5, floor=0.0),
    matching=MatchingConfig(mode="bound"),
)
OTHERS_OFF = {
    "pairwise": {"weight": 0.0},
    "temporal": {"weight": 0.0},
    "objective": {"projection_weight": 0.0, "outside_weight": 0.0},
    "evidence": {"weight": 0.0},
    "prior": {"weight": 0.0},
}
EVIDENCE_ALONE = {**OTHERS_OFF, "evidence": {}, "consensus": {"train": False}}
"""Labels from the evidence, not from the consensus; no other term."""


def changed(config: Config, sections: dict[str, dict[str, Any]]) -> Config:
    for name, values in sections.items():
        section = dataclasses.replace(getattr(config, name), **values)
        config = dataclasses.replace(config, **{name: section})
    return config


def make_sample(
    boxes: Any,
    *,
    slack: float = 0.0,
    said: Any = None,
    lab: torch.Tensor | None = None,
    height: int = SIDE,
    width: int = SIDE,
) -> TrainingClip:
    """A clip of N boxes (N, T, 4) in grid cells; colours that differ from cell to cell.

    ``said``: labels (T, H, W) of all instances, or (N, T, H, W).
    """
    array = np.array(boxes, float).reshape(len(boxes), -1, 4)
    length = array.shape[1]
    if lab is None:
        lab = torch.rand(length, 3, height, width, generator=torch.Generator().manual_seed(0)) * 3
    targets = box_targets(
        array, np.full(array.shape[:2], slack), height, width, config=SamplingConfig()
    )
    labels = np.zeros((height, width)) if said is None else np.array(said)
    labels = np.broadcast_to(labels, (len(array), length, height, width)).astype(np.float32)
    clip = Clip(torch.zeros(length, 3, height * 4, width * 4), lab, tuple(range(length)))
    return TrainingClip(clip, targets, torch.from_numpy(labels))


def make_output(mask_logits: torch.Tensor, class_logits: torch.Tensor | None = None) -> VideoOutput:
    """One decoder output, of logits (Q, T, H, W)."""
    if class_logits is None:
        class_logits = torch.zeros(len(mask_logits), 2)
    return VideoOutput((class_logits[None],), (mask_logits[None],))


def noise(queries: int, frames: int, height: int = SIDE, width: int = SIDE, seed: int = 1) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(queries, frames, height, width, generator=generator) * 2


def losses_of(
    config: Config,
    output: VideoOutput,
    sample: TrainingClip,
    *,
    labels: list[int] | None = None,
    step: int = 0,
    steps: int = 10,
    seed: int = 0,
) -> dict[str, float]:
    objective = Objective(config, labels or [0] * len(sample.targets.trust), seed=seed)
    losses = objective(output, sample, step=step, steps=steps)
    return {name: float(value) for name, value in losses.items()}


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


BOX = [[1, 1, 3, 3]]  # the four cells in the middle


def test_the_terms_of_the_whole_objective() -> None:
    sample, output = make_sample([BOX * 2]), make_output(noise(3, 2))
    assert set(losses_of(CONFIG, output, sample)) == ALL_TERMS


@pytest.mark.parametrize("name", ["paper", "released"])
def test_the_published_recipes_have_four_terms(name: str) -> None:
    config = preset(name)
    sample, output = make_sample([BOX * 3]), make_output(noise(3, 3))
    assert set(losses_of(config, output, sample)) == {"class", "projection", "pairwise", "temporal"}


def test_projection_by_hand() -> None:
    # certain of two cells of the box's upper row: along x the projection is the box's, along y half
    logits = torch.full((1, 1, SIDE, SIDE), -30.0)
    logits[0, 0, 1, 1:3] = 30.0
    config = changed(CONFIG, {**OTHERS_OFF, "objective": {"outside_weight": 0.0}})
    losses = losses_of(config, make_output(logits), make_sample([BOX]))
    dice_x, dice_y = 0.0, 1 - 2 * 1 / (1 + 2)
    assert losses["projection"] == pytest.approx(5 * 0.75 * (dice_x + dice_y), abs=1e-4)
    assert losses["pairwise"] == losses["temporal"] == 0


def test_bound_projection_looks_within_reach_and_by_trust() -> None:
    # a wrong blob beyond the box does not enter the projection of a bound track
    logits = torch.full((1, 1, SIDE, SIDE), -30.0)
    logits[0, 0, 1:3, 1:3] = 30.0
    logits[0, 0, 0, 0] = 30.0
    config = changed(CONFIG, {**OTHERS_OFF, "objective": {"outside_weight": 0.0}})
    sample = make_sample([BOX])
    assert losses_of(config, make_output(logits), sample)["projection"] == pytest.approx(
        0, abs=1e-4
    )
    tube = changed(config, {"matching": {"mode": "tube"}})
    assert losses_of(tube, make_output(logits), sample)["projection"] > 1
    # a frame without trust (its box is cut by the crop) has no say
    sample = make_sample([[[1, 1, 3, 3], [-2, 1, 2, 3]]])
    assert sample.targets.trust.tolist() == [[1, 0]]
    both = torch.cat([logits, torch.full((1, 1, SIDE, SIDE), -30.0)], 1)
    assert losses_of(config, make_output(both), sample)["projection"] == pytest.approx(0, abs=1e-4)


def test_pairwise_and_temporal_are_the_losses_with_their_weights() -> None:
    logits = noise(1, 2)
    sample = make_sample([BOX * 2])
    config = changed(CONFIG, {**OTHERS_OFF, "pairwise": {}, "temporal": {}})
    losses = losses_of(config, make_output(logits), sample)
    gated = logits.masked_fill(~sample.targets.reach, -15)
    boxes, lab = sample.targets.box_masks, sample.clip.lab
    pairwise = pairwise_loss(gated, boxes, lab, config=config.pairwise)
    temporal = temporal_knn_loss(gated, lab, config=config.temporal)
    assert losses["pairwise"] == pytest.approx(5 * 0.5 * float(pairwise), rel=1e-5)
    assert losses["temporal"] == pytest.approx(5 * float(temporal), rel=1e-5)
    assert float(pairwise) > 0.05
    assert float(temporal) > 0.05


def test_the_paper_trains_on_the_masks_as_they_are() -> None:
    logits = noise(1, 3, 8, 8) + 1
    sample = make_sample([[[1, 1, 5, 5]] * 3], height=8, width=8)
    config = preset("paper")
    losses = losses_of(config, make_output(logits), sample)
    boxes, lab = sample.targets.box_masks, sample.clip.lab
    scale = config.objective.mask_weight
    assert losses["projection"] == pytest.approx(
        scale * config.objective.projection_weight * float(projection_loss(logits, boxes)), rel=1e-5
    )
    temporal = temporal_knn_loss(logits, lab, config=config.temporal)
    assert losses["temporal"] == pytest.approx(scale * float(temporal), rel=1e-5)
    assert float(temporal) > 0


def test_the_paper_sums_the_temporal_loss_over_instances_and_averages_decoder_outputs() -> None:
    logits = noise(2, 3, 8, 8)
    sample = make_sample([[[1, 1, 5, 5]] * 3, [[3, 3, 7, 7]] * 3], height=8, width=8)
    config = changed(preset("paper"), {"matching": {"mode": "bound"}, "pairwise": {"weight": 0.0}})
    output = VideoOutput((torch.zeros(1, 2, 2),) * 2, (logits[None], logits[None] * 0.5))
    gated = [x.masked_fill(~sample.targets.reach, -15) for x in (logits, logits * 0.5)]
    sums = [float(temporal_knn_loss(x, sample.clip.lab, config=config.temporal)) for x in gated]
    losses = losses_of(config, output, sample)
    assert losses["temporal"] == pytest.approx(config.objective.mask_weight * sum(sums), rel=1e-5)
    ours = changed(config, {"objective": {"temporal_mean": True}})
    assert losses_of(ours, output, sample)["temporal"] == pytest.approx(
        losses["temporal"] / 2, rel=1e-5
    )


def test_the_released_temporal_loss_looks_into_the_boxes_and_warms_up() -> None:
    logits = noise(1, 3, 8, 8)
    sample = make_sample([[[1, 1, 5, 5]] * 3], height=8, width=8)
    config = changed(preset("released"), {"temporal": {"warmup_steps": 4, "max_distance": 60.0}})
    full = temporal_knn_loss(
        logits, sample.clip.lab, sample.targets.box_masks, config=config.temporal
    )
    assert float(full) > 0
    for step, part in enumerate((0.25, 0.5, 0.75, 1, 1)):
        losses = losses_of(config, make_output(logits), sample, step=step)
        expected = config.objective.mask_weight * part * float(full)
        assert losses["temporal"] == pytest.approx(expected, rel=1e-5)


def test_outside_by_hand() -> None:
    # two tracks in opposite corners; 8 cells are beyond both, 4 in the other's box (weight 0.2)
    boxes = [[[0, 0, 2, 2]], [[2, 2, 4, 4]]]
    sample = make_sample(boxes)
    logits = torch.stack([torch.full((1, SIDE, SIDE), 2.0), torch.full((1, SIDE, SIDE), -1.0)])
    config = changed(CONFIG, {**OTHERS_OFF, "objective": {"projection_weight": 0.0}})
    weight = 8 + 0.2 * 4
    expected = (softplus(2) * weight + softplus(-1) * weight) / (2 * weight)
    losses = losses_of(config, make_output(logits), sample)
    assert losses["outside"] == pytest.approx(5 * 1.5 * expected, rel=1e-5)
    assert set(losses) == {"class", "projection", "pairwise", "temporal", "outside"}


def test_what_an_uncertain_box_may_cover_is_not_outside() -> None:
    config = changed(CONFIG, OTHERS_OFF | {"objective": {"projection_weight": 0.0}})
    logits = torch.full((1, 1, SIDE, SIDE), -30.0)
    logits[0, 0, 0, 1] = 30.0  # just above the box
    exact, loose = make_sample([BOX]), make_sample([BOX], slack=0.1)
    assert losses_of(config, make_output(logits), exact)["outside"] > 10
    # 4 of the 16 cells are in the exact box; the loose one touches all 16: nothing is outside
    assert losses_of(config, make_output(logits), loose)["outside"] == 0


def test_evidence_by_hand() -> None:
    said = np.zeros((1, SIDE, SIDE))
    said[0, 1, 1] = said[0, 1, 2] = 1
    said[0, 2, 1] = -1
    said[0, 0, 0] = 1  # beyond the box: not this instance's
    said[0, 3, 3] = -1
    logits = noise(1, 1)
    config = changed(CONFIG, EVIDENCE_ALONE)
    losses = losses_of(config, make_output(logits), make_sample([BOX], said=said))
    grid = logits[0, 0].tolist()
    missed = (softplus(-grid[1][1]) + softplus(-grid[1][2])) / 2
    spilled = softplus(grid[2][1])
    assert losses["evidence"] == pytest.approx(5 * 0.8 * (missed + spilled) / 2, rel=1e-5)


def test_what_is_believed_less_counts_less() -> None:
    said = np.zeros((1, SIDE, SIDE))
    said[0, 0, :3] = 1.0, 0.5, 0.25
    said[0, 3, :3] = -0.75, -0.5, -0.25
    logits = noise(1, 1)
    config = changed(CONFIG, EVIDENCE_ALONE)
    sample = make_sample([[[0, 0, 4, 4]]], said=said)
    losses = losses_of(config, make_output(logits), sample)
    top, low = logits[0, 0, 0].tolist(), logits[0, 0, 3].tolist()
    missed = softplus(-top[0]) + 0.5 * softplus(-top[1]) + 0.25 * softplus(-top[2])
    spilled = 0.75 * softplus(low[0]) + 0.5 * softplus(low[1]) + 0.25 * softplus(low[2])
    expected = 5 * 0.8 * (missed / 1.75 + spilled / 1.5) / 2
    assert losses["evidence"] == pytest.approx(expected, rel=1e-5)


def test_every_instance_has_its_own_labels() -> None:
    box = [[0, 0, 4, 4]]
    said = np.zeros((2, 1, SIDE, SIDE))
    said[0, 0, 0], said[1, 0, 0] = 1, -1
    logits = torch.full((2, 1, SIDE, SIDE), 30.0)
    logits[1] = -30.0
    config = changed(CONFIG, EVIDENCE_ALONE)
    right = make_sample([box, box], said=said)
    assert losses_of(config, make_output(logits), right)["evidence"] == pytest.approx(0, abs=1e-5)
    wrong = make_sample([box, box], said=said[::-1])
    assert losses_of(config, make_output(logits), wrong)["evidence"] > 100
    # an absent instance takes its labels along
    absent = make_sample([[[np.nan] * 4], box], said=said)
    assert losses_of(config, make_output(logits), absent)["evidence"] == pytest.approx(0, abs=1e-5)


def test_a_consensus_counts_as_masks_do_by_hand() -> None:
    # cross-entropy and dice, each cell by how sure its label is
    said = np.zeros((2, 1, SIDE, SIDE))
    said[0, 0, 1, 1:3] = 1.0, 0.5
    said[0, 0, 2, 1:3] = -0.25, 0.0
    said[0, 0, 0] = 1.0  # beyond the box
    said[1, 0, 1, 1] = -0.5
    logits = noise(2, 1)
    config = changed(CONFIG, {**OTHERS_OFF, "evidence": {"least_share": 1.0}})
    losses = losses_of(config, make_output(logits), make_sample([BOX, BOX], said=said))
    grid, other = logits[0, 0].tolist(), logits[1, 0].tolist()
    entropy = softplus(-grid[1][1]) + 0.5 * softplus(-grid[1][2]) + 0.25 * softplus(grid[2][1])
    entropy += 0.5 * softplus(other[1][1])
    probability = [1 / (1 + math.exp(-x)) for x in (grid[1][1], grid[1][2], grid[2][1])]
    both = probability[0] + 0.5 * probability[1]
    either = both + 0.25 * probability[2] + 1.5
    dice = 1 - (2 * both + 1) / (either + 1)
    nothing = 1 - 1 / (0.5 / (1 + math.exp(-other[1][1])) + 1)
    expected = entropy / 2.25 + (dice + nothing) / 2
    assert losses["evidence"] == pytest.approx(5 * 0.8 * expected, rel=1e-5)


def test_the_dice_of_a_right_mask_is_nothing() -> None:
    said = np.full((1, SIDE, SIDE), -1.0)
    said[0, 1, 1:3] = 1
    config = changed(CONFIG, {**OTHERS_OFF, "evidence": {}})
    sample = make_sample([BOX], said=said)
    right = make_output(torch.from_numpy(said[None]).float() * 30)
    assert losses_of(config, right, sample)["evidence"] == pytest.approx(0, abs=1e-5)
    everywhere = make_output(torch.full((1, 1, SIDE, SIDE), 30.0))
    # 30 in two cells of four; of 4 cells 2 are right
    expected = 5 * 0.8 * (30 * 2 / 4 + 1 - 5 / 7)
    found = losses_of(config, everywhere, sample)["evidence"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_few_stray_cells_are_not_weighted_up() -> None:
    said = np.zeros((1, SIDE, SIDE))
    said[0, 1, 1] = 1
    sample = make_sample([BOX], said=said)
    output = make_output(torch.zeros(1, 1, SIDE, SIDE))
    for share, cells in ((0.0, 1), (0.5, 2), (1.0, 4)):  # of the 4 cells within reach
        config = changed(CONFIG, {**EVIDENCE_ALONE, "evidence": {"least_share": share}})
        losses = losses_of(config, output, sample)
        assert losses["evidence"] == pytest.approx(5 * 0.8 * math.log(2) / cells / 2, rel=1e-5)


def test_prior_by_hand_and_its_fading() -> None:
    logits = noise(1, 1)
    said = np.zeros((1, SIDE, SIDE))
    said[0, 1, 1] = -0.25  # the evidence speaks: the prior is silent there
    said[0, 3, 3] = 0.25
    said[0, 1, 2], said[0, 0, 0] = 0.24, -0.24  # hardly
    sample = make_sample([[[0, 0, 4, 4]]], said=said)
    grid = logits[0, 0].tolist()
    middle = [(1, 2), (2, 1), (2, 2)]
    corners = [(0, 0), (0, 3), (3, 0)]
    missed = sum(softplus(-grid[y][x]) for y, x in middle) / 3
    spilled = sum(softplus(grid[y][x]) for y, x in corners) / 3
    # the middle lies 0.35 from the centre, the sides 0.79, the corners 1.06
    prior = {"weight": 1.2, "centre": 0.4, "corner": 1.0, "floor": 0.3}
    config = changed(CONFIG, {**OTHERS_OFF, "prior": prior})
    for step, part in ((0, 1.0), (1, 0.8), (3, 0.4), (4, 0.3), (9, 0.3)):
        losses = losses_of(config, make_output(logits), sample, step=step, steps=10)
        expected = 5 * 1.2 * part * (missed + spilled) / 2
        assert losses["prior"] == pytest.approx(expected, rel=1e-5)


def test_the_prior_speaks_in_the_box_only() -> None:
    prior = {"weight": 1.2, "centre": 0.5, "corner": 0.6}
    config = changed(CONFIG, {**OTHERS_OFF, "prior": prior})
    sample, logits = make_sample([BOX]), noise(1, 1)
    before = losses_of(config, make_output(logits), sample)["prior"]
    logits = torch.where(sample.targets.box_masks > 0, logits, logits + 5)
    assert losses_of(config, make_output(logits), sample)["prior"] == before > 0


def test_the_prior_can_fade_away() -> None:
    sample, output = make_sample([[[0, 0, 4, 4]]]), make_output(noise(1, 1))
    for step in range(10):
        found = losses_of(CONFIG, output, sample, step=step, steps=10)
        assert ("prior" in found) is (step < 5)
    assert "prior" not in losses_of(changed(CONFIG, {"prior": {"weight": 0.0}}), output, sample)


def test_class_by_hand() -> None:
    classes = torch.tensor([[1.0, 2, 0], [0.5, 0, 3], [0, 0, 1]])
    sample = make_sample([BOX, BOX])
    output = make_output(noise(3, 1), classes)
    losses = losses_of(CONFIG, output, sample, labels=[1, 0])
    rows, wanted, weights = classes.tolist(), (1, 0, 2), (1.0, 1.0, 0.1)
    cost = [math.log(sum(map(math.exp, r))) - r[w] for r, w in zip(rows, wanted, strict=True)]
    expected = sum(c * w for c, w in zip(cost, weights, strict=True)) / sum(weights)
    assert losses["class"] == pytest.approx(2 * expected, rel=1e-5)


def test_a_clip_without_tracks_teaches_that_nothing_is_there() -> None:
    absent = [[[np.nan] * 4]]
    classes = torch.tensor([[3.0, 0], [0, 3]], requires_grad=True)
    output = make_output(noise(2, 1), classes)
    losses = Objective(CONFIG, [0], seed=0)(output, make_sample(absent), step=0, steps=1)
    assert list(losses) == ["class"]
    losses["class"].backward()  # type: ignore[no-untyped-call]
    assert classes.grad is not None
    assert float(classes.grad[0, 0]) > 0 > float(classes.grad[0, 1])


def test_an_absent_track_is_left_out_and_the_other_counts_as_alone() -> None:
    logits, classes = noise(3, 1), torch.randn(3, 2)
    both = make_sample([[[np.nan] * 4], BOX])
    losses = losses_of(CONFIG, make_output(logits, classes), both)
    alone = losses_of(
        CONFIG, make_output(logits[[1, 0, 2]], classes[[1, 0, 2]]), make_sample([BOX])
    )
    assert losses == pytest.approx(alone, rel=1e-5)


def two_tracks() -> tuple[torch.Tensor, torch.Tensor, TrainingClip]:
    said = np.random.default_rng(0).uniform(-1, 1, (2, 2, 8, 8))
    boxes = [[[0, 0, 4, 5], [1, 0, 5, 5]], [[3, 2, 8, 8], [2, 3, 7, 8]]]
    sample = make_sample(boxes, slack=0.05, said=said, height=8, width=8)
    return noise(4, 2, 8, 8), torch.randn(4, 3, generator=torch.Generator().manual_seed(2)), sample


def test_permuting_the_tracks_and_their_queries_changes_nothing() -> None:
    logits, classes, sample = two_tracks()
    plain = losses_of(CONFIG, make_output(logits, classes), sample, labels=[0, 1])
    order = torch.tensor([1, 0])
    swapped = TrainingClip(sample.clip, sample.targets.select(order), sample.labels[order])
    queries = torch.tensor([1, 0, 2, 3])
    output = make_output(logits[queries], classes[queries])
    assert losses_of(CONFIG, output, swapped, labels=[1, 0]) == pytest.approx(plain, rel=1e-5)


def test_tube_matching_makes_the_order_of_the_queries_irrelevant() -> None:
    logits, classes, sample = two_tracks()
    config = changed(CONFIG, {"matching": {"mode": "tube"}})
    plain = losses_of(config, make_output(logits, classes), sample, labels=[0, 1])
    order = torch.tensor([2, 3, 1, 0])
    output = make_output(logits[order], classes[order])
    assert losses_of(config, output, sample, labels=[0, 1]) == pytest.approx(plain, rel=1e-5)


def test_mirroring_everything_changes_nothing() -> None:
    logits, classes, sample = two_tracks()
    plain = losses_of(CONFIG, make_output(logits, classes), sample, labels=[0, 1])
    targets = dataclasses.replace(
        sample.targets,
        **{
            name: getattr(sample.targets, name).flip(-1)
            for name in ("box_masks", "reach", "certain_background", "radius")
        },
    )
    clip = dataclasses.replace(sample.clip, lab=sample.clip.lab.flip(-1))
    mirrored = TrainingClip(clip, targets, sample.labels.flip(-1))
    output = make_output(logits.flip(-1), classes)
    assert losses_of(CONFIG, output, mirrored, labels=[0, 1]) == pytest.approx(plain, rel=1e-4)


def test_every_decoder_output_counts_and_equal_ones_count_alike() -> None:
    logits, classes, sample = two_tracks()
    single = losses_of(CONFIG, make_output(logits, classes), sample, labels=[0, 1])
    three = VideoOutput((classes[None],) * 3, (logits[None],) * 3)
    tripled = losses_of(CONFIG, three, sample, labels=[0, 1])
    assert tripled == pytest.approx({k: 3 * v for k, v in single.items()}, rel=1e-4)
    mixed = VideoOutput((classes[None] * 2, classes[None]), (logits[None] * 2, logits[None]))
    last_only = changed(CONFIG, {"objective": {"deep_supervision": False}})
    assert losses_of(last_only, mixed, sample, labels=[0, 1]) == pytest.approx(single, rel=1e-5)


def test_each_output_is_matched_on_its_own() -> None:
    logits, classes, sample = two_tracks()
    config = changed(CONFIG, {"matching": {"mode": "tube", "num_points": 4000}})
    order = torch.tensor([3, 2, 1, 0])
    output = VideoOutput((classes[None], classes[order][None]), (logits[None], logits[order][None]))
    same = VideoOutput((classes[None],) * 2, (logits[None],) * 2)
    found = losses_of(config, output, sample, labels=[0, 1])
    assert found == pytest.approx(losses_of(config, same, sample, labels=[0, 1]), rel=1e-4)


def test_gradients_reach_every_matched_query_and_class() -> None:
    logits, classes, sample = two_tracks()
    logits, classes = logits.requires_grad_(), classes.requires_grad_()
    output = make_output(logits, classes)
    losses = Objective(CONFIG, [0, 1], seed=0)(output, sample, step=0, steps=10)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert classes.grad is not None
    assert (logits.grad.flatten(1).abs().sum(1) > 0).tolist() == [True, True, False, False]
    assert bool((classes.grad.abs().sum(1) > 0).all())


def test_extreme_logits_stay_finite() -> None:
    logits, classes, sample = two_tracks()
    for value in (1e4, -1e4):
        output = make_output(torch.full_like(logits, value), classes)
        losses = losses_of(CONFIG, output, sample, labels=[0, 1])
        assert all(math.isfinite(v) for v in losses.values()), losses


def test_the_state_of_the_points_can_be_taken_up() -> None:
    logits, classes, sample = two_tracks()
    config = changed(CONFIG, {"matching": {"mode": "tube", "num_points": 3}})
    output = make_output(logits, classes)
    first = Objective(config, [0, 1], seed=3)
    for _ in range(2):
        first(output, sample, step=0, steps=1)
    second = Objective(config, [0, 1], seed=9)
    second.rng_state = first.rng_state
    for _ in range(4):
        here, there = (o(output, sample, step=0, steps=1) for o in (first, second))
        assert {k: float(v) for k, v in here.items()} == {k: float(v) for k, v in there.items()}
