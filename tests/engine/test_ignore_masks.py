"""The pixels of ignore regions, and the picture without them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskfree.config import Config
from maskfree.ignore_masks import IgnoreMasks, painted_over, region_mask, without_ignored
from maskfree.ignore_regions import add_region, rectangle
from maskfree.tracks import empty_tracks
from maskfree.types import BoxTracks, IgnoreRegion
from maskfree.video import open_video

H, W = 24, 32


def region(*corners: tuple[float, float], frame: int = 0, until: int | None = None) -> IgnoreRegion:
    return IgnoreRegion(corners, frame, until)


def of(*regions: IgnoreRegion) -> BoxTracks:
    tracks = empty_tracks(6, H, W, None)
    for each in regions:
        tracks = add_region(tracks, each)
    return tracks


def square(x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice]:
    return slice(round(y0), round(y1)), slice(round(x0), round(x1))


def test_a_rectangle_is_the_pixels_whose_centres_it_holds() -> None:
    for box, found in (
        ((2.0, 3.0, 6.0, 9.0), (2, 3, 6, 9)),
        ((2.4, 3.4, 5.6, 8.6), (2, 3, 6, 9)),
        ((2.6, 3.6, 5.4, 8.4), (3, 4, 5, 8)),
    ):
        wanted = np.zeros((H, W), bool)
        wanted[square(*found)] = True
        np.testing.assert_array_equal(region_mask(region(*rectangle(box)), H, W), wanted)
        turned = (*rectangle(box)[1:], rectangle(box)[0])  # drawn from another corner
        np.testing.assert_array_equal(region_mask(region(*turned), H, W), wanted)


def test_a_polygon_against_a_test_of_each_pixel() -> None:
    corners = [(3.2, 2.1), (20.7, 4.3), (14.3, 11.2), (25.1, 20.6), (5.9, 18.3)]
    mask = region_mask(region(*corners), H, W)
    for y, x in np.ndindex(H, W):
        crossed = 0
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if (y0 > y + 0.5) != (y1 > y + 0.5):
                crossed += x + 0.5 < x0 + (y + 0.5 - y0) / (y1 - y0) * (x1 - x0)
        assert mask[y, x] == crossed % 2, (y, x)


def test_each_frame_has_what_holds_there() -> None:
    masks = IgnoreMasks(
        of(
            region(*rectangle((0, 0, 4, 4)), frame=2, until=3),
            region(*rectangle((8, 8, 12, 12)), frame=3, until=None),
        )
    )
    assert masks and not IgnoreMasks(of())
    sums = [None if (m := masks.at(t)) is None else int(m.sum()) for t in range(7)]
    assert sums == [None, None, 16, 32, 16, 16, 16]
    assert masks.at(4) is masks.at(5)  # drawn once


def test_a_cell_is_ignored_as_soon_as_a_pixel_of_it_is() -> None:
    masks = IgnoreMasks(of(region(*rectangle((7, 4, 9, 5)))))
    cells = masks.resized(0, (H // 4, W // 4))
    assert cells is not None
    assert list(map(tuple, np.argwhere(cells))) == [(1, 1), (1, 2)]
    part = masks.crop(0, slice(4, 12), slice(8, 16), (4, 4))
    assert part is not None
    assert list(map(tuple, np.argwhere(part))) == [(0, 0)]


def test_points_in_a_region_do_not_count() -> None:
    masks = IgnoreMasks(of(region(*rectangle((8, 8, 16, 16)), frame=1, until=1)))
    points = np.array([[3, 3], [10, 10], [20, 10], [99, 99]], np.float32)
    np.testing.assert_array_equal(masks.outside(points, 1, (H, W)), points[[0, 2, 3]])
    np.testing.assert_array_equal(masks.outside(points, 0, (H, W)), points)
    half = masks.outside(points / 2, 1, (H // 2, W // 2))
    np.testing.assert_array_equal(half, points[[0, 2, 3]] / 2)


def test_ignored_pixels_look_like_the_nearest_that_count() -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (H, W, 3), np.uint8)
    ignored = np.zeros((H, W), bool)
    ignored[0:6, 0:5] = ignored[10:20, 12:13] = True
    found = painted_over(frame, ignored)
    np.testing.assert_array_equal(found[~ignored], frame[~ignored])
    assert tuple(found[2, 4]) == tuple(frame[2, 5])
    assert tuple(found[15, 12]) in {tuple(frame[15, 11]), tuple(frame[15, 13])}
    other = np.where(ignored[..., None], rng.integers(0, 256, frame.shape, np.uint8), frame)
    np.testing.assert_array_equal(painted_over(other, ignored), found)
    assert painted_over(frame, None) is frame
    assert len(np.unique(painted_over(frame, np.ones((H, W), bool)))) == 1


def test_a_video_without_regions_is_itself() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, H, W, 3), np.uint8)
    video, config = open_video(frames), Config()
    assert without_ignored(video, IgnoreMasks(of()), config) is video
    ignore = IgnoreMasks(of(region(*rectangle((0, 0, 8, 8)), frame=2, until=2)))
    seen = without_ignored(video, ignore, config)
    assert (seen.shape, list(seen.names)) == (video.shape, list(video.names))
    for t in range(6):
        np.testing.assert_array_equal(seen[t], painted_over(video[t], ignore.at(t)))
    assert (seen[2] != video[2]).any() and (seen[1] == video[1]).all()


@pytest.mark.parametrize("frame", [0, 3])
def test_a_region_thinner_than_a_pixel_between_two_centres_covers_none(frame: int) -> None:
    thin = IgnoreMasks(of(region(*rectangle((4.6, 0, 5.4, 24)), frame=frame)))
    mask = thin.at(3)
    assert mask is not None and not mask.any()


def test_a_mask_is_resized_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ignore, calls, real = IgnoreMasks(of(region(*rectangle((2, 2, 6, 6)), until=1))), [], cv2.resize
    monkeypatch.setattr(cv2, "resize", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    none, some = np.zeros((0, 2), np.float32), np.array([[0, 0], [4, 4]], np.float32)
    assert ignore.outside(none, 0, (20, 30)) is none
    assert not calls
    for frame in (0, 1, 0):
        assert ignore.outside(some, frame, (20, 30)).shape == (1, 2)
    assert len(calls) == 1, "both frames have the same regions"
    assert ignore.outside(some, 2, (20, 30)) is some
