from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from maskfree import predict as module
from maskfree.model.mask2former_video import VideoOutput
from maskfree.network_pass import windows
from painted_video import ColourModel, Place, boxes_of, iou, mask_of, moving, paint, run, truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.types import BoxTracks


# masks of the annotated tracks


def test_masks_follow_their_objects_at_full_size(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    red, green = moving(4, 8, 4, 0, 10), moving(72, 40, -4, 0, 10)
    tracks = make_tracks(boxes_of(red), boxes_of(green), num_frames=10)
    model = ColourModel().train()
    results = run(paint(red, green), tracks, small_config, model=model)
    assert sorted(results) == list(range(10))
    assert not model.training
    for t, masks in results.items():
        assert masks.track_ids == (1, 2)
        assert (masks.masks.shape, masks.masks.dtype) == ((2, 64, 96), bool)
        for track_id, path in ((1, red), (2, green)):
            assert iou(mask_of(masks, track_id), truth(path, t)) > 0.97
        assert all(0.9 < score <= 1 for score in masks.scores)
        assert not masks.masks.all(0).any()


@pytest.mark.parametrize(("height", "width"), [(60, 100), (90, 130), (33, 70), (128, 192)])
def test_masks_have_the_videos_size_whatever_the_networks_is(
    small_config: Config, make_tracks: Callable[..., BoxTracks], height: int, width: int
) -> None:
    path: list[Place] = [(width // 4, height // 4, width // 4 * 3, height // 4 * 3)] * 2
    tracks = make_tracks(boxes_of(path), num_frames=2, height=height, width=width)
    results = run(paint(path, height=height, width=width), tracks, small_config)
    for t, masks in results.items():
        assert masks.masks.shape[1:] == (height, width)
        assert iou(masks.masks[0], truth(path, t, (height, width))) > 0.9


def test_an_object_that_is_outside_is_absent_and_comes_back_as_itself(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    red = moving(4, 8, 4, 0, 12)
    green = moving(60, 40, 0, 0, 12)
    green[4:7] = [None] * 3
    frames = paint(red, green)
    frames[4:7, 40:56, 60:76] = (0, 255, 0)  # something of its colour is still there
    tracks = make_tracks(boxes_of(red), boxes_of(green), num_frames=12)
    results = run(frames, tracks, small_config)
    for t, masks in results.items():
        assert masks.track_ids == ((1,) if t in (4, 5, 6) else (1, 2))


def test_before_its_first_keyframe_an_object_is_absent(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    path = moving(20, 20, 0, 0, 5)
    tracks = make_tracks({2: (20.0, 20.0, 36.0, 36.0)}, num_frames=5)
    results = run(paint(path), tracks, small_config)
    assert [m.track_ids for m in results.values()] == [(), (), (1,), (1,), (1,)]
    assert results[0].masks.shape == (0, 64, 96)
    other = moving(70, 40, 0, 0, 5)
    boxes = {2: (20.0, 20.0, 36.0, 36.0)}, {0: (70.0, 40.0, 86.0, 56.0)}
    results = run(paint(path, other), make_tracks(*boxes, num_frames=5), small_config)
    assert [m.track_ids for m in results.values()] == [(2,)] * 2 + [(1, 2)] * 3


def test_a_mask_ends_where_its_box_does(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    path: list[Place] = [(8, 8, 88, 56)]
    tracks = make_tracks({0: (20.5, 16.0, 40.0, 32.0)}, num_frames=1)
    mask = run(paint(path), tracks, small_config)[0].masks[0]
    expected = np.zeros((64, 96), bool)
    expected[16:32, 20:40] = True
    np.testing.assert_array_equal(mask, expected)


def test_between_keyframes_a_mask_may_pass_its_box_by_the_slack(
    small_config: Config, make_tracks: Callable[..., BoxTracks], settings_of: Callable[..., Config]
) -> None:
    config = settings_of(
        small_config, "sampling", slack_per_frame=0.1, slack_per_travel=0.0, max_slack=0.2
    )
    box = (20.0, 16.0, 40.0, 36.0)
    tracks = make_tracks({0: box, 6: box}, num_frames=7)
    results = run(paint([(0, 0, 96, 64)] * 7), tracks, config)
    for t, slack in enumerate((0, 2, 4, 4, 4, 2, 0)):
        rows, columns = (np.flatnonzero(results[t].masks[0].any(axis)) for axis in (1, 0))
        assert (columns[0], columns[-1] + 1) == (20 - slack, 40 + slack)
        assert (rows[0], rows[-1] + 1) == (16 - slack, 36 + slack)


def test_ids_come_from_the_tracks_not_from_their_order(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    red, green = moving(4, 8, 4, 0, 6), moving(72, 40, -4, 0, 6)
    tracks = make_tracks(boxes_of(green), boxes_of(red), num_frames=6)
    renamed = tuple(
        dataclasses.replace(t, id=i) for t, i in zip(tracks.tracks, (9, 4), strict=True)
    )
    tracks = dataclasses.replace(tracks, tracks=renamed)
    for t, masks in run(paint(red, green), tracks, small_config, track_ids=[4, 9]).items():
        assert masks.track_ids == (9, 4)
        assert iou(mask_of(masks, 4), truth(red, t)) > 0.97
        assert iou(mask_of(masks, 9), truth(green, t)) > 0.97


def test_a_pixel_belongs_to_the_likeliest_instance(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    class Halves(ColourModel):
        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
            masks = torch.full((2, len(rgb[0]), 16, 24), 3.0)
            masks[0, :, :8], masks[0, :, 8:] = 6.0, 1.0
            return VideoOutput((torch.zeros(1, 2, 2),), (masks[None],))

    both = {0: (16.0, 16.0, 48.0, 48.0)}
    tracks = make_tracks(both, both, num_frames=1)
    masks = run(paint([None]), tracks, small_config, model=Halves(), track_ids=[1, 2])[0]
    upper = truth([(16, 16, 48, 32)], 0)
    assert masks.track_ids == (1, 2)
    np.testing.assert_array_equal(masks.masks[0] | masks.masks[1], truth([(16, 16, 48, 48)], 0))
    assert not (masks.masks[0] & masks.masks[1]).any()
    assert iou(masks.masks[0], upper) > 0.85  # enlarged bilinearly: the seam moves a little


@pytest.mark.parametrize(
    ("threshold", "shown"), [(0.5, True), (0.9, True), (0.96, False), (0.2, True)]
)
def test_the_mask_threshold_is_a_probability(
    small_config: Config,
    make_tracks: Callable[..., BoxTracks],
    settings_of: Callable[..., Config],
    threshold: float,
    shown: bool,
) -> None:
    class Sure(ColourModel):
        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
            masks = torch.full((1, len(rgb[0]), 16, 24), math.log(0.95 / 0.05))
            return VideoOutput((torch.zeros(1, 1, 2),), (masks[None],))

    config = settings_of(small_config, "predict", mask_threshold=threshold)
    tracks = make_tracks({0: (16.0, 16.0, 48.0, 48.0)}, num_frames=1)
    masks = run(paint([None]), tracks, config, model=Sure(), track_ids=[1])[0]
    assert masks.track_ids == ((1,) if shown else ())


def test_shared_frames_are_averaged(
    small_config: Config, make_tracks: Callable[..., BoxTracks], settings_of: Callable[..., Config]
) -> None:
    class Fading(ColourModel):
        """Logits 8, -2, -4 in the first, second and third clip."""

        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
            value = (8.0, -2.0, -4.0)[self.calls // 2]
            self.calls += 1
            masks = torch.full((1, len(rgb[0]), 16, 24), value)
            return VideoOutput((torch.zeros(1, 1, 2),), (masks[None],))

    config = settings_of(small_config, "predict", clip_length=4, overlap=2)
    tracks = make_tracks({0: (16.0, 16.0, 48.0, 48.0)}, num_frames=7)
    # frame 2 has 8 and -2, frame 3 has 8, -2 and -4 (2/3 on average), frames 4 and 5 -2 and -4
    assert windows(0, 7, 4, 2) == [(0, 4), (2, 6), (3, 7)]
    results = run(paint([None] * 7), tracks, config, model=Fading(), track_ids=[1])
    shown = [bool(m.track_ids) for m in results.values()]
    assert shown == [True, True, True, True, False, False, False]


def test_a_range_of_frames_alone(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    red = moving(4, 8, 4, 0, 10)
    tracks = make_tracks(boxes_of(red), num_frames=10)
    whole = run(paint(red), tracks, small_config)
    some = run(paint(red), tracks, small_config, span=(3, 8))
    assert sorted(some) == [3, 4, 5, 6, 7]
    for t, masks in some.items():
        np.testing.assert_array_equal(masks.masks, whole[t].masks)


@pytest.mark.parametrize("bound", [True, False])
def test_unbound_queries_are_matched_with_the_boxes(
    small_config: Config,
    make_tracks: Callable[..., BoxTracks],
    settings_of: Callable[..., Config],
    bound: bool,
) -> None:
    # the queries change places in every clip: only matching with the boxes can keep up
    config = settings_of(small_config, "matching", mode="tube", num_points=2000)
    red, green = moving(4, 8, 4, 0, 8), moving(72, 40, -4, 0, 8)
    tracks = make_tracks(boxes_of(red), boxes_of(green), num_frames=8)
    results = run(
        paint(red, green),
        tracks,
        config,
        track_ids=[1, 2] if bound else [],
        model=ColourModel(roll=True),
    )
    right = [
        m.track_ids == (1, 2)
        and all(iou(mask_of(m, i), truth(p, t)) > 0.9 for i, p in ((1, red), (2, green)))
        for t, m in results.items()
    ]
    assert all(right) is not bound


def test_no_tracks_give_empty_masks(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    results = run(paint(moving(4, 8, 4, 0, 4)), make_tracks(num_frames=4), small_config)
    assert [m.masks.shape for m in results.values()] == [(0, 64, 96)] * 4


def test_twenty_four_tracks(small_config: Config, make_tracks: Callable[..., BoxTracks]) -> None:
    class Everywhere(ColourModel):
        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
            masks = torch.full((24, len(rgb[0]), 16, 24), 5.0)
            return VideoOutput((torch.zeros(1, 24, 2),), (masks[None],))

    corners = [(16.0 * c, 16.0 * r) for r in range(4) for c in range(6)]
    boxes = [dict.fromkeys((0, 1), (x, y, x + 12, y + 12)) for x, y in corners]
    tracks = make_tracks(*boxes, num_frames=2)
    ids = list(range(1, 25))
    results = run(paint([None] * 2), tracks, small_config, model=Everywhere(), track_ids=ids)
    for masks in results.values():
        assert masks.track_ids == tuple(ids)
        assert masks.masks.sum() == 24 * 144


def test_one_frame(small_config: Config, make_tracks: Callable[..., BoxTracks]) -> None:
    path = moving(20, 20, 0, 0, 1)
    results = run(paint(path), make_tracks(boxes_of(path), num_frames=1), small_config)
    assert iou(results[0].masks[0], truth(path, 0)) > 0.97


# the enlargement


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 100), (16, 24), (9, 7)])
def test_enlarging_is_bilinear_between_cell_centres(height: int, width: int) -> None:
    logits = torch.randn(16, 24, generator=torch.Generator().manual_seed(0))
    whole = module._enlarge(logits.numpy(), (height, width), (slice(0, height), slice(0, width)))
    expected = nn.functional.interpolate(
        logits[None, None], size=(height, width), mode="bilinear", align_corners=False
    )[0, 0]
    np.testing.assert_allclose(whole, expected, atol=0.12)  # OpenCV places on 1/32 of a cell
    assert abs(float((torch.from_numpy(whole) - expected).mean())) < 0.01
    part = (slice(2, height - 1), slice(3, width - 2))
    np.testing.assert_array_equal(
        module._enlarge(logits.numpy(), (height, width), part), whole[part]
    )
