"""What evidence and consensus say of a training clip's cells, wherever its window lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from clip_sampler import SHAKEN, make_sampler, noise
from maskfree.crop import Crop
from maskfree.evidence import SURE

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import BoxTracks


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("scale", [0.8, 1.0, 1.6])
@pytest.mark.parametrize("seed", range(4))
def test_the_evidence_follows_the_pixels(
    make_tracks: Callable[..., BoxTracks], axis: int, scale: float, seed: int
) -> None:
    # every pixel and every 2-pixel cell of the evidence tells its own place along an axis
    place = np.indices((80, 120), dtype=np.uint8)[axis]
    frames = np.repeat(place[None, ..., None], 3, -1).repeat(6, 0)
    cells = -np.indices((40, 60), dtype=np.int8)[axis][None].repeat(6, 0)
    tracks = make_tracks({0: (36, 24, 80, 48)}, num_frames=6, height=80, width=120)
    sampler = make_sampler(frames, tracks, scale=scale, evidence=cells, augment=SHAKEN, seed=seed)
    sample = sampler.draw()
    assert sample.labels.dtype == torch.float32
    pixel = torch.nn.functional.avg_pool2d(sample.clip.rgb[:, 0] * 255, 4)
    error = -sample.labels[0] * SURE * 2 + 0.5 - pixel
    assert float(error.abs().max()) < 0.75  # half a cell at the frame's border
    assert abs(float(error.mean())) < 0.15


def test_evidence_of_another_resolution_is_spread_over_the_frame(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    frames = noise(2)
    evidence = np.random.default_rng(0).integers(-SURE, SURE + 1, (2, 4, 6)).astype(np.int8)
    tracks = make_tracks({0: (0, 0, 96, 64)}, num_frames=2)
    sample = make_sampler(frames, tracks, evidence=evidence).draw()
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(evidence).float()[None] / SURE, size=(16, 24), mode="bilinear"
    )
    torch.testing.assert_close(sample.labels, expected, atol=0.04, rtol=0)  # 1/32 of a cell


def test_an_object_where_two_boxes_overlap_could_be_either(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    boxes = (8, 4, 40, 44), (32, 16, 80, 64)
    tracks = make_tracks(*(dict.fromkeys((0, 1), b) for b in boxes), num_frames=2)
    for said in (SURE, -SURE):
        evidence = np.full((2, 32, 48), said, np.int8)
        labels = make_sampler(noise(2), tracks, evidence=evidence).draw().labels
        expected = torch.full((2, 2, 16, 24), min(0.0, said / SURE))
        if said > 0:
            expected[0, :, 1:11, 2:10] = 1
            expected[1, :, 4:16, 8:20] = 1
            expected[:, :, 4:11, 8:10] = 0
        torch.testing.assert_close(labels, expected)


class Told:
    """A consensus that is sure of what it is told; ``belief``: float (H, W), -1 to 1."""

    def __init__(self, belief: np.ndarray, rows: slice, columns: slice, detail: int = 1) -> None:
        small = belief[rows, columns]
        h, w = small.shape[0] // detail, small.shape[1] // detail
        small = small.reshape(h, detail, w, detail).mean((1, 3))
        self.made = Crop(rows, columns, (2 * np.arctanh(small)).astype(np.float32))
        self.asked: list[tuple[int, int]] = []

    def crop(self, n: int, t: int) -> Crop | None:
        self.asked.append((n, t))
        return self.made if n == 0 else None


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.6])
@pytest.mark.parametrize(("seed", "detail"), [(0, 1), (1, 2), (2, 1), (3, 2)])
def test_the_consensus_follows_the_pixels(
    make_tracks: Callable[..., BoxTracks], axis: int, scale: float, seed: int, detail: int
) -> None:
    place = np.indices((80, 120), dtype=np.uint8)[axis]
    frames = np.stack([2 * place, np.zeros_like(place), np.zeros_like(place)], -1)
    frames = frames[None].repeat(6, 0)
    rows, columns = slice(8, 60), slice(20, 100)
    frames[:, rows, columns, 1] = 255
    box = {0: (36, 24, 80, 48)}
    tracks = make_tracks(box, box, num_frames=6, height=80, width=120)
    told = Told(place / 256, rows, columns, detail)
    sampler = make_sampler(frames, tracks, scale=scale, consensus=told, augment=SHAKEN, seed=seed)
    sample = sampler.draw()
    assert (sample.labels.shape[0], sample.labels.dtype) == (2, torch.float32)
    assert sorted(told.asked) == sorted((n, t) for n in (0, 1) for t in sample.clip.frames)
    pixel, inside = torch.nn.functional.avg_pool2d(sample.clip.rgb[:, :2], 4).unbind(1)
    assert int((inside == 1).sum()) > 50
    error = (sample.labels[0] * 256 - pixel * 255 / 2)[inside == 1]
    assert float(error.abs().max()) < 1.6  # half of a cell where the crop ends
    assert abs(float(error.mean())) < 0.2
    assert bool((sample.labels[0][inside == 0] == -1).all())
    assert torch.equal(sample.labels[1], torch.full_like(sample.labels[1], -1))  # absent


def test_labels_are_means_over_the_grids_cells(make_tracks: Callable[..., BoxTracks]) -> None:
    signs = np.random.default_rng(0).choice([-0.9, 0.9], (64, 96))
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=2)
    told = Told(signs, slice(0, 64), slice(0, 96))
    labels = make_sampler(noise(2), tracks, consensus=told).draw().labels
    assert 0.1 < float(labels.std()) < 0.9 / 4  # of 4 x 4 pixels
    # enlarged eight times, a cell is half a pixel: they are what they are
    sampler = make_sampler(noise(2), tracks, scale=8.0, consensus=told)
    assert float(sampler.draw().labels.std()) > 0.5


def test_a_consensus_is_asked_before_the_evidence(make_tracks: Callable[..., BoxTracks]) -> None:
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=2)
    told = Told(np.full((64, 96), 0.5), slice(0, 64), slice(0, 96))
    evidence = np.full((2, 32, 48), -SURE, np.int8)
    sample = make_sampler(noise(2), tracks, evidence=evidence, consensus=told).draw()
    torch.testing.assert_close(sample.labels, torch.full((1, 2, 16, 24), 0.5))
