from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional

from maskfree.config import TemporalKNNConfig
from maskfree.datasets.padding import pad_clips
from maskfree.distributed.batch_loss import clip_losses, instances_in, mixed_seed, weigh
from maskfree.distributed.packed import packed, unpacked
from maskfree.distributed.shares import Share, StepShares, numbers_of
from maskfree.model.build import build_model
from maskfree.objective import Objective
from painted_clips import CLASSES, RECIPE, PaintedClips

CONFIG = RECIPE.config()


def of(*values: float) -> dict[str, torch.Tensor]:
    return dict(zip(("class", "projection", "temporal"), map(torch.tensor, values), strict=True))


def batch_sum(mean: str, config: object = CONFIG) -> dict[str, float]:
    """Two clips, of one instance and of three."""
    total: dict[str, float] = {}
    for losses, instances in ((of(2.0, 4.0, 1.0), 1), (of(6.0, 8.0, 3.0), 3)):
        parts = weigh(
            losses,
            instances,
            clips_of_all=2,
            instances_of_all=4,
            config=config,  # type: ignore[arg-type]
            mean=mean,
        )
        for name, value in parts.items():
            total[name] = total.get(name, 0.0) + float(value)
    return total


def test_means_over_clips_and_over_instances_by_hand() -> None:
    assert batch_sum("clip") == pytest.approx({"class": 4, "projection": 6, "temporal": 2})
    by_matches = dataclasses.replace(CONFIG, temporal=TemporalKNNConfig.released())
    found = batch_sum("instance", by_matches)
    assert found.pop("class") == pytest.approx(pooled_class_loss())
    assert found == pytest.approx({"projection": 7, "temporal": 2.5})


def test_a_mean_over_pairs_is_weighed_by_instance_whatever_the_normaliser() -> None:
    by_pairs = dataclasses.replace(
        CONFIG, temporal=dataclasses.replace(TemporalKNNConfig.paper(), method="pairwise3d")
    )
    assert batch_sum("instance", by_pairs)["temporal"] == pytest.approx(2.5)
    by_cells = dataclasses.replace(CONFIG, temporal=TemporalKNNConfig.paper())
    assert batch_sum("instance", by_cells)["temporal"] == pytest.approx(2)


def pooled_class_loss() -> float:
    """The class loss of both clips' queries as one: 1 and 3 objects, the rest weighs less."""
    less, queries = CONFIG.objective.no_object_weight, CONFIG.model.num_queries
    weights = [count + less * (queries - count) for count in (1, 3)]
    return (2.0 * weights[0] + 6.0 * weights[1]) / sum(weights)


def test_the_class_loss_of_a_batch_is_that_of_all_its_queries() -> None:
    queries, noise = CONFIG.model.num_queries, torch.Generator().manual_seed(0)
    weight = torch.tensor([1.0, 1.0, CONFIG.objective.no_object_weight])
    logits = torch.randn(2, queries, 3, generator=noise)
    target = torch.full((2, queries), 2)
    target[0, 1], target[1, :3] = 0, 1
    whole = functional.cross_entropy(logits.flatten(0, 1), target.flatten(), weight)
    parts = [
        weigh(
            {"class": functional.cross_entropy(logits[i], target[i], weight)},
            instances,
            clips_of_all=2,
            instances_of_all=4,
            config=CONFIG,
            mean="instance",
        )["class"]
        for i, instances in enumerate((1, 3))
    ]
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-6)


def test_a_sum_over_instances_is_a_mean_over_clips() -> None:
    summed = dataclasses.replace(CONFIG, temporal=TemporalKNNConfig.paper())
    assert not summed.objective.temporal_mean
    assert batch_sum("instance", summed)["temporal"] == pytest.approx(2)
    mean = dataclasses.replace(summed.objective, temporal_mean=True)
    averaged = dataclasses.replace(summed, objective=mean)
    assert batch_sum("instance", averaged)["temporal"] == pytest.approx(2.5)


def test_a_batch_without_instances_has_a_class_loss() -> None:
    parts = weigh(
        {"class": torch.tensor(3.0)},
        0,
        clips_of_all=1,
        instances_of_all=0,
        config=CONFIG,
        mean="instance",
    )
    assert {name: float(value) for name, value in parts.items()} == {"class": 3.0}


def test_a_clip_has_the_same_losses_beside_others() -> None:
    torch.manual_seed(0)
    model = build_model(RECIPE.model, num_classes=len(CLASSES), num_queries=1).eval()
    clips = pad_clips([PaintedClips().draw(number)[0] for number in (0, 1, 4)], (64, 64))
    objective = Objective(CONFIG, None, seed=0)
    with torch.no_grad():
        output = model(torch.stack([clip.clip.rgb for clip in clips]))
    together = clip_losses(output, clips, (0, 1, 4), objective, seed=3, step=0, steps=6)
    for i in (2, 0, 1):  # in whichever order, by whichever process
        with torch.no_grad():
            own = model(clips[i].clip.rgb[None])
        (alone,) = clip_losses(own, [clips[i]], [(0, 1, 4)[i]], objective, seed=3, step=0, steps=6)
        assert set(alone) == set(together[i])
        for name, value in alone.items():
            assert float(value) == pytest.approx(float(together[i][name]), abs=1e-4)
    assert [instances_in(clip) for clip in clips] == [len(c.targets.trust) for c in clips]


def test_a_clip_draws_points_of_its_own() -> None:
    assert mixed_seed(0, 1) == mixed_seed(0, 1)
    assert len({mixed_seed(seed, number) for seed in range(8) for number in range(64)}) == 512
    assert 0 <= mixed_seed(5, 6, 7) < 2**63


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_processes_share_the_numbers_of_a_batch(size: int) -> None:
    shares = [list(numbers_of(3, 5, rank, size)) for rank in range(size)]
    assert [number for each in shares for number in each] == [15, 16, 17, 18, 19]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_fault_goes_on_as_a_word() -> None:
    from maskfree.errors import InputError

    class Broken:
        def draw(self, number: int) -> object:
            raise InputError("No clip could be read.")

    share = StepShares(Broken(), 4, 1, 2)[2]  # type: ignore[arg-type]
    assert share == Share((10, 11), fault="No clip could be read.")


def test_a_share_is_packed_into_one_tensor() -> None:
    share = Share((3, 4), tuple(PaintedClips().draw(number)[0] for number in (3, 4)))
    found = unpacked(packed(share))
    assert found.numbers == (3, 4)
    for mine, theirs in zip(share.clips, found.clips, strict=True):
        assert theirs.clip.frames == mine.clip.frames
        assert torch.equal(theirs.clip.rgb, mine.clip.rgb)
        assert torch.equal(theirs.targets.radius, mine.targets.radius)
        assert torch.equal(theirs.targets.reach, mine.targets.reach)
        assert (theirs.classes.dtype, theirs.hand) == (torch.int64, None)
        assert torch.equal(theirs.classes, mine.classes)
