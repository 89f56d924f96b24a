from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from maskfree.model.mask2former_video import VideoOutput
from maskfree.network_pass import GridFrame, network_pass, windows
from maskfree.video import open_video
from stub_network import StubNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.types import BoxTracks

CPU = torch.device("cpu")


# which clips


def test_windows_by_hand() -> None:
    assert windows(0, 10, 5, 2) == [(0, 5), (3, 8), (5, 10)]
    assert windows(0, 12, 5, 2) == [(0, 5), (3, 8), (6, 11), (7, 12)]
    assert windows(4, 9, 5, 2) == [(4, 9)]
    assert windows(4, 6, 5, 2) == [(4, 6)]
    assert windows(0, 3, 1, 0) == [(0, 1), (1, 2), (2, 3)]
    assert windows(0, 4, 2, 5) == [(0, 2), (1, 3), (2, 4)]


@pytest.mark.parametrize("seed", range(60))
def test_windows_cover_every_frame_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, count, length = (int(v) for v in rng.integers([0, 1, 1], [9, 40, 9]))
    overlap = int(rng.integers(0, length))
    found = windows(start, start + count, length, overlap)
    assert {t for a, b in found for t in range(a, b)} == set(range(start, start + count))
    for (a, b), (c, d) in itertools.pairwise(found):
        assert a < c <= b
        assert d - c == length == b - a
        assert b - c >= overlap
    assert len(found) == 1 or found[-1][1] == start + count


# the pass


class Reader(StubNetwork):
    """Logits are the frame's own number (its grey level) in query 0, and more in query 1.

    In the mirrored pass they are 100 higher, so that it shows whether there was one.
    """

    def __init__(self, queries: int = 2) -> None:
        super().__init__()
        self.queries = queries
        self.clips: list[list[int]] = []
        self.prompts: list[torch.Tensor | None] = []

    def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
        numbers = (rgb[0] * 255).mean((1, 2, 3)).round()
        left, right = rgb[0, 0, :, 0, 0], rgb[0, 0, :, 0, -1]
        mirrored = bool((left > right).any())
        self.clips.append(numbers.int().tolist())
        self.prompts.append(prompts)
        small = numbers[:, None, None].expand(-1, rgb.shape[-2] // 4, rgb.shape[-1] // 4)
        masks = torch.stack([small + 50 * q + 100 * mirrored for q in range(self.queries)])
        return VideoOutput((torch.zeros(1, self.queries, 2),), (masks[None],))


def numbered(count: int, height: int = 64, width: int = 96) -> np.ndarray:
    """Frames whose mean is twice their number, a little darker at the left."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    for t in range(count):
        frames[t, :, : width // 2], frames[t, :, width // 2 :] = max(0, 2 * t - 1), 2 * t + 1
    frames[0, :, width // 2 :] = 1
    return frames


def grids(
    video: np.ndarray, tracks: BoxTracks | None, config: Config, **settings: Any
) -> tuple[list[GridFrame], Reader]:
    model = settings.pop("model", None) or Reader()
    found = network_pass(
        open_video(video),
        tracks,
        model,
        config,
        track_ids=settings.pop("track_ids", [1, 2]),
        device=CPU,
        **settings,
    )
    return list(found), model


@pytest.fixture
def two(make_tracks: Callable[..., BoxTracks]) -> Callable[[int], BoxTracks]:
    def make(count: int) -> BoxTracks:
        boxes = {0: (4.0, 4.0, 40.0, 40.0)}, {0: (50.0, 4.0, 90.0, 40.0)}
        return make_tracks(*boxes, num_frames=count)

    return make


def clips_of(config: Config, settings_of: Callable[..., Config], **values: int) -> Config:
    return settings_of(config, "predict", **values)


def test_every_frame_comes_once_in_order_with_all_tracks(
    small_config: Config, two: Callable[[int], BoxTracks]
) -> None:
    found, _ = grids(numbered(8), two(8), small_config, mirror=False)
    assert [g.frame for g in found] == list(range(8))
    for grid in found:
        assert grid.logits.shape == (2, 16, 24)
        assert grid.ids == [1, 2]
        assert grid.scores == [0.5, 0.5]
        np.testing.assert_allclose(grid.logits[0], 2 * grid.frame, atol=1)
        np.testing.assert_allclose(grid.logits[1], 2 * grid.frame + 50, atol=1)


@pytest.mark.parametrize(("middle", "expected"), [(True, (24, 40)), (False, (16, 24))])
def test_frames_are_looked_at_in_the_middle_of_the_scales_of_training(
    small_config: Config,
    two: Callable[[int], BoxTracks],
    settings_of: Callable[..., Config],
    middle: bool,
    expected: tuple[int, int],
) -> None:
    config = settings_of(small_config, "augment", scale_jitter=0.5)
    config = settings_of(config, "predict", middle_scale=middle)
    found, _ = grids(numbered(4), two(4), config)
    assert found[0].logits.shape == (2, *expected)


def test_a_tube_that_is_known_better_prompts_the_network(
    small_config: Config, two: Callable[[int], BoxTracks]
) -> None:
    boxes = np.tile([[[8.0, 8, 24, 24]], [[60, 8, 76, 24]]], (1, 4, 1))
    found, model = grids(numbered(4), two(4), small_config, tube=(boxes, np.zeros((2, 4))))
    prompts = model.prompts[0]
    assert prompts is not None
    scale = found[0].logits.shape[1] / 64
    rows = prompts[0, 0, 0].any(1).nonzero()[:, 0]
    assert rows[0].item() == pytest.approx(8 * scale, abs=1)
    assert rows[-1].item() + 1 == pytest.approx(24 * scale, abs=1)


def test_most_clips_are_spread_over_the_video(
    small_config: Config, two: Callable[[int], BoxTracks], settings_of: Callable[..., Config]
) -> None:
    config = clips_of(small_config, settings_of, clip_length=4, overlap=0)
    for most, starts in ((3, (0, 16, 36)), (2, (0, 36)), (1, (0,)), (10, range(0, 40, 4))):
        found, model = grids(numbered(40), two(40), config, most_clips=most, mirror=False)
        expected = [t for s in starts for t in range(s, s + 4)]
        assert [g.frame for g in found] == expected
        assert len(model.clips) == len(starts)
        for grid in found:
            np.testing.assert_allclose(grid.logits[0], 2 * grid.frame, atol=1)
    whole, model = grids(numbered(40), two(40), config, most_clips=99, mirror=False)
    assert [g.frame for g in whole] == list(range(40))
    assert len(model.clips) == 10


def test_most_clips_that_still_overlap_are_averaged_where_they_do(
    small_config: Config, two: Callable[[int], BoxTracks], settings_of: Callable[..., Config]
) -> None:
    class Counting(Reader):
        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
            output = super().forward(rgb, prompts)
            value = float(10 * len(self.clips))
            return VideoOutput(
                output.class_logits, (torch.full_like(output.mask_logits[0], value),)
            )

    config = clips_of(small_config, settings_of, clip_length=4, overlap=3)
    # clips from 0, 1, 2, 3 and 4 on, of which 0, 1, 3 and 4 (linspace: 0, 1.3, 2.7, 4)
    found, _ = grids(
        numbered(8), two(8), config, most_clips=4, mirror=False, model=Counting(), track_ids=[1, 2]
    )
    assert [g.frame for g in found] == list(range(8))
    values = [float(g.logits[0, 0, 0]) for g in found]
    assert values == pytest.approx([10, 15, 15, 20, 30, 35, 35, 40])


def test_frames_far_from_every_box_are_not_looked_at(
    small_config: Config, make_tracks: Callable[..., BoxTracks], settings_of: Callable[..., Config]
) -> None:
    config = clips_of(small_config, settings_of, clip_length=4, overlap=2)
    box = (16.0, 16.0, 48.0, 48.0)
    tracks = make_tracks({9: box, 11: None}, {30: box, 31: None}, num_frames=40)
    found, model = grids(numbered(40), tracks, config, mirror=False)
    assert [g.frame for g in found] == list(range(40))
    # (6, 10) to (10, 14) hold 9 or 10, (28, 32) and (30, 34) hold 30; shared frames come first
    assert len(model.clips) == 5
    seen = {round(n / 2) for clip in model.clips for n in clip}
    assert seen <= {*range(6, 14), *range(28, 34)}
    for grid in found:
        assert grid.logits.shape[0] == 2
        inside = 6 <= grid.frame < 14 or 28 <= grid.frame < 34
        assert (float(grid.logits[0].max()) > -15) == inside
    some, _ = grids(numbered(40), tracks, config, mirror=False, most_clips=2)
    assert {g.frame for g in some} == {6, 7, 8, 9, 30, 31, 32, 33}
    _, model = grids(numbered(40), None, config, mirror=False, track_ids=[])
    assert len(model.clips) == len(windows(0, 40, 4, 2))


def test_a_range_of_frames(small_config: Config, two: Callable[[int], BoxTracks]) -> None:
    found, model = grids(numbered(20), two(20), small_config, frames=(7, 12), mirror=False)
    assert [g.frame for g in found] == [7, 8, 9, 10, 11]
    seen = [n for clip in model.clips for n in clip]
    assert min(seen) >= 2 * 7 - 1
    assert max(seen) <= 2 * 11 + 1


def test_the_mirror_image_is_a_second_look(
    small_config: Config, two: Callable[[int], BoxTracks]
) -> None:
    once, plain = grids(numbered(3), two(3), small_config, mirror=False)
    twice, both = grids(numbered(3), two(3), small_config, mirror=True)
    assert (len(plain.clips), len(both.clips)) == (1, 2)
    for first, second in zip(once, twice, strict=True):
        np.testing.assert_allclose(second.logits - first.logits, 50, atol=1e-4)
    default, model = grids(numbered(3), two(3), small_config)
    assert len(model.clips) == 2
    np.testing.assert_array_equal(default[2].logits, twice[2].logits)


def test_a_network_that_never_saw_a_mirror_image_is_not_shown_one(
    small_config: Config, two: Callable[[int], BoxTracks], settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "augment", flip=False)
    for tracks, ids in ((two(3), [1, 2]), (None, [])):
        _, model = grids(numbered(3), tracks, config, track_ids=ids)
        assert len(model.clips) == 1


@pytest.mark.parametrize("mirror", [True, False])
def test_the_mirror_image_of_a_video_without_boxes(small_config: Config, mirror: bool) -> None:
    _, model = grids(numbered(3), None, small_config, mirror=mirror, track_ids=[])
    assert len(model.clips) == (2 if mirror else 1)
    assert model.prompts == [None] * len(model.clips)


def test_it_leaves_no_gradients_and_the_model_in_its_place(
    small_config: Config, two: Callable[[int], BoxTracks]
) -> None:
    class Weighted(Reader):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
            assert not torch.is_grad_enabled()
            assert not self.training
            output = super().forward(rgb, prompts)
            return VideoOutput(output.class_logits, (output.mask_logits[0] * self.weight,))

    found, _ = grids(numbered(3), two(3), small_config, model=Weighted().train())
    assert len(found) == 3
    assert torch.is_grad_enabled()


def test_a_newcomer_was_not_there_in_the_clip_before(
    small_config: Config, settings_of: Callable[..., Config]
) -> None:
    class Newcomer(StubNetwork):
        """Query 0 shows the left half, query 1 the right one from the second clip on."""

        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None = None) -> VideoOutput:
            masks = torch.full((2, len(rgb[0]), 16, 24), -10.0)
            masks[0, ..., :12] = 10
            if self.calls:
                masks[1, ..., 12:] = 8
            self.calls += 1
            return VideoOutput((torch.tensor([[[4.0, -4], [4, -4]]]),), (masks[None],))

    config = clips_of(small_config, settings_of, clip_length=3, overlap=1)
    found, _ = grids(numbered(5), None, config, track_ids=[], mirror=False, model=Newcomer())
    assert [g.ids for g in found] == [[1], [1], [1, 2], [1, 2], [1, 2]]
    shared = found[2].logits  # absent is a logit of -15
    assert float(shared[0, 0, 0]) == pytest.approx(10)
    assert float(shared[1, 0, 20]) == pytest.approx((-15 + 8) / 2)
    assert float(found[3].logits[1, 0, 20]) == pytest.approx(8)
