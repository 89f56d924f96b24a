from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from maskfree.model.mask2former_video import VideoOutput
from maskfree.objective import Objective
from maskfree.presets import preset
from maskfree.sampling import TrainingClip
from objective_clip import BOX, CONFIG, changed, losses_of, make_output, make_sample, noise

ALL_TERMS = {"class", "projection", "pairwise", "temporal", "outside", "evidence", "prior"}


def test_the_terms_of_the_whole_objective() -> None:
    sample, output = make_sample([BOX * 2]), make_output(noise(3, 2))
    assert set(losses_of(CONFIG, output, sample)) == ALL_TERMS


@pytest.mark.parametrize("name", ["paper", "released"])
def test_the_published_recipes_have_four_terms(name: str) -> None:
    config = preset(name)
    sample, output = make_sample([BOX * 3]), make_output(noise(3, 3))
    assert set(losses_of(config, output, sample)) == {"class", "projection", "pairwise", "temporal"}


def test_class_by_hand() -> None:
    classes = torch.tensor([[1.0, 2, 0], [0.5, 0, 3], [0, 0, 1]])
    sample = make_sample([BOX, BOX])
    output = make_output(noise(3, 1), classes)
    losses = losses_of(CONFIG, output, sample, labels=[1, 0])
    rows, wanted, weights = classes.tolist(), (1, 0, 2), (1.0, 1.0, 0.1)
    cost = [math.log(sum(map(math.exp, r))) - r[w] for r, w in zip(rows, wanted, strict=True)]
    expected = sum(c * w for c, w in zip(cost, weights, strict=True)) / sum(weights)
    assert losses["class"] == pytest.approx(2 * expected, rel=1e-5)


def test_a_clip_that_says_its_classes_is_taken_at_its_word() -> None:
    logits, classes, sample = two_tracks()
    output = make_output(logits, classes)
    told = dataclasses.replace(sample, classes=torch.tensor([1, 0]))
    own = Objective(CONFIG, None, seed=0)(output, told, step=0, steps=10)
    known = losses_of(CONFIG, output, sample, labels=[1, 0])
    assert {name: float(value) for name, value in own.items()} == known
    with pytest.raises(ValueError, match="must say its instances' classes, got none"):
        Objective(CONFIG, None, seed=0)(output, sample, step=0, steps=10)


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


def test_many_logits_in_half_precision_stay_finite() -> None:
    # their sum is beyond what 16 bits hold
    classes = torch.full((200, 41), -9.0, dtype=torch.float16)
    output = make_output(noise(200, 1), classes)
    losses = losses_of(CONFIG, output, make_sample([[[np.nan] * 4]]))
    assert math.isfinite(losses["class"])


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


@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_matches_are_kept_where_clips_come_again(jitter: float) -> None:
    config = changed(CONFIG, {"augment": {"scale_jitter": jitter}})
    sample, output = make_sample([BOX * 3]), make_output(noise(3, 3))
    objective = Objective(config, [0], seed=0)
    first, again = (objective(output, sample, step=0, steps=1)["temporal"] for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    kept = objective._temporal.matches
    assert (kept is None) is (jitter > 0)
    if kept is not None:
        assert kept.hits == kept.misses > 0
        plain = losses_of(CONFIG, output, sample)["temporal"]
        assert first.item() == pytest.approx(plain, rel=1e-6)
