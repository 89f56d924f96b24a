from __future__ import annotations

import math

import numpy as np
import pytest
import torch

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

EVIDENCE_ALONE = {**OTHERS_OFF, "evidence": {}, "consensus": {"train": False}}
"""Labels from the evidence, not from the consensus; no other term."""


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
