from __future__ import annotations

import pytest
import torch

from maskfree.losses import pairwise_loss, projection_loss, temporal_knn_loss
from maskfree.model.mask2former_video import VideoOutput
from maskfree.presets import preset
from objective_clip import (
    BOX,
    CONFIG,
    OTHERS_OFF,
    SIDE,
    changed,
    losses_of,
    make_output,
    make_sample,
    noise,
    softplus,
)


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
