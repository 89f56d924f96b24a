"""Which temporal loss the settings choose, and that what is switched off costs nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from maskfree import objective as module
from maskfree import temporal_term
from maskfree.correspondence import frame_pairs
from maskfree.losses import pairwise3d_loss, temporal_flow_loss
from maskfree.model.mask2former_video import VideoOutput
from maskfree.objective import Objective
from objective_clip import BOX, CONFIG, changed, losses_of, make_output, make_sample, noise

SIDE = 8


def sample_and_output(length: int = 3) -> tuple[Any, Any]:
    boxes = [[[1, 1, 5, 6]] * length, [[3, 2, 8, 8]] * length]
    return make_sample(boxes, height=SIDE, width=SIDE), noise(3, length, SIDE, SIDE)


def with_method(method: str, **values: Any) -> Any:
    return changed(CONFIG, {"temporal": {"method": method, **values}})


def test_none_is_zero_and_the_other_terms_stay() -> None:
    sample, logits = sample_and_output()
    plain = losses_of(CONFIG, make_output(logits), sample)
    none = losses_of(with_method("none"), make_output(logits), sample)
    assert plain["temporal"] > 0
    assert none == {**plain, "temporal": 0.0}


def test_pairwise3d_is_its_loss() -> None:
    sample, logits = sample_and_output()
    found = losses_of(with_method("pairwise3d", weight=0.25), make_output(logits), sample)
    gated = logits[:2].masked_fill(~sample.targets.reach, -15.0)
    expected = pairwise3d_loss(
        gated,
        sample.targets.box_masks,
        sample.clip.lab,
        frame_pairs(3, CONFIG.temporal.tube),
        config=CONFIG.pairwise,
    )
    assert found["temporal"] == pytest.approx(5 * 0.25 * expected.item(), rel=1e-5)


def test_flow_is_its_loss_once_a_clip_for_all_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, logits = sample_and_output()
    config, calls = with_method("flow"), []
    match_flow = temporal_term.match_flow

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return match_flow(*args, **kwargs)

    monkeypatch.setattr(temporal_term, "match_flow", counted)
    classes = torch.zeros(1, 3, 2)
    output = VideoOutput((classes,) * 3, (logits[None],) * 3)
    found = Objective(config, [0, 0], seed=0)(output, sample, step=0, steps=1)["temporal"]
    assert calls == [1]
    gated = logits[:2].masked_fill(~sample.targets.reach, -15.0)
    expected = temporal_flow_loss(gated, sample.clip.rgb, config=config.temporal) / 2
    assert found.item() == pytest.approx(3 * 5 * expected.item(), rel=1e-5)


@pytest.mark.parametrize("method", ["knn", "flow", "pairwise3d"])
@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("tube", ["cyclic", "neighbour", "dense"])
def test_every_method_takes_every_tube_and_length(method: str, length: int, tube: str) -> None:
    sample, logits = sample_and_output(length)
    output = make_output(logits.requires_grad_())
    config = with_method(method, tube=tube)
    losses = Objective(config, [0, 0], seed=0)(output, sample, step=0, steps=1)
    losses["temporal"].backward()
    assert torch.isfinite(losses["temporal"])
    assert (losses["temporal"] > 0) == (length > 1)


@pytest.mark.parametrize("method", ["knn", "flow", "pairwise3d"])
def test_all_of_them_warm_up(method: str) -> None:
    sample, logits = sample_and_output()
    config = with_method(method, warmup_steps=4)
    at = [losses_of(config, make_output(logits), sample, step=s)["temporal"] for s in (0, 3, 9)]
    assert at[0] == pytest.approx(at[1] / 4, rel=1e-5)
    assert at[1] == at[2]


@pytest.mark.parametrize("method", ["flow", "pairwise3d", "none"])
def test_what_was_matched_is_kept_for_patches_alone(method: str) -> None:
    config = changed(CONFIG, {"augment": {"scale_jitter": 0.0}})
    assert temporal_term.TemporalTerm(config).matches is not None
    config = changed(config, {"temporal": {"method": method}})
    assert temporal_term.TemporalTerm(config).matches is None


@pytest.mark.parametrize(
    ("section", "name", "term", "where"),
    [
        ("objective", "projection_weight", "projection", (module, "projection_loss")),
        ("pairwise", "weight", "pairwise", (module, "pairwise_loss")),
        ("temporal", "weight", "temporal", (temporal_term, "match_clip")),
    ],
)
def test_a_weight_of_zero_costs_nothing(
    section: str, name: str, term: str, where: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, output = make_sample([BOX * 2]), make_output(noise(3, 2))
    plain = losses_of(CONFIG, output, sample)
    monkeypatch.setattr(*where, None)  # called, it would fail
    found = losses_of(changed(CONFIG, {section: {name: 0.0}}), output, sample)
    assert found == {**plain, term: 0.0}
