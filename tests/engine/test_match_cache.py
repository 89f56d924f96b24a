"""Matches that are kept are those that would be found."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from maskfree import match_cache
from maskfree.config import TemporalKNNConfig
from maskfree.correspondence import match_clip
from maskfree.match_cache import MatchCache

PAPER = dataclasses.replace(TemporalKNNConfig.paper(), search_radius=3)
RELEASED = TemporalKNNConfig.released()
Found = list


def frames(count: int = 5, height: int = 9, width: int = 12, seed: int = 0) -> torch.Tensor:
    return 5 * torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def check(found: Found, expected: Found, *, exact: bool) -> None:
    assert [pair for pair, _ in found] == [pair for pair, _ in expected]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        tolerance = 0.0 if exact else 1e-6
        torch.testing.assert_close(one.distance, other.distance, rtol=tolerance, atol=0)
        assert torch.equal(one.valid, other.valid)
        # outside the image candidates are equally far: exact only in the searched orientation
        compared = slice(None) if exact else other.valid
        assert torch.equal(one.target_yx[compared], other.target_yx[compared])
        assert one.target_yx.dtype == torch.long


@pytest.mark.parametrize("config", [PAPER, RELEASED])
def test_what_is_kept_is_what_is_found(config: TemporalKNNConfig) -> None:
    cache, video = MatchCache(config), frames()
    for clip in ([0, 1, 2], [1, 2, 4], [2, 1, 0], [0, 1, 2], [0, 1, 3]):
        check(cache.match_clip(video[clip]), match_clip(video[clip], config=config), exact=False)
    assert cache.hits >= 4


def test_the_same_clip_again_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, clip = MatchCache(PAPER), frames(3)
    first = cache.match_clip(clip)
    monkeypatch.setattr(match_cache, "nearest", None)
    check(cache.match_clip(clip.clone()), first, exact=True)
    assert (cache.hits, cache.misses) == (3, 3)


def test_a_clip_and_its_mirror_image_are_searched_once() -> None:
    cache, clip = MatchCache(PAPER), frames(3)
    plain, mirrored = cache.match_clip(clip), cache.match_clip(clip.flip(-1))
    assert (cache.hits, cache.misses) == (3, 3)
    check(plain, match_clip(clip, config=PAPER), exact=False)
    check(mirrored, match_clip(clip.flip(-1), config=PAPER), exact=False)


def test_mirrored_ties_go_to_the_mirrored_candidate() -> None:
    flat = torch.full((2, 3, 9, 9), 30.0)
    flat[1, :, 4, 0] = 31.0  # one of the two orientations is searched, the other one is turned
    cache = MatchCache(PAPER)
    found = [cache.match_clip(lab)[0][1] for lab in (flat, flat.flip(-1))]
    assert cache.misses == 2  # there and back; the mirror image is served
    y, x = torch.meshgrid(torch.arange(9), 8 - torch.arange(9), indexing="ij")
    turned = found[1].target_yx[:, y, x].clone()
    turned[..., 1] = 8 - turned[..., 1]
    assert torch.equal(found[0].target_yx, turned)
    expected = match_clip(flat, config=PAPER)[0][1]
    torch.testing.assert_close(found[0].distance, expected.distance, rtol=1e-6, atol=0)


def test_what_is_found_does_not_depend_on_what_came_before() -> None:
    clip = frames(3)
    fresh = MatchCache(PAPER).match_clip(clip)
    used = MatchCache(PAPER)
    used.match_clip(clip.flip(-1))
    check(used.match_clip(clip), fresh, exact=True)


def test_a_changed_value_is_another_frame() -> None:
    cache, clip = MatchCache(PAPER), frames(3)
    cache.match_clip(clip)
    clip[1, 2, 4, 5] += 1
    check(cache.match_clip(clip), match_clip(clip, config=PAPER), exact=False)
    assert cache.hits == 1  # 2 to 0


def test_frames_of_another_shape_are_others() -> None:
    cache, clip = MatchCache(PAPER), torch.zeros(2, 3, 4, 6)
    cache.match_clip(clip)
    assert cache.match_clip(clip.view(2, 3, 6, 4))[0][1].valid.shape == (5, 6, 4)


def test_memory_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = 5 * 9 * 12 * 6  # five matches, an int16 and a float32 each
    monkeypatch.setattr(match_cache, "_MEGABYTE", pair)
    cache = MatchCache(dataclasses.replace(PAPER, kept_matches=4, tube="neighbour"))
    video = frames(8)
    for start in (0, 2, 4, 0, 6):  # two pairs each
        cache.match_clip(video[[start, start + 1, (start + 2) % 8]])
        assert cache._bytes <= 4 * pair
        assert cache._bytes == sum(i.nbytes + d.nbytes for i, d in cache._kept.values())
    assert (cache.hits, cache.misses) == (0, 10)
    cache.match_clip(video[[0, 1, 2]])
    assert cache.hits == 2


def test_what_was_used_lately_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match_cache, "_MEGABYTE", 5 * 9 * 12 * 6)
    cache = MatchCache(dataclasses.replace(PAPER, kept_matches=2, tube="neighbour"))
    video = frames(6)
    first, second, third = video[:2], video[2:4], video[4:]
    for clip in (first, second, first, third, first):
        cache.match_clip(clip)
    assert (cache.hits, cache.misses) == (2, 3)
    cache.match_clip(second)
    assert cache.misses == 4


def test_nothing_is_kept_where_nothing_may_be() -> None:
    cache, clip = MatchCache(dataclasses.replace(PAPER, kept_matches=0)), frames(3)
    for _ in range(2):
        check(cache.match_clip(clip), match_clip(clip, config=PAPER), exact=False)
    assert cache._bytes == 0
    assert cache.hits == 0


def test_one_frame_has_no_matches() -> None:
    assert MatchCache(PAPER).match_clip(frames(1)) == []


def test_what_is_served_can_be_changed() -> None:
    cache, clip = MatchCache(PAPER), frames(3)
    first = cache.match_clip(clip)
    expected = first[0][1].distance.clone()
    first[0][1].distance.zero_()
    assert torch.equal(cache.match_clip(clip)[0][1].distance, expected)
