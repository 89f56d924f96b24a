from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from clip_sampler import SHAKEN, STILL, make_sampler, noise
from maskfree import sampling
from maskfree.config import AugmentConfig, SamplingConfig
from maskfree.contrast import lab_stretch
from maskfree.lab import to_lab
from maskfree.sampling import ClipSampler, padded_size
from maskfree.video import open_video
from maskfree.working import WorkingFrames

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import BoxTracks


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 96), (64, 96)),
        ((65, 97), (64, 96)),
        ((72, 104), (64, 96)),
        ((73, 105), (96, 128)),
        ((1, 31.9), (32, 32)),
        ((253.9, 451.7), (256, 448)),
    ],
)
def test_sides_become_multiples_of_32(size: tuple[float, float], expected: tuple[int, int]) -> None:
    assert padded_size(*size) == expected


@pytest.mark.parametrize("seed", range(50))
def test_every_size_is_a_multiple_of_32_and_near(seed: int) -> None:
    height, width = np.random.default_rng(seed).uniform(1, 3000, 2)
    for given, got in zip((height, width), padded_size(height, width), strict=True):
        assert got % 32 == 0
        assert -8 <= got - max(given, 32) + 1e-9 < 24


def test_the_plain_clip_is_the_frames_themselves(make_tracks: Callable[..., BoxTracks]) -> None:
    frames = noise()
    sampler = make_sampler(frames, make_tracks({0: (8, 4, 40, 44)}, num_frames=6))
    sample = sampler.draw()
    expected = torch.from_numpy(frames[list(sample.clip.frames)]).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(sample.clip.rgb, expected)
    torch.testing.assert_close(sample.clip.lab, to_lab(expected))
    box = torch.zeros(16, 24)
    box[1:11, 2:10] = 1
    assert torch.equal(sample.targets.box_masks, box.expand(1, 2, 16, 24))
    assert torch.equal(sample.labels, torch.zeros(1, 2, 16, 24))


MOVING = {t: (10.0 + 6 * t, 30.0 - 3 * t, 30.0 + 8 * t, 52.0 - 2 * t) for t in range(6)}


def bright_box(image: np.ndarray) -> np.ndarray:
    """Edges (x0, y0, x1, y1) of what is brighter than the half, to a part of a pixel."""
    edges = []
    for axis in (0, 1):
        line = image.max(axis)
        inside = np.flatnonzero(line > 0.5)
        for first, step in ((inside[0], -1), (inside[-1], 1)):
            beyond = line[first + step] if 0 <= first + step < len(line) else 1.0
            part = (line[first] - 0.5) / max(line[first] - beyond, 1e-6)
            edges.append(first + 0.5 + step * min(part, 0.5))
    x0, x1, y0, y1 = edges
    return np.array([x0, y0, x1, y1])


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6])
@pytest.mark.parametrize("seed", range(6))
def test_boxes_follow_the_pixels_through_zoom_crop_and_mirror(
    monkeypatch: pytest.MonkeyPatch,
    make_tracks: Callable[..., BoxTracks],
    scale: float,
    seed: int,
) -> None:
    frames = np.zeros((6, 80, 120, 3), np.uint8)
    for t, (x0, y0, x1, y1) in MOVING.items():
        frames[t, int(y0) : int(y1), int(x0) : int(x1)] = 255
    tracks = make_tracks(MOVING, num_frames=6, height=80, width=120)
    seen: list[np.ndarray] = []

    def spy(boxes: np.ndarray, *args: Any, **settings: Any) -> Any:
        seen.append(boxes)
        return real(boxes, *args, **settings)

    real = sampling.box_targets
    monkeypatch.setattr(sampling, "box_targets", spy)
    sampler = make_sampler(frames, tracks, scale=scale, augment=SHAKEN, seed=seed)
    for _ in range(3):
        sample = sampler.draw()
        height, width = sample.clip.rgb.shape[-2:]
        boxes = seen.pop()[0] * 4
        for box, image in zip(boxes, sample.clip.rgb[:, 0].numpy(), strict=True):
            shown = np.clip(box, 0, [width, height, width, height])
            if (shown[2:] - shown[:2]).min() < 3:
                continue
            np.testing.assert_allclose(bright_box(image), shown, atol=0.75)


def test_frames_are_in_order_with_gaps_up_to_the_largest(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=30)
    sampler = make_sampler(noise(30), tracks, clip_length=4, max_gap=3, frame_area=64 * 96)
    seen, gaps = set(), set()
    for _ in range(150):
        frames = sampler._draw_frames()
        steps = np.diff(frames)
        assert len(frames) == 4
        assert frames[0] >= 0
        assert frames[-1] < 30
        seen.update(frames)
        gaps.update(steps.tolist())
    assert seen == set(range(30))
    assert gaps == {1, 2, 3}


@pytest.mark.parametrize(("length", "expected"), [(1, {(0, 0, 0)}), (2, {(0, 1, 1)})])
def test_a_video_shorter_than_the_clip_repeats_its_last_frame(
    make_tracks: Callable[..., BoxTracks], length: int, expected: set[tuple[int, ...]]
) -> None:
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=length)
    sampler = make_sampler(noise(length), tracks, clip_length=3)
    assert {sampler.draw().clip.frames for _ in range(5)} == expected


def test_every_clip_shows_a_frame_with_a_box_where_one_can(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    tracks = make_tracks({13: (8, 4, 40, 44), 15: None}, num_frames=30)
    sampler = make_sampler(noise(30), tracks, clip_length=3, max_gap=2)
    for _ in range(60):
        assert {13, 14} & set(sampler._draw_frames())


@pytest.mark.parametrize("seed", range(4))
def test_where_frames_are_larger_than_the_budget_the_crop_shows_an_object(
    make_tracks: Callable[..., BoxTracks], seed: int
) -> None:
    tracks = make_tracks({0: (200, 10, 230, 30), 3: (180, 10, 210, 30)}, num_frames=4, width=384)
    sampler = make_sampler(noise(4, 64, 384), tracks, scale=2.0, augment=SHAKEN, seed=seed)
    for _ in range(10):
        sample = sampler.draw()
        assert sample.clip.rgb.shape[-2:] == (32, 192)  # a quarter of 128 x 768 on each side
        assert bool(sample.targets.box_masks.any())


def test_one_seed_draws_the_same_clips_and_another_others(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    augment = AugmentConfig(flip=True, scale_jitter=0.3, colour_jitter=0.2)
    tracks = make_tracks(MOVING, num_frames=6)

    def drawn(seed: int) -> torch.Tensor:
        sampler = make_sampler(noise(), tracks, augment=augment, seed=seed)
        return torch.stack([sampler.draw().clip.rgb for _ in range(3)])

    assert torch.equal(drawn(5), drawn(5))
    assert not torch.equal(drawn(5), drawn(6))


def test_colours_change_alike_in_all_frames_and_lab_stays_true(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    frames = np.repeat(noise(1), 6, 0)
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=6)
    augment = AugmentConfig(flip=False, scale_jitter=0.0, colour_jitter=0.5)
    sample = make_sampler(frames, tracks, augment=augment, seed=3).draw()
    true = torch.from_numpy(frames[:2]).permute(0, 3, 1, 2) / 255
    assert torch.equal(sample.clip.rgb[0], sample.clip.rgb[1])
    assert (sample.clip.rgb - true).abs().mean() > 0.02
    assert float(sample.clip.rgb.min()) >= 0
    assert float(sample.clip.rgb.max()) <= 1
    torch.testing.assert_close(sample.clip.lab, to_lab(true))


def test_a_mirrored_clip_is_the_mirrored_frame(make_tracks: Callable[..., BoxTracks]) -> None:
    frames = noise(1)
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=1)
    augment = AugmentConfig(flip=True, scale_jitter=0.0, colour_jitter=0.0)
    sampler = make_sampler(frames, tracks, augment=augment, clip_length=1)
    plain = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    for _ in range(6):
        rgb = sampler.draw().clip.rgb
        assert torch.allclose(rgb, plain) or torch.allclose(rgb, plain.flip(-1))


def frames_of(pixels: np.ndarray) -> WorkingFrames:
    return WorkingFrames(open_video(pixels), 1.0, cache_bytes=2**20)


def test_the_stretch_by_hand() -> None:
    # grey levels whose L are 40 and 60, half of the pixels each: a deviation of 10 L
    pixels = np.full((3, 32, 32, 3), 94, np.uint8)
    pixels[:, :, 16:] = 145
    frames = frames_of(pixels)
    for contrast, expected in ((0.0, 1.0), (5.0, 1.0), (20.0, 2.0), (900.0, 3.0)):
        config = SamplingConfig(contrast=contrast, max_stretch=3.0)
        assert lab_stretch(frames, config=config) == pytest.approx(expected, rel=0.03)
    config = SamplingConfig(contrast=20.0, max_stretch=3.0)
    assert lab_stretch(frames_of(np.full((1, 8, 8, 3), 7, np.uint8)), config=config) == 3


def test_lab_is_stretched_and_the_picture_is_not(make_tracks: Callable[..., BoxTracks]) -> None:
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=6)
    dull = (noise() // 8 + 100).astype(np.uint8)
    plain, stretched = (make_sampler(dull, tracks, contrast=c).draw() for c in (0.0, 20.0))
    assert torch.equal(plain.clip.rgb, stretched.clip.rgb)
    factor = lab_stretch(frames_of(dull), config=SamplingConfig(contrast=20.0))
    assert factor > 1.5
    torch.testing.assert_close(stretched.clip.lab, plain.clip.lab * factor)


def test_flip_comes_half_of_the_time(make_tracks: Callable[..., BoxTracks]) -> None:
    frames = np.zeros((1, 64, 96, 3), np.uint8)
    frames[:, :, :48] = 255
    tracks = make_tracks({0: (0, 0, 48, 64)}, num_frames=1)
    augment = AugmentConfig(flip=True, scale_jitter=0.0, colour_jitter=0.0)
    sampler = make_sampler(frames, tracks, augment=augment, clip_length=1)
    left = 0
    for _ in range(60):
        sample = sampler.draw()
        at_left = bool(sample.clip.rgb[0, 0, 0, 0] > 0.5)
        assert bool(sample.targets.box_masks[0, 0, 0, 0]) is at_left
        left += at_left
    assert 15 < left < 45


def test_pictures_are_of_clips_and_leave_the_drawing_alone(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    augment = AugmentConfig(flip=True, scale_jitter=0.3, colour_jitter=0.2)
    tracks = make_tracks(MOVING, num_frames=6)
    plain, looked = (make_sampler(noise(), tracks, augment=augment, seed=5) for _ in range(2))
    seen = list(looked.pictures(3, seed=7))
    assert [p.shape for p in seen] == [(2, 3, 64, 96)] * 3
    assert torch.equal(plain.draw().clip.rgb, looked.draw().clip.rgb)
    assert all(torch.equal(a, b) for a, b in zip(seen, looked.pictures(3, seed=7), strict=True))
    # those of a sampler of that seed, the labels' part left out
    same = make_sampler(noise(), tracks, augment=augment, seed=7)
    assert torch.equal(seen[0], same.draw().clip.rgb)


def windows(sampler: ClipSampler, count: int) -> list[np.ndarray]:
    return [sampler._draw_window(sampler._boxes[:, [0]]) for _ in range(count)]


def test_without_zoom_windows_lie_on_the_grid_and_come_again(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=1, height=75, width=117)
    sampler = make_sampler(noise(1, 75, 117), tracks, augment=STILL, clip_length=1)
    height, width = sampler.size
    room_y, room_x = 75 - height, 117 - width
    shifts = {(-m[0, 2], -m[1, 2]) for m in windows(sampler, 60)}
    assert len(shifts) > 3
    for x, y in shifts:
        assert x % 4 == 0
        assert y % 4 == 0
        assert 0 <= x <= room_x
        assert 0 <= y <= room_y


def test_with_zoom_windows_lie_anywhere(make_tracks: Callable[..., BoxTracks]) -> None:
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=1, height=75, width=117)
    sampler = make_sampler(noise(1, 75, 117), tracks, augment=SHAKEN, clip_length=1)
    assert len({m.tobytes() for m in windows(sampler, 60)}) == 60
    assert any(m[0, 2] % 4 for m in windows(sampler, 5))


def test_without_zoom_a_mirrored_window_is_the_mirror_image_to_the_bit(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    # enlarged by a crooked factor, so that pixels are interpolated
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=1, height=61, width=93)
    augment = AugmentConfig(flip=True, scale_jitter=0.0, colour_jitter=0.0)
    sampler = make_sampler(noise(1, 61, 93), tracks, augment=augment, clip_length=1)
    drawn = [sampler.draw().clip.lab for _ in range(12)]
    distinct = {lab.numpy().tobytes(): lab for lab in drawn}
    assert len(distinct) == 2
    one, other = distinct.values()
    assert torch.equal(one, other.flip(-1))
