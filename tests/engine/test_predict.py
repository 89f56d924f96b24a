from __future__ import annotations

import dataclasses
import math
import os
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from maskfree import predict as module
from maskfree.errors import InputError
from maskfree.model.mask2former_video import VideoOutput
from maskfree.network_pass import windows
from maskfree.predict import PredictProgress, predict, predict_video, settle_video
from maskfree.prepare import prepare
from maskfree.train import finetune
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.consensus_memory import ConsensusMemory
    from maskfree.session import Session
    from maskfree.types import BoxTracks, InstanceMasks

CPU = torch.device("cpu")
COLOURS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 0.0))


class ColourModel(nn.Module):
    """Query q shows the cells of colour q; ``roll`` shifts the queries by one each clip."""

    def __init__(self, *, roll: bool = False) -> None:
        super().__init__()
        self.roll, self.calls, self.lengths = roll, 0, []  # type: ignore[var-annotated]

    def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
        small = nn.functional.avg_pool2d(rgb[0], 4)
        colours = torch.tensor(COLOURS)[:, None, :, None, None]
        distance = (small - colours).abs().amax(2)
        masks = 10 - 20 * distance.clamp(0, 1)
        shows = (masks > 5).flatten(1).any(1)
        classes = torch.stack([shows * 8.0 - 4, shows * 0.0], 1)
        shift = self.calls // 2 if self.roll else 0
        self.calls += 1
        self.lengths.append(len(rgb[0]))
        return VideoOutput((classes.roll(shift, 0)[None],), (masks.roll(shift, 0)[None],))


Place = tuple[int, int, int, int] | None


def paint(*paths: Sequence[Place], height: int = 64, width: int = 96) -> np.ndarray:
    """Frames with a rectangle of colour n at its place in each frame, later ones in front."""
    frames = np.zeros((len(paths[0]), height, width, 3), np.uint8)
    for n, path in enumerate(paths):
        for t, place in enumerate(path):
            if place is not None:
                x0, y0, x1, y1 = place
                frames[t, y0:y1, x0:x1] = np.array(COLOURS[n]) * 255
    return frames


def truth(path: Sequence[Place], frame: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    mask = np.zeros(size, bool)
    place = path[frame]
    if place is not None:
        mask[place[1] : place[3], place[0] : place[2]] = True
    return mask


def moving(x: int, y: int, dx: int, dy: int, count: int, size: int = 16) -> list[Place]:
    return [(x + dx * t, y + dy * t, x + dx * t + size, y + dy * t + size) for t in range(count)]


def boxes_of(path: Sequence[Place]) -> dict[int, Any]:
    """Keyframes on every frame; None only where the object goes out of sight."""
    boxes: dict[int, Any] = {}
    for t, place in enumerate(path):
        if place is not None or (t and path[t - 1] is not None):
            boxes[t] = None if place is None else tuple(map(float, place))
    return boxes


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def run(
    frames: Any,
    tracks: BoxTracks | None,
    config: Config,
    *,
    track_ids: Sequence[int] = (1, 2, 3, 4),
    model: nn.Module | None = None,
    span: tuple[int, int] | None = None,
) -> dict[int, InstanceMasks]:
    video = open_video(frames) if isinstance(frames, np.ndarray) else frames
    found = predict_video(
        video,
        tracks,
        model or ColourModel(),  # type: ignore[arg-type]
        config,
        track_ids=list(track_ids),
        device=CPU,
        frames=span,
    )
    results = list(found)
    assert [f for f, _ in results] == sorted({f for f, _ in results})
    return dict(results)


def mask_of(masks: InstanceMasks, track_id: int) -> np.ndarray:
    return np.asarray(masks.masks[masks.track_ids.index(track_id)])


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


# scores


def test_a_score_is_stability_times_the_fit_of_the_box(
    small_config: Config, make_tracks: Callable[..., BoxTracks], settings_of: Callable[..., Config]
) -> None:
    class Step(ColourModel):
        """8 in the left quarter of the box, 1 beside it, -8 from its middle on."""

        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
            masks = torch.full((1, len(rgb[0]), 16, 24), -8.0)
            masks[..., :8], masks[..., :6] = 1.0, 8.0
            if float(rgb[0, 0, 0, 0, 0]) > 0.5:
                masks = masks.flip(-1)
            return VideoOutput((torch.zeros(1, 1, 2),), (masks[None],))

    frames = np.zeros((1, 64, 96, 3), np.uint8)
    frames[:, :, 48:] = 255  # the mirrored image is bright at the left
    tracks = make_tracks({0: (16.0, 16.0, 48.0, 48.0)}, num_frames=1)
    grid = Step()(torch.zeros(1, 1, 3, 64, 96)).mask_logits[0][0]
    full = nn.functional.interpolate(grid, size=(64, 96), mode="bilinear")[..., 16:48, 16:48]
    for margin in (0.0, 1.5, 20.0):
        config = settings_of(small_config, "predict", stability_margin=margin)
        masks = run(frames, tracks, config, model=Step(), track_ids=[1])[0]
        rows, columns = np.nonzero(masks.masks[0])
        assert (rows.min(), rows.max(), columns.min()) == (16, 47, 16)
        fit = (columns.max() + 1 - 16) / 32
        stable = float((full > margin).sum() / (full > -margin).sum())
        assert masks.scores[0] == pytest.approx(stable * fit, abs=0.03)


def test_without_boxes_a_score_is_the_queries_times_stability(
    small_config: Config, settings_of: Callable[..., Config]
) -> None:
    grid = torch.full((1, 1, 16, 24), -10.0)
    grid[0, 0, 5:11, 5:11] = 10
    full = nn.functional.interpolate(grid, size=(64, 96), mode="bilinear")
    for margin, threshold in ((0.0, 0.5), (4.0, 0.5), (9.0, 0.5), (4.0, 0.99)):
        config = settings_of(
            small_config, "predict", stability_margin=margin, mask_threshold=threshold
        )
        masks = run(paint(moving(20, 20, 0, 0, 1, size=24)), None, config, track_ids=())[0]
        floor = math.log(threshold / (1 - threshold))  # the margin is around the mask's own edge
        stable = float((full > floor + margin).sum() / (full > floor - margin).sum())
        assert masks.scores[0] == pytest.approx(0.982 * stable, abs=0.02)


# refined by the consensus


def settled(frames: np.ndarray, tracks: BoxTracks, config: Config) -> ConsensusMemory:
    found = prepare(open_video(frames), tracks, config)
    found.consensus.fit()
    return found.consensus.memory([t.id for t in tracks.tracks])


class Blurred(ColourModel):
    """A network that is only half sure, and only of the middle of a coloured cell's place."""

    def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
        output = super().forward(rgb, prompts)
        masks = nn.functional.avg_pool2d(output.mask_logits[0][0], 5, 1, 2)
        return VideoOutput(output.class_logits, (masks[None] / 5,))


class Blind(ColourModel):
    """A network that sees nothing anywhere."""

    def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
        output = super().forward(rgb, prompts)
        return VideoOutput(output.class_logits, (torch.full_like(output.mask_logits[0], -8.0),))


def refined(
    frames: np.ndarray,
    tracks: BoxTracks,
    config: Config,
    memory: ConsensusMemory | None,
    track_ids: Sequence[int] = (1, 2),
    model: nn.Module | None = None,
) -> dict[int, InstanceMasks]:
    found = predict_video(
        open_video(frames),
        tracks,
        model or Blurred(),  # type: ignore[arg-type]
        config,
        track_ids=list(track_ids),
        device=CPU,
        memory=memory,
    )
    return dict(found)


@pytest.fixture
def scene(make_tracks: Callable[..., BoxTracks]) -> tuple[Any, ...]:
    """Two painted objects on noise, their frames and boxes of four pixels more."""
    red, green = moving(6, 8, 4, 0, 6), moving(70, 40, -4, 0, 6)
    noise = np.random.default_rng(0).integers(0, 60, (6, 64, 96, 3)).astype(np.uint8)
    frames = np.maximum(paint(red, green), noise)
    boxes: list[dict[int, Any]] = []
    for path in (red, green):
        wide = [p and (p[0] - 4, p[1] - 4, p[2] + 4, p[3] + 4) for p in path]
        boxes.append(boxes_of(wide))
    return frames, make_tracks(*boxes, num_frames=6), (red, green)


def mean_iou(results: dict[int, InstanceMasks], paths: Sequence[Sequence[Place]]) -> float:
    scores = [
        iou(mask_of(masks, i + 1), truth(path, t))
        for t, masks in results.items()
        for i, path in enumerate(paths)
    ]
    return float(np.mean(scores))


def test_the_consensus_refines_the_masks(small_config: Config, scene: tuple[Any, ...]) -> None:
    frames, tracks, paths = scene
    memory = settled(frames, tracks, small_config)
    alone = refined(frames, tracks, small_config, None)
    better = refined(frames, tracks, small_config, memory)
    assert mean_iou(better, paths) > mean_iou(alone, paths) + 0.05
    assert mean_iou(better, paths) > 0.9
    for masks in better.values():
        assert masks.track_ids == (1, 2)
        assert not masks.masks.all(0).any()


def test_the_network_has_its_say_in_the_refinement(
    small_config: Config, scene: tuple[Any, ...], settings_of: Callable[..., Config]
) -> None:
    frames, tracks, _ = scene
    memory = settled(frames, tracks, small_config)
    for weight, sees in ((0.0, True), (5.0, False)):
        config = settings_of(small_config, "consensus", network=weight)
        found = refined(frames, tracks, config, memory, model=Blind())
        assert all(bool(masks.track_ids) is sees for masks in found.values())
    deaf = settings_of(small_config, "consensus", network=0.0)
    unheard = refined(frames, tracks, deaf, memory)
    # without the network it is what a run starts from
    start = dict(settle_video(open_video(frames), tracks, deaf))
    for t, masks in unheard.items():
        assert start[t].track_ids == masks.track_ids
        assert (start[t].masks != masks.masks).mean() < 2e-3  # colours in half precision


def test_a_track_that_the_run_did_not_know_is_the_networks_alone(
    small_config: Config, scene: tuple[Any, ...]
) -> None:
    frames, tracks, _ = scene
    memory = settled(frames, tracks, small_config)
    half = dataclasses.replace(memory, colours={1: memory.colours[1]})
    alone = refined(frames, tracks, small_config, None)
    both = refined(frames, tracks, small_config, memory)
    mixed = refined(frames, tracks, small_config, half)
    for t in range(6):
        np.testing.assert_array_equal(mask_of(mixed[t], 1), mask_of(both[t], 1))
        np.testing.assert_array_equal(mask_of(mixed[t], 2), mask_of(alone[t], 2))


def test_a_memory_of_a_video_of_another_length_is_left_alone(
    small_config: Config, scene: tuple[Any, ...]
) -> None:
    frames, tracks, _ = scene
    memory = settled(frames, tracks, small_config)
    assert memory.evidence is not None
    other = dataclasses.replace(memory, evidence=memory.evidence[:5])
    alone = refined(frames, tracks, small_config, None)
    found = refined(frames, tracks, small_config, other)
    for t in range(6):
        np.testing.assert_array_equal(found[t].masks, alone[t].masks)


def test_masks_before_any_training(
    small_config: Config, scene: tuple[Any, ...], make_tracks: Callable[..., BoxTracks]
) -> None:
    frames, tracks, paths = scene
    results = dict(settle_video(open_video(frames), tracks, small_config))
    assert list(results) == list(range(6))
    assert mean_iou(results, paths) > 0.85
    for masks in results.values():
        assert (masks.masks.dtype, masks.masks.shape) == (np.dtype(bool), (2, 64, 96))
        assert all(0 < score <= 1 for score in masks.scores)
    with pytest.raises(InputError, match="There is no box to learn from"):
        list(settle_video(open_video(frames), make_tracks({}, num_frames=6), small_config))


def test_before_any_training_too_an_absent_track_has_no_mask(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    red, green = moving(4, 8, 4, 0, 4), moving(60, 40, 0, 0, 4)
    green[2] = None
    frames = paint(red, green)
    tracks = make_tracks(boxes_of(red), boxes_of(green), num_frames=4)
    ids = [m.track_ids for _, m in settle_video(open_video(frames), tracks, small_config)]
    assert ids == [(1, 2), (1, 2), (1,), (1, 2)]


# memory


class WatchedVideo:
    """Frames that are made when asked for and noted while anybody holds them."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames, self.shape = frames, frames.shape
        self.asked: list[int] = []
        self.alive = self.most = 0

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        class Frame(np.ndarray):
            pass

        def gone() -> None:
            self.alive -= 1

        frame = self.frames[index].copy().view(Frame)
        weakref.finalize(frame, gone)
        self.asked.append(index)
        self.alive += 1
        self.most = max(self.most, self.alive)
        return frame


def test_frames_are_read_in_order_and_never_many_are_held(
    small_config: Config, make_tracks: Callable[..., BoxTracks], settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "predict", clip_length=4, overlap=2)
    config = settings_of(config, "video", cache_bytes=0)
    path = moving(4, 8, 2, 0, 30)
    video = WatchedVideo(paint(path))
    results = run(video, make_tracks(boxes_of(path), num_frames=30), config)
    assert len(results) == 30
    clips = windows(0, 30, 4, 2)
    assert video.asked == [t for a, b in clips for t in range(a, b)]
    assert video.most <= 2  # the clip itself is copied into one tensor


def test_masks_come_as_soon_as_their_clip_is_done(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    path = moving(4, 8, 2, 0, 30)
    video = WatchedVideo(paint(path))
    found = predict_video(
        video,  # type: ignore[arg-type]
        make_tracks(boxes_of(path), num_frames=30),
        ColourModel(),  # type: ignore[arg-type]
        small_config,
        track_ids=[1],
        device=CPU,
    )
    assert next(found)[0] == 0
    assert max(video.asked) == small_config.predict.clip_length - 1


def test_large_frames_make_shorter_clips(
    small_config: Config, make_tracks: Callable[..., BoxTracks], settings_of: Callable[..., Config]
) -> None:
    path = moving(4, 8, 2, 0, 6)
    for area, length in ((64 * 96 * 3, 3), (64 * 96 * 2, 2), (64 * 96, 1), (4096, 1)):
        config = settings_of(small_config, "predict", clip_length=3, overlap=2, clip_area=area)
        model = ColourModel()
        results = run(paint(path), make_tracks(boxes_of(path), num_frames=6), config, model=model)
        assert len(results) == 6
        assert set(model.lengths) == {length}
        assert all(iou(m.masks[0], truth(path, t)) > 0.9 for t, m in results.items())


# another video: no boxes


@pytest.mark.parametrize("count", [7, 8, 9, 10, 11, 12])
@pytest.mark.parametrize(("length", "overlap"), [(3, 1), (5, 2), (4, 0), (1, 0)])
def test_without_boxes_ids_are_stable_over_clips(
    small_config: Config, settings_of: Callable[..., Config], length: int, overlap: int, count: int
) -> None:
    config = settings_of(small_config, "predict", clip_length=length, overlap=overlap)
    red, green = moving(4, 8, 4, 0, count), moving(76, 40, -4, 0, count)
    results = run(paint(red, green), None, config, model=ColourModel(roll=True), track_ids=())
    assert len(results) == count
    first = results[0]
    assert sorted(first.track_ids) == [1, 2]
    red_id = first.track_ids[[iou(m, truth(red, 0)) > 0.9 for m in first.masks].index(True)]
    for t, masks in results.items():
        assert masks.track_ids == (1, 2)
        assert iou(mask_of(masks, red_id), truth(red, t)) > 0.9
        assert iou(mask_of(masks, 3 - red_id), truth(green, t)) > 0.9
        assert all(0.9 * 0.982 < score < 0.982 for score in masks.scores)


def test_without_boxes_fast_objects_are_linked_in_the_frames_that_clips_share(
    small_config: Config, settings_of: Callable[..., Config]
) -> None:
    # 12 of 16 pixels a frame: neighbouring frames hardly overlap
    config = settings_of(small_config, "predict", clip_length=4, overlap=2)
    red, green = moving(4, 8, 12, 0, 7), moving(76, 40, -12, 0, 7)
    results = run(paint(red, green), None, config, model=ColourModel(roll=True), track_ids=())
    assert [m.track_ids for m in results.values()] == [(1, 2)] * 7


def test_without_boxes_a_newcomer_gets_the_next_id(
    small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "predict", clip_length=3, overlap=1)
    red, blue = moving(4, 8, 2, 0, 9), moving(4, 40, 2, 0, 9)
    green: list[Place] = [None] * 4 + moving(60, 40, 2, 0, 5)
    results = run(paint(red, green, blue), None, config, track_ids=())
    assert [m.track_ids for m in results.values()] == [(1, 2)] * 4 + [(1, 2, 3)] * 5
    assert iou(mask_of(results[8], 3), truth(green, 8)) > 0.9


def test_without_boxes_and_objects_there_is_nothing(small_config: Config) -> None:
    results = run(paint([None] * 5), None, small_config, track_ids=())
    assert [m.masks.shape for m in results.values()] == [(0, 64, 96)] * 5


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


# in a session


@pytest.fixture
def trained(small_session: Session, small_config: Config) -> Session:
    for _ in finetune(small_session, small_config, device="cpu"):
        pass
    return small_session


def test_a_session_gets_masks_of_every_frame_and_a_log(trained: Session) -> None:
    progress = list(predict(trained, device="cpu"))
    assert [(p.frame, p.done, p.total) for p in progress] == [(t, t + 1, 12) for t in range(12)]
    assert isinstance(progress[0], PredictProgress)
    assert progress[-1].seconds_left == 0
    store = trained.mask_store()
    assert store.frames() == list(range(12))
    masks = store.read(0)
    assert masks is not None
    assert masks.masks.shape[1:] == (64, 96)
    first, *middle, end = trained.predict_log.records()
    assert first == {"status": "running", "run": "0001", "pid": os.getpid()}
    assert [r["frame"] for r in middle] == list(range(12))
    assert set(middle[0]) == {"frame", "done", "total", "seconds_left"}
    assert end == {"status": "done", "message": ""}


def test_predicting_twice_gives_the_same(trained: Session) -> None:
    def masks() -> list[Any]:
        list(predict(trained, device="cpu"))
        return [trained.mask_store().read(t) for t in range(12)]

    for before, after in zip(masks(), masks(), strict=True):
        assert before.track_ids == after.track_ids
        assert before.scores == after.scores
        np.testing.assert_array_equal(before.masks, after.masks)


def test_some_frames_leave_the_others_as_they_are(trained: Session) -> None:
    list(predict(trained, frames=(2, 5), device="cpu"))
    assert trained.mask_store().frames() == [2, 3, 4]
    list(predict(trained, frames=(4, 6), device="cpu"))
    assert trained.mask_store().frames() == [2, 3, 4, 5]
    assert len(trained.predict_log.records()) == 4


@pytest.mark.parametrize("frames", [(0, 13), (5, 5), (6, 5), (-1, 4), (12, 13)])
def test_frames_that_do_not_exist_are_refused(trained: Session, frames: tuple[int, int]) -> None:
    with pytest.raises(InputError) as caught:
        list(predict(trained, frames=frames, device="cpu"))
    assert str(caught.value) == (
        f"--frames {frames[0]}:{frames[1]} does not lie within the video's frames 0:12. "
        "Give A:B with 0 <= A < B; B itself is not predicted."
    )
    assert trained.mask_store().frames() == []


def test_a_session_without_a_run_is_refused(small_session: Session) -> None:
    with pytest.raises(InputError) as caught:
        list(predict(small_session, device="cpu"))
    path = small_session.path
    assert str(caught.value) == (
        f"{path} has no fine-tuned run to predict with. Run: maskfree finetune --session {path}"
    )


def test_another_video_gets_its_masks_beside(trained: Session, tmp_path: Path) -> None:
    import tifffile

    list(predict(trained, frames=(0, 2), device="cpu"))
    before = trained.mask_store().read(0)
    frames = np.random.default_rng(1).integers(0, 256, (4, 48, 80, 3), dtype=np.uint8)
    other = tmp_path / "other clip.tif"
    tifffile.imwrite(other, frames, photometric="rgb", metadata={"axes": "TYXS"})
    progress = list(predict(trained, video=other, device="cpu"))
    assert [p.frame for p in progress] == [0, 1, 2, 3]
    store = trained.mask_store("other clip")
    assert store.frames() == [0, 1, 2, 3]
    masks = store.read(3)
    assert masks is not None
    assert masks.masks.shape[1:] == (48, 80)
    assert trained.mask_store().frames() == [0, 1]
    after = trained.mask_store().read(0)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.masks, after.masks)


def test_the_boxes_are_for_the_sessions_own_video_only(
    monkeypatch: pytest.MonkeyPatch, trained: Session
) -> None:
    asked: list[Any] = []

    def spy(video: Any, tracks: Any, model: Any, config: Any, **settings: Any) -> Any:
        asked.append((tracks, settings["track_ids"]))
        return iter(())

    monkeypatch.setattr(module, "predict_video", spy)
    list(predict(trained, device="cpu"))
    list(predict(trained, video=trained.video_source, device="cpu"))  # named, so another
    assert asked == [(trained.boxes, [1, 2]), (None, [1, 2])]


def test_closing_keeps_the_frames_that_are_done(trained: Session) -> None:
    found = predict(trained, device="cpu")
    for _ in range(5):
        next(found)
    found.close()  # type: ignore[attr-defined]
    assert trained.mask_store().frames() == [0, 1, 2, 3, 4]
    assert trained.predict_log.records()[-1] == {"status": "stopped", "message": ""}


def test_a_failure_is_logged_and_raised(monkeypatch: pytest.MonkeyPatch, trained: Session) -> None:
    def fails(*args: Any, **settings: Any) -> Any:
        raise RuntimeError("no more memory")

    monkeypatch.setattr(module, "_compose", fails)
    with pytest.raises(RuntimeError, match="no more memory"):
        list(predict(trained, device="cpu"))
    assert trained.predict_log.records()[-1] == {"status": "failed", "message": "no more memory"}


def test_what_the_run_knows_of_its_video_refines_its_masks(
    monkeypatch: pytest.MonkeyPatch, trained: Session
) -> None:
    memories: list[ConsensusMemory | None] = []

    def spy(*args: Any, memory: ConsensusMemory | None, **settings: Any) -> Any:
        memories.append(memory)
        return iter(())

    monkeypatch.setattr(module, "predict_video", spy)
    list(predict(trained, device="cpu"))
    list(predict(trained, video=trained.video_source, device="cpu"))  # named, so another
    run = trained.runs()[-1]
    run.memory_path.unlink()
    list(predict(trained, device="cpu"))
    own, other, gone = memories
    assert own is not None
    assert set(own.colours) == {1, 2}
    assert other is None
    assert gone is None


def test_a_run_that_is_not_to_refine_predicts_with_its_network_alone(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "consensus", refine=False)
    list(finetune(small_session, config, device="cpu"))
    run = small_session.runs()[-1]
    run.memory_path.write_bytes(b"not even read")
    assert len(list(predict(small_session, frames=(0, 3), device="cpu"))) == 3


def test_a_damaged_memory_is_told(trained: Session) -> None:
    path = trained.runs()[-1].memory_path
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError) as caught:
        list(predict(trained, device="cpu"))
    assert str(caught.value) == f"{path} is damaged. Fine-tune again."


def test_the_newest_run_with_weights_predicts(trained: Session, small_config: Config) -> None:
    trained.new_run(small_config, seed=4)  # begun, and without a checkpoint yet
    list(predict(trained, frames=(0, 1), device="cpu"))
    assert trained.predict_log.records()[0]["run"] == "0001"
