from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from maskfree.appearance import ColourModel
from maskfree.config import ConsensusConfig

CONFIG = ConsensusConfig(bins=4, unseen_share=0.1, colour_limit=3.0)
FULL_RANGE = np.array([[[0, 0, 0], [40, 80, 120]]], np.float32)


def model_of(config: ConsensusConfig = CONFIG) -> ColourModel:
    """Bins of 10, 20 and 30 along L, a and b, from 0 on."""
    model = ColourModel([FULL_RANGE], config)
    model._low, model._width = np.zeros(3, np.float32), np.array([10, 20, 30], np.float32)
    return model


def test_bins_by_hand() -> None:
    model = model_of()
    lab = np.array([[[0, 0, 0], [9.9, 19.9, 29.9], [10, 0, 0], [0, 20, 0], [0, 0, 30]]], np.float32)
    assert model.bins(lab).tolist() == [[0, 0, 16, 4, 1]]
    # beyond the range the outermost bins take everything
    far = np.array([[[-5, -1e4, -1], [1e4, 500, 121], [39, 79, 119]]], np.float32)
    assert model.bins(far).tolist() == [[0, 63, 63]]


def test_the_bins_cover_the_colours_but_for_their_tails() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.uniform([10, -20, 5], [50, 20, 65], (40, 50, 3)).astype(np.float32)] * 2
    model = ColourModel(pictures, CONFIG)
    low, high = model._low, model._low + 4 * model._width
    for side, part in ((low, 0.005), (high, 0.995)):
        expected = np.array([10, -20, 5]) + part * np.array([40, 40, 60])
        np.testing.assert_allclose(side, expected, atol=0.5)
    # one pixel of another colour does not move them
    pictures[0][0, 0] = 1000
    again = ColourModel(pictures, CONFIG)
    np.testing.assert_allclose(again._low, model._low, atol=0.2)
    np.testing.assert_allclose(again._width, model._width, atol=0.2)


def test_bins_are_never_narrower_than_one() -> None:
    flat = np.full((5, 5, 3), 30.0, np.float32)
    model = ColourModel([flat], CONFIG)
    np.testing.assert_array_equal(model._width, [1, 1, 1])
    np.testing.assert_array_equal(model._low, [28, 28, 28])  # the colour is in the middle
    assert model.bins(flat).tolist() == [[42] * 5] * 5


def test_a_tiny_histogram_by_hand() -> None:
    model = model_of()
    # three pixels of object in bin 0, one of background there, two of background in bin 63
    bins = np.array([[0, 0, 0], [0, 63, 63]])
    probability = np.array([[1.0, 0.8, 0.6], [0.1, 0.0, 0.5]])
    model.fit([(bins, probability)])
    counts = np.zeros((2, 4, 4, 4))
    counts[0, 0, 0, 0] = 1.0 + 0.8 + 0.6
    counts[1, 0, 0, 0] = 1 - 0.1
    counts[1, 3, 3, 3] = 1 - 0.0 + 1 - 0.5
    for axis in (1, 2, 3):  # a normal distribution one bin wide, mirrored at the ends
        counts = gaussian_filter1d(counts, 1.0, axis=axis)
    share = counts.reshape(2, 64) / counts.reshape(2, 64).sum(1, keepdims=True)
    ratio = np.log((share[0] + 0.1 / 64) / (share[1] + 0.1 / 64)).clip(-3, 3)
    np.testing.assert_allclose(model(np.arange(64)), ratio, atol=1e-5)


def test_the_sign_says_whose_colour_it_is() -> None:
    model = model_of()
    # bin 0 is the object's, bin 63 its background's, and both have the two in the middle
    bins = np.array([[0] * 6 + [21, 21, 42, 42], [63] * 6 + [21, 21, 42, 42]])
    model.fit([(bins, np.array([[1.0] * 10, [0.0] * 10]))])
    found = model(np.array([[0, 63, 21, 42]]))
    assert found.shape == (1, 4)
    assert found[0, 0] > 1
    assert found[0, 1] < -1
    assert found[0, 2] + found[0, 3] == pytest.approx(0, abs=1e-4)
    assert abs(found[0, 2]) < found[0, 0] / 2
    # and the other way round
    mirrored = model_of()
    mirrored.fit([(bins, np.array([[0.0] * 10, [1.0] * 10]))])
    np.testing.assert_allclose(mirrored(bins), -model(bins), atol=1e-5)


def test_all_pictures_count_together() -> None:
    rng = np.random.default_rng(0)
    bins, probability = rng.integers(0, 64, (2, 5, 8)), rng.uniform(0, 1, (2, 5, 8))
    apart, joined = model_of(), model_of()
    apart.fit(list(zip(bins, probability, strict=True)))
    joined.fit([(bins.reshape(10, 8), probability.reshape(10, 8))])
    np.testing.assert_array_equal(apart(np.arange(64)), joined(np.arange(64)))


def test_what_is_learnt_does_not_depend_on_what_was_learnt_before() -> None:
    rng = np.random.default_rng(0)
    bins, probability = rng.integers(0, 64, (5, 8)), rng.uniform(0, 1, (5, 8))
    fresh, used = model_of(), model_of()
    used.fit([(bins.T, 1 - probability.T)])
    for model in (fresh, used):
        model.fit([(bins, probability)])
    np.testing.assert_array_equal(fresh(bins), used(bins))


def test_a_colour_that_was_never_seen_tells_nothing() -> None:
    config = dataclasses.replace(CONFIG, bins=24)
    model = ColourModel([FULL_RANGE], config)
    bins = np.array([[0] * 5, [1] * 5])
    model.fit([(bins, np.array([[1.0] * 5, [0.0] * 5]))])
    assert model(np.array([24**3 - 1]))[0] == pytest.approx(0, abs=1e-6)


def test_a_colour_tells_no_more_than_its_limit() -> None:
    bins = np.array([[0] * 5, [63] * 5])
    for limit in (0.5, 2.0):
        model = model_of(dataclasses.replace(CONFIG, colour_limit=limit))
        model.fit([(bins, np.array([[1.0] * 5, [0.0] * 5]))])
        np.testing.assert_allclose(model(np.array([0, 63])), [limit, -limit])
        assert np.abs(model(np.arange(64))).max() <= limit


def test_before_it_has_learnt_and_where_one_side_is_empty() -> None:
    model = model_of()
    assert (model(np.arange(64)) == 0).all()
    bins = np.array([[5] * 9])
    model.fit([(bins, np.zeros((1, 9)))])
    assert np.isfinite(model(np.arange(64))).all()
    assert model(np.array([5]))[0] < -1


# its state


def fitted(seed: int = 0) -> ColourModel:
    rng = np.random.default_rng(seed)
    lab = rng.normal([50, 0, 10], [20, 10, 15], (30, 40, 3)).astype(np.float32)
    model = ColourModel([lab], CONFIG)
    model.fit([(model.bins(lab), rng.uniform(0, 1, (30, 40)))])
    return model


def test_the_state_makes_the_same_model() -> None:
    model = fitted()
    state = model.state()
    assert {k: (v.shape, v.dtype) for k, v in state.items()} == {
        "low": ((3,), np.float32),
        "width": ((3,), np.float32),
        "table": ((64,), np.float16),
    }
    again = ColourModel.from_state(state, CONFIG)
    lab = np.random.default_rng(1).normal([50, 0, 10], 30, (20, 20, 3)).astype(np.float32)
    np.testing.assert_array_equal(again.bins(lab), model.bins(lab))
    bins = model.bins(lab)
    np.testing.assert_allclose(again(bins), model(bins), atol=3 / 2048)  # half precision
    # and once rounded it stays what it is
    for name, values in again.state().items():
        np.testing.assert_array_equal(values, state[name])


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("low", np.zeros(2), r"^low: expected 3 axes of colour, got \(2,\)$"),
        ("width", np.zeros(4), r"^width: expected 3 axes of colour, got \(4,\)$"),
        ("table", np.zeros(27), r"^expected 4 bins, got a table \(27,\)$"),
        ("table", np.zeros((4, 4, 4)), r"^expected 4 bins, got a table \(4, 4, 4\)$"),
    ],
)
def test_a_state_of_another_shape_is_refused(name: str, values: np.ndarray, message: str) -> None:
    state = {**fitted().state(), name: values}
    with pytest.raises(ValueError, match=message):
        ColourModel.from_state(state, CONFIG)


@pytest.mark.parametrize("name", ["low", "width", "table"])
def test_a_state_that_lacks_something_is_refused(name: str) -> None:
    state = fitted().state()
    del state[name]
    with pytest.raises(KeyError):
        ColourModel.from_state(state, CONFIG)


def test_the_unseen_share_by_hand() -> None:
    # one colour each: log((1 + u) / u) at most, with u the even share of a bin
    config = dataclasses.replace(CONFIG, bins=64, unseen_share=1e-6, colour_limit=99.0)
    model = ColourModel([FULL_RANGE], config)
    bins = np.array([[0], [64**3 - 1]])
    model.fit([(bins, np.array([[1.0], [0.0]]))])
    # a corner keeps what the mirrored normal distribution leaves it, on each of three axes
    weights = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    kept = (weights[3] + weights[4]) / weights.sum()
    unseen = 1e-6 / 64**3
    expected = math.log((kept**3 + unseen) / unseen)
    assert model(np.array([0]))[0] == pytest.approx(expected, rel=1e-4)
