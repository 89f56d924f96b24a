from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from consensus_scene import CONFIG, Scene, assert_equal, constant, crops, make_scene
from maskfree.consensus import Consensus

if TYPE_CHECKING:
    from maskfree.crop import Crop


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("seen", [True, False])
def test_masks_from_boxes_alone_are_much_better_than_the_boxes(seed: int, seen: bool) -> None:
    scene = make_scene(seed)
    consensus = scene.consensus(evidence=scene.evidence if seen else None)
    consensus.fit()
    found = scene.mean_j(lambda n, t: scene.mask(consensus, n, t))
    assert found > 0.77
    assert found > scene.mean_j(scene.filled) + 0.2


def test_where_a_track_is_absent_there_is_no_crop(scene: Scene, settled: Consensus) -> None:
    absent = np.argwhere(~np.isfinite(scene.boxes).all(-1))
    assert len(absent)
    for n, t in absent:
        assert settled.crop(int(n), int(t)) is None


def test_before_it_has_learnt_there_is_no_crop(scene: Scene) -> None:
    consensus = scene.consensus()
    assert all(consensus.crop(n, t) is None for n, t in scene.present())


def test_a_track_that_is_never_there_does_no_harm(scene: Scene, settled: Consensus) -> None:
    boxes = np.concatenate([np.full((1, 12, 4), np.nan), scene.boxes])
    slack = np.concatenate([np.zeros((1, 12)), scene.slack])
    consensus = Consensus(scene.frames, boxes, slack, scene.evidence, stretch=1.0, config=CONFIG)
    consensus.fit()
    assert consensus.crop(0, 3) is None
    moved = [consensus.crop(n + 1, t) for n, t in scene.present()]
    assert_equal([c for c in moved if c is not None], crops(settled, scene))


def test_two_equal_runs_give_equal_results(scene: Scene, settled: Consensus) -> None:
    again = scene.consensus()
    again.fit()
    assert_equal(crops(again, scene), crops(settled, scene))
    again.fit()  # and learning starts anew each time
    assert_equal(crops(again, scene), crops(settled, scene))


def test_nothing_is_object_beyond_a_boxs_reach(scene: Scene, settled: Consensus) -> None:
    for (n, t), crop in zip(scene.present(), crops(settled, scene), strict=True):
        x0, y0, x1, y1 = scene.boxes[n, t]
        dx, dy = scene.slack[n, t] * (x1 - x0), scene.slack[n, t] * (y1 - y0)
        y, x = crop.places()
        rows = (y + 0.5 < y0 - dy) | (y + 0.5 >= y1 + dy)
        columns = (x + 0.5 < x0 - dx) | (x + 0.5 >= x1 + dx)
        beyond = rows[:, None] | columns
        assert beyond.any()
        np.testing.assert_allclose(crop.values[beyond], -15, atol=1e-3)
        assert crop.values[~beyond].max() > 0
        assert np.abs(crop.values).max() < 15.1
        assert crop.values.dtype == np.float32


# the network's say


def test_masks_go_towards_the_network(scene: Scene) -> None:
    consensus = scene.consensus(dataclasses.replace(CONFIG, network=1.0))
    consensus.fit()
    alone = crops(consensus, scene)
    consensus.hear(constant(6.0))
    more = crops(consensus, scene)
    consensus.hear(constant(-6.0))
    less = crops(consensus, scene)
    consensus.hear(lambda n, t, crop: None)
    nothing = crops(consensus, scene)
    consensus.hear(None)
    silent = crops(consensus, scene)
    assert_equal(nothing, alone)
    assert_equal(silent, alone)
    for before, up, down in zip(alone, more, less, strict=True):
        inside = before.values > -14.9
        assert (up.values[inside] >= before.values[inside] - 1e-3).all()
        assert (down.values[inside] <= before.values[inside] + 1e-3).all()
        assert up.values[inside].mean() > before.values[inside].mean() + 0.5
        assert down.values[inside].mean() < before.values[inside].mean() - 0.5


def test_a_network_that_is_right_makes_masks_better(scene: Scene) -> None:
    consensus = scene.consensus(dataclasses.replace(CONFIG, network=1.0))
    consensus.fit()
    before = scene.mean_j(lambda n, t: scene.mask(consensus, n, t))
    consensus.hear(scene.truth)
    heard = scene.mean_j(lambda n, t: scene.mask(consensus, n, t))
    assert heard > before + 0.03
    # also where it had a say in the colours only
    consensus.fit(scene.truth)
    fitted = consensus.memory(scene.ids)
    consensus.fit()
    plain = consensus.memory(scene.ids)
    assert fitted.colours.keys() == plain.colours.keys() == set(scene.ids)
    for i in scene.ids:
        assert not np.array_equal(
            fitted.colours[i].state()["table"], plain.colours[i].state()["table"]
        )


def test_the_network_is_asked_about_the_crop_and_counts_up_to_its_limit(scene: Scene) -> None:
    asked: list[tuple[int, int, Crop]] = []

    def network(n: int, t: int, crop: Crop) -> np.ndarray:
        asked.append((n, t, crop))
        return np.full(crop.values.shape, 1000.0, np.float32)

    config = dataclasses.replace(CONFIG, network_limit=2.5)
    consensus = scene.consensus(config)
    consensus.fit()
    n, t = scene.present()[3]
    consensus.hear(network)
    crop = consensus.crop(n, t)
    assert crop is not None
    ((asked_n, asked_t, about),) = asked
    assert (asked_n, asked_t) == (n, t)
    assert (about.rows, about.columns, about.values.shape) == (
        crop.rows,
        crop.columns,
        crop.values.shape,
    )
    consensus.hear(constant(2.5))
    limited = consensus.crop(n, t)
    assert limited is not None
    np.testing.assert_array_equal(limited.values, crop.values)
