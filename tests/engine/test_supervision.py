"""True masks as what teaches: the matching, the terms, and a run from whole corrections."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch

from maskfree.config import MatchingConfig, ObjectiveConfig
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.losses.mask_terms import cross_entropy_and_dice, masks_loss
from maskfree.matching import assign_queries
from maskfree.objective import Objective
from maskfree.predict import predict
from maskfree.prepare import learns
from objective_clip import (
    BOX,
    CONFIG,
    changed,
    losses_of,
    make_output,
    make_sample,
    noise,
    softplus,
)
from training_run import go, last_run
from training_run import losses_of as losses_of_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session
    from napari_maskfree.sample_data import GeneratedClip

MASKS = changed(CONFIG, {"objective": {"supervision": "masks"}})
TERMS = {"class", "cross-entropy", "dice"}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# ---- the terms


def test_terms_by_hand() -> None:
    """Three cells: one is the object, one is not to a half, of one nothing is known."""
    logits = torch.tensor([0.4, -1.2, 7.0]).view(1, 1, 1, 3)
    masks = torch.tensor([1.0, -0.5, 0.0]).view(1, 1, 1, 3)
    entropy, dice = masks_loss(logits, masks)
    assert entropy.item() == pytest.approx((softplus(-0.4) + 0.5 * softplus(-1.2)) / 1.5)
    p, q = sigmoid(0.4), sigmoid(-1.2)
    assert dice.item() == pytest.approx(1 - (2 * p + 1) / (p + 0.5 * q + 1 + 1))


def test_an_instance_of_which_nothing_is_known_does_not_count() -> None:
    logits, masks = noise(3, 2), torch.zeros(3, 2, 4, 4)
    masks[0, 0], masks[2, 1, 2:] = 1.0, -1.0
    every, two = masks_loss(logits, masks), masks_loss(logits[[0, 2]], masks[[0, 2]])
    assert [float(v) for v in every] == pytest.approx([float(v) for v in two])
    asked = torch.ones(3, 2, 4, 4, dtype=torch.bool)
    asked[0] = False
    third = masks_loss(logits[2:], masks[2:])
    assert [float(v) for v in masks_loss(logits, masks, asked)] == pytest.approx(
        [float(v) for v in third]
    )


def test_of_nothing_known_the_terms_are_zero_and_have_a_graph() -> None:
    for count in (0, 2):
        logits = torch.randn(count, 2, 4, 4, requires_grad=True)
        entropy, dice = masks_loss(logits, torch.zeros(count, 2, 4, 4))
        assert (entropy.item(), dice.item()) == (0, 0)
        (entropy + dice).backward()


def test_perfect_masks_cost_nothing_and_inverted_ones_much() -> None:
    masks = torch.where(torch.rand(2, 2, 4, 4) > 0.5, 1.0, -1.0)
    right, wrong = masks_loss(40 * masks, masks), masks_loss(-40 * masks, masks)
    assert [float(v) for v in right] == pytest.approx([0, 0], abs=0.06)
    assert float(wrong[0]) == pytest.approx(40)
    assert float(wrong[1]) > 0.9


def test_gradients() -> None:
    logits = noise(2, 2).double().requires_grad_()
    masks = torch.rand(2, 2, 4, 4, dtype=torch.float64) * 2 - 1
    sides = masks.clamp_min(0), (-masks).clamp_min(0)
    assert torch.autograd.gradcheck(lambda x: cross_entropy_and_dice(x, *sides), logits)


# ---- the matching


def assigned(logits: torch.Tensor, masks: torch.Tensor, **values: Any) -> list[int]:
    config = MatchingConfig(mode="mask", **values)
    count = len(masks)
    ignored = values.pop("ignored", None)
    return assign_queries(
        torch.zeros(len(logits), 2),
        logits,
        torch.zeros_like(masks),
        torch.zeros(count, dtype=torch.long),
        torch.arange(count),
        config=config,
        generator=torch.Generator().manual_seed(0),
        ignored=ignored,
        masks=masks,
    ).tolist()


def test_queries_are_found_by_their_masks() -> None:
    masks = torch.where(noise(3, 2, 6, 6) > 0, 1.0, -1.0)
    logits = torch.cat([noise(1, 2, 6, 6, seed=9), 3 * masks[[2, 0, 1]]])
    assert assigned(logits, masks) == [2, 3, 1]
    assert assigned(logits, masks, dice_cost=0.0) == [2, 3, 1]
    assert assigned(logits, masks, mask_cost=0.0) == [2, 3, 1]


def test_costs_against_a_slow_reference() -> None:
    """All points that can be drawn: a clip of one cell that is known of each instance alike."""
    masks = torch.zeros(2, 1, 2, 2)
    masks[0, 0, 0, 1], masks[1, 0, 0, 1] = 1.0, -0.5
    logits = noise(3, 1, 2, 2)
    best = []
    for a in range(3):
        for b in range(3):
            if a != b:
                x, y = float(logits[a, 0, 0, 1]), float(logits[b, 0, 0, 1])
                points, p, q = 7, sigmoid(x), sigmoid(y)
                first = 5 * softplus(-x) + 2 * (1 - (2 * points * p + 1) / (points * (p + 1) + 1))
                weight = max(1.0, 0.5 * points)
                second = 5 * 0.5 * points * softplus(y) / weight
                second += 2 * (1 - 1 / (0.5 * points * q + 1))
                best.append((first + second, [a, b]))
    assert assigned(logits, masks, num_points=7, dice_cost=2.0) == min(best)[1]


def test_cells_of_which_nothing_is_known_have_no_say() -> None:
    masks = torch.zeros(2, 1, 4, 4)
    masks[0, 0, :2], masks[1, 0, :2] = 1.0, -1.0
    logits = torch.zeros(2, 1, 4, 4)
    logits[1, 0, :2], logits[0, 0, :2] = 1.0, -1.0
    logits[0, 0, 2:] = 50.0
    assert assigned(logits, masks) == [1, 0]
    assert sorted(assigned(logits, masks * 0)) == [0, 1]


def test_the_mode_needs_masks() -> None:
    message = (
        "matching.mode=mask compares predictions with true masks, which objective.supervision="
        "boxes does not have. Set objective.supervision=masks, or another matching.mode."
    )
    config = changed(CONFIG, {"matching": {"mode": "mask"}})
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Objective(config, [0], seed=0)
    with pytest.raises(ValueError, match="masks must be the instances' true masks, got none"):
        assigned_without_masks()


def assigned_without_masks() -> None:
    empty = torch.zeros(1, dtype=torch.long)
    assign_queries(
        torch.zeros(2, 2),
        torch.zeros(2, 1, 4, 4),
        torch.zeros(1, 1, 4, 4),
        empty,
        empty,
        config=MatchingConfig(mode="mask"),
        generator=torch.Generator(),
    )


# ---- the objective


def told_sample(length: int = 2) -> Any:
    """Two instances of boxes of four cells; of the first the masks are known in frame 0."""
    hand = torch.zeros(2, length, 4, 4)
    hand[0, 0] = -1.0
    hand[0, 0, 1:3, 1] = 1.0
    return dataclasses.replace(make_sample([BOX * length, BOX * length], slack=0.3), hand=hand)


def test_only_the_masks_teach() -> None:
    sample, logits = told_sample(), noise(3, 2).requires_grad_()
    losses = Objective(MASKS, [0, 0], seed=0)(make_output(logits), sample, step=0, steps=10)
    assert set(losses) == TERMS
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    touched = logits.grad.flatten(2).abs().sum(-1) > 0
    assert touched.tolist() == [[True, False], [False, False], [False, False]]
    reach = sample.targets.reach[0, 0]
    assert torch.equal(logits.grad[0, 0] != 0, reach), "beyond it no prediction is asked for"
    entropy, dice = masks_loss(logits[:1], sample.hand[:1], sample.targets.reach[:1])
    assert losses["cross-entropy"].item() == pytest.approx(5 * entropy.item())
    assert losses["dice"].item() == pytest.approx(5 * dice.item())


def test_matched_by_masks_every_known_cell_is_asked() -> None:
    sample, logits = told_sample(), noise(3, 2)
    config = changed(MASKS, {"matching": {"mode": "mask"}})
    losses = losses_of(config, make_output(logits), sample)
    costs = [
        sum(float(v) for v in masks_loss(logits[q : q + 1], sample.hand[:1])) for q in range(3)
    ]
    assert losses["cross-entropy"] + losses["dice"] == pytest.approx(5 * min(costs))


def test_permuting_the_queries_changes_nothing() -> None:
    sample, logits = told_sample(), noise(3, 2)
    config = changed(MASKS, {"matching": {"mode": "mask"}})
    plain = losses_of(config, make_output(logits), sample)
    order = torch.tensor([2, 0, 1])
    assert losses_of(config, make_output(logits[order]), sample) == pytest.approx(plain)


@pytest.mark.parametrize("known", [None, torch.zeros(2, 2, 4, 4)])
def test_a_clip_of_which_nothing_is_known_is_passed_over(known: Any) -> None:
    sample = dataclasses.replace(told_sample(), hand=known)
    classes = torch.zeros(3, 2, requires_grad=True)
    losses = Objective(MASKS, [0, 0], seed=0)(
        make_output(noise(3, 2), classes), sample, step=0, steps=10
    )
    assert {name: value.item() for name, value in losses.items()} == {"class": 0}
    losses["class"].backward()  # type: ignore[no-untyped-call]
    assert classes.grad is not None
    assert not classes.grad.any()


def test_an_object_that_is_known_to_be_nowhere_is_not_looked_for() -> None:
    hand = torch.full((1, 2, 4, 4), -1.0)
    sample = dataclasses.replace(make_sample([BOX * 2]), hand=hand)
    classes = torch.zeros(3, 2, requires_grad=True)
    losses = Objective(MASKS, [0], seed=0)(
        make_output(noise(3, 2), classes), sample, step=0, steps=10
    )
    assert list(losses) == ["class"]
    losses["class"].backward()  # type: ignore[no-untyped-call]
    assert classes.grad is not None
    assert (classes.grad[:, 0] > 0).all()


def test_no_term_looks_into_an_ignore_region() -> None:
    sample = told_sample()
    ignored = torch.zeros(2, 4, 4, dtype=torch.bool)
    ignored[0, :, 2:] = True
    sample = dataclasses.replace(sample, ignored=ignored)
    one, other = noise(3, 2), noise(3, 2)
    other[:, ignored] += 9.0
    for mode in ("bound", "mask"):
        config = changed(MASKS, {"matching": {"mode": mode}})
        found = [losses_of(config, make_output(logits), sample) for logits in (one, other)]
        assert found[0] == found[1]


def test_labels_are_not_made_that_nobody_learns_from(small_config: Config) -> None:
    assert learns(small_config)
    assert not learns(
        dataclasses.replace(small_config, objective=ObjectiveConfig(supervision="masks"))
    )


# ---- a run


@pytest.fixture
def masks_config(small_config: Config, settings_of: Callable[..., Any]) -> Config:
    return settings_of(small_config, "objective", supervision="masks")


def vouch(session: Session, clip: GeneratedClip, *frames: int, gold: bool = False) -> None:
    for frame in frames:
        session.corrections.write(
            frame,
            {
                t.id: Correction.whole(clip.masks[frame] == t.id, gold=gold)
                for t in session.boxes.tracks
            },
        )


@pytest.mark.parametrize("mode", ["bound", "mask"])
def test_a_session_of_whole_corrections_is_an_oracle(
    small_session: Session,
    small_clip: GeneratedClip,
    masks_config: Config,
    settings_of: Callable[..., Any],
    mode: str,
) -> None:
    vouch(small_session, small_clip, *range(12))
    config = settings_of(masks_config, "matching", mode=mode)
    list(go(small_session, config))
    losses = losses_of_run(last_run(small_session))
    assert len(losses) == 4
    assert all(set(each) == TERMS for each in losses)
    assert last_run(small_session).status == "done"
    list(predict(small_session, device="cpu"))
    assert small_session.masks.read(0) is not None


def test_every_clip_holds_a_corrected_frame(
    small_session: Session,
    small_clip: GeneratedClip,
    masks_config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vouch(small_session, small_clip, 5)
    seen = []
    real = Objective.__call__

    def spy(self: Objective, output: Any, sample: Any, **settings: Any) -> Any:
        seen.append(sample)
        return real(self, output, sample, **settings)

    monkeypatch.setattr(Objective, "__call__", spy)
    weightless = dataclasses.replace(
        masks_config, corrections=dataclasses.replace(masks_config.corrections, weight=0.0)
    )
    list(go(small_session, weightless))
    assert len(seen) == 4
    for sample in seen:
        assert 5 in sample.clip.frames
        other = [i for i, t in enumerate(sample.clip.frames) if t != 5]
        assert sample.hand is not None
        assert sample.hand.any()
        assert not sample.hand[:, other].any()


@pytest.mark.parametrize("gold", [False, True])
def test_without_a_mask_to_learn_from_it_says_so(
    small_session: Session, small_clip: GeneratedClip, masks_config: Config, gold: bool
) -> None:
    if gold:
        vouch(small_session, small_clip, 3, gold=True)
    message = (
        "objective.supervision=masks learns from corrected masks alone, and the session has none "
        "of its tracks (gold ones teach nothing). Correct or accept some, or leave "
        "objective.supervision out."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        list(go(small_session, masks_config))
    assert small_session.runs() == []
