from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from maskfree.distributed.averaged import AveragedWeights
from maskfree.distributed.learner import Learner
from maskfree.distributed.norms import share_norms
from maskfree.distributed.shares import Share
from maskfree.distributed.team import Team
from maskfree.errors import InputError
from maskfree.model.build import build_model
from painted_clips import CLASSES, RECIPE, PaintedClips

if TYPE_CHECKING:
    from maskfree.config import RecipeConfig

NUMBERS = (0, 1, 2, 3)
SWIN = {
    "backbone": "swin",
    "backbone_sizes": (32, 64, 128, 256),
    "backbone_depths": (1, 1, 1, 1),
    "backbone_heads": (1, 2, 4, 8),
    "backbone_window": 4,
    "frozen_norms": False,
}


def share(*numbers: int) -> Share:
    drawn = [PaintedClips().draw(number) for number in numbers or NUMBERS]
    return Share(numbers or NUMBERS, tuple(clip for clip, _ in drawn))


def learner(model: dict[str, Any] | None = None, **schedule: Any) -> Learner:
    recipe = changed(model, **schedule)
    torch.manual_seed(0)
    network = build_model(recipe.model, num_classes=len(CLASSES), num_queries=1)
    return Learner(network, recipe, seed=0, team=Team(torch.device("cpu")))


def changed(model: dict[str, Any] | None = None, **schedule: Any) -> RecipeConfig:
    return dataclasses.replace(
        RECIPE,
        model=dataclasses.replace(RECIPE.model, **(model or {})),
        schedule=dataclasses.replace(RECIPE.schedule, **schedule),
    )


def gradients(of: Learner) -> dict[str, torch.Tensor]:
    return {n: p.grad for n, p in of.model.named_parameters() if p.grad is not None}


def test_a_step_learns_and_reports() -> None:
    one = learner()
    before = {name: value.clone() for name, value in one.model.state_dict().items()}
    report = one.step(0, share())
    assert set(report.losses) == {"class", "projection", "pairwise", "temporal"}
    assert report.size == (64, 64)
    assert report.instances == sum(len(c.targets.trust) for c in share().clips)
    assert report.rate == pytest.approx(1e-4)
    assert report.norm > 0
    after = one.model.state_dict()
    still = [name for name in after if torch.equal(after[name], before[name])]
    assert all("normalization" in name for name in still), "frozen norms alone stay as they are"
    assert any("normalization.running_mean" in name for name in still)


@pytest.mark.parametrize("other", [{"accumulate": 3}, {"gradient_checkpointing": True}])
def test_how_a_batch_is_computed_changes_no_gradient(other: dict[str, Any]) -> None:
    whole, parts = learner(clip_norm=0.0), learner(clip_norm=0.0, **other)
    told = whole.step(0, share()), parts.step(0, share())
    for name, value in told[0].losses.items():
        assert told[1].losses[name] == pytest.approx(value, rel=1e-5)
    expected, found = gradients(whole), gradients(parts)
    assert set(expected) == set(found)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=2e-5, rtol=1e-4)


def test_gradients_are_clipped_as_a_whole() -> None:
    free, held = learner(clip_norm=0.0), learner(clip_norm=0.5)
    norms = [each.step(0, share()).norm for each in (free, held)]
    assert norms[0] == pytest.approx(norms[1])
    left = math.sqrt(sum(float(g.pow(2).sum()) for g in gradients(held).values()))
    assert left == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("model", [{}, {**SWIN, "drop_path": 0.0}], ids=["resnet", "swin"])
def test_all_that_learns_has_a_gradient(model: dict[str, Any]) -> None:
    # processes wait for each other's gradients of every parameter
    one = learner(model)
    one.step(0, share())
    assert {n for n, p in one.model.named_parameters() if p.requires_grad} == set(gradients(one))


class Scaler:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    def get_scale(self) -> float:
        return self.scale


def test_a_gradient_that_is_never_finite_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    one = learner()
    monkeypatch.setattr(Team, "clip", lambda *_: math.inf)
    told = r"The gradient of step 3 is not finite .its norm is inf.\. Lower .* --weights RUN/check"
    with pytest.raises(InputError, match=told):
        one.step(2, share())
    scaler = Scaler(65536.0)
    monkeypatch.setattr(Team, "scaler", property(lambda self: scaler))
    assert one.step(2, share()).norm == math.inf  # fp16 leaves the step out
    scaler.scale = 0.5
    with pytest.raises(InputError, match=told):
        one.step(2, share())


@pytest.mark.parametrize("single", [False, True])
def test_under_mixed_precision_the_pixel_decoder_may_stay_in_single(single: bool) -> None:
    model = learner().model
    assert not model.decoder_in_single  # nothing is mixed here
    model.decoder_in_single = single
    seen = []
    projection = model.model.pixel_level_module.decoder.mask_projection
    projection.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        model(torch.rand(1, 2, 3, 64, 64))
    assert seen == [torch.float32 if single else torch.bfloat16]


def test_the_same_step_again_is_the_same() -> None:
    swin = {**SWIN, "drop_path": 0.5}  # what is passed over is drawn anew in every step
    one, other = learner(swin), learner(swin)
    torch.rand(7)  # whatever else drew random numbers
    assert one.step(0, share()).losses == other.step(0, share()).losses
    torch.manual_seed(99)
    assert one.step(1, share()).losses == other.step(1, share()).losses


def test_a_loss_that_is_not_finite_names_the_clips_and_changes_nothing() -> None:
    one = learner()
    clips = list(share().clips)
    clip = clips[2].clip
    poison = dataclasses.replace(clip, rgb=clip.rgb * math.nan)
    clips[2] = dataclasses.replace(clips[2], clip=poison)
    before = {name: value.clone() for name, value in one.model.state_dict().items()}
    wanted = "The loss of step 3 is not finite, in the clips with the numbers 2; the last "
    with pytest.raises(InputError, match=wanted):
        one.step(2, Share(NUMBERS, tuple(clips)))
    after = one.model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in after)


def test_clips_that_cannot_be_taken() -> None:
    one = learner({"num_queries": 2})
    with pytest.raises(InputError, match=r"A clip shows 3 instances, and the network has 2 quer"):
        one.step(0, share())
    short = share(0).clips[0]
    frames = dataclasses.replace(short.clip, rgb=short.clip.rgb[:1])
    mixed = Share((0, 1), (dataclasses.replace(short, clip=frames), share(1).clips[0]))
    with pytest.raises(InputError, match=r"have 1 and 2 frames. Set data.clip_length "):
        learner().step(0, mixed)
    with pytest.raises(InputError, match=r"^No clip could be read$"):
        learner().step(0, Share((0,), fault="No clip could be read"))


def test_more_processes_than_clips() -> None:
    team = Team(torch.device("cpu"))
    team.size = 5
    network = build_model(RECIPE.model, num_classes=2, num_queries=1)
    with pytest.raises(InputError, match=r"batch_size is 4, which 5 processes cannot share"):
        Learner(network, RECIPE, seed=0, team=team)


def test_batch_norms_that_processes_cannot_share() -> None:
    team = Team(torch.device("cpu"))
    free = build_model(changed({"frozen_norms": False}).model, num_classes=2, num_queries=1)
    assert share_norms(free, team) is free
    team.size = 2
    with pytest.raises(InputError, match=r"2 processes without a GPU cannot share"):
        share_norms(free, team)
    with pytest.raises(InputError, match=r"lets batch norms see every clip twice"):
        learner({"frozen_norms": False}, gradient_checkpointing=True)


def test_a_fault_of_one_process_is_that_of_all() -> None:
    team = Team(torch.device("cpu"))
    team.gather = lambda value: [value, "The disk is full."]  # type: ignore[method-assign, return-value]
    with pytest.raises(InputError, match=r"^rank 1: The disk is full.$"):
        team.together(lambda: None)


def test_the_mean_of_the_weights_by_hand() -> None:
    line = torch.nn.Linear(1, 1, bias=False)
    line.weight.data.fill_(1.0)
    mean = AveragedWeights(line, 0.5)
    line.weight.data.fill_(2.0)
    mean.follow(line, 0)  # at first a tenth of the mean stays
    assert float(mean.weights["weight"]) == pytest.approx(0.1 * 1 + 0.9 * 2)
    line.weight.data.fill_(4.0)
    mean.follow(line, 10_000)
    assert float(mean.weights["weight"]) == pytest.approx(0.5 * 1.9 + 0.5 * 4)
    again = AveragedWeights(line, 0.5)
    again.restore(mean.weights)
    assert torch.equal(again.weights["weight"], mean.weights["weight"])
