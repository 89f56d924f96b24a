"""Training clips whose frames come in any order."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import pytest
import torch

from clip_sampler import SHAKEN, make_sampler, noise
from maskfree.config import AugmentConfig, TemporalKNNConfig
from maskfree.correspondence import directed_pairs, match_clip
from maskfree.match_cache import MatchCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import BoxTracks

    MakeTracks = Callable[..., BoxTracks]

MOVING = {0: (8, 4, 40, 44), 29: (40, 10, 80, 60)}


def test_shuffled_clips_hold_the_frames_of_ordered_ones(make_tracks: MakeTracks) -> None:
    tracks = make_tracks(MOVING, num_frames=30)
    sampler = make_sampler(noise(30), tracks, clip_length=4, max_gap=3, shuffle=True)
    orders = set()
    for _ in range(300):
        frames = sampler._draw_frames()
        inner = sorted(frames)
        assert all(1 <= b - a <= 3 for a, b in itertools.pairwise(inner))
        orders.add(tuple(inner.index(t) for t in frames))
    assert len(orders) == 24


def test_without_it_nothing_is_drawn_for_it(make_tracks: MakeTracks) -> None:
    tracks = make_tracks(MOVING, num_frames=30)
    plain = make_sampler(noise(30), tracks, clip_length=1, augment=SHAKEN)
    other = make_sampler(noise(30), tracks, clip_length=1, augment=SHAKEN, shuffle=False)
    assert [plain.draw().clip.frames for _ in range(9)] == [
        other.draw().clip.frames for _ in range(9)
    ]


def test_pictures_and_boxes_go_with_their_frames(make_tracks: MakeTracks) -> None:
    frames, tracks = noise(30), make_tracks(MOVING, num_frames=30)
    still = {"clip_length": 5, "max_gap": 2}
    shuffled = make_sampler(frames, tracks, shuffle=True, **still)
    for _ in range(5):
        sample = shuffled.draw()
        order = torch.tensor(sample.clip.frames)
        expected = torch.from_numpy(frames)[order].permute(0, 3, 1, 2) / 255
        torch.testing.assert_close(sample.clip.rgb, expected)
        left = sample.targets.box_masks[0].any(1).int().argmax(-1)
        assert torch.equal(left[order.argsort()], left.sort().values)


@pytest.mark.parametrize("tube", ["cyclic", "neighbour", "dense"])
@pytest.mark.parametrize("length", range(2, 9))
def test_every_length_goes_with_every_tube(make_tracks: MakeTracks, tube: str, length: int) -> None:
    tracks = make_tracks(MOVING, num_frames=30)
    sampler = make_sampler(noise(30), tracks, clip_length=length, shuffle=True)
    config = TemporalKNNConfig(tube=tube, search_radius=1)
    lab = sampler.draw().clip.lab
    found = match_clip(lab, config=config)
    assert [pair for pair, _ in found] == directed_pairs(length, config)
    assert len(found) == {"cyclic": length, "neighbour": length - 1}.get(
        tube, length * (length - 1) // 2
    )


def test_kept_matches_are_those_of_the_frames_whatever_their_order(
    make_tracks: MakeTracks,
) -> None:
    config = TemporalKNNConfig(tube="dense", search_radius=1)
    cache, tracks = MatchCache(config), make_tracks({0: MOVING[0]}, num_frames=6)
    sampler = make_sampler(
        noise(6),
        tracks,
        clip_length=3,
        shuffle=True,
        augment=dataclasses.replace(AugmentConfig(), scale_jitter=0.0),
    )
    for _ in range(12):
        lab = sampler.draw().clip.lab
        for (pair, one), (_, other) in zip(
            cache.match_clip(lab), match_clip(lab, config=config), strict=True
        ):
            torch.testing.assert_close(one.distance, other.distance, rtol=1e-5, atol=1e-6)
            assert torch.equal(one.target_yx[other.valid], other.target_yx[other.valid]), pair
    assert cache.hits > 0
