"""What the quality benchmark starts from and counts by: boxes of a clip, rank correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clips import boxes_from_masks, first_only, jittered
from job import Job, make_boxes
from maskfree.errors import InputError
from maskfree.types import BoxTracks, InstanceMasks
from scores import scored_masks, spearman

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config
    from napari_maskfree.sample_data import GeneratedClip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, small_clip: GeneratedClip) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "made"
    small_clip.write(folder)
    return folder


def keyframes(tracks: BoxTracks) -> list[list[tuple[int, Any]]]:
    return [[(k.frame, k.xyxy) for k in track.keyframes] for track in tracks.tracks]


def boxes(tracks: BoxTracks) -> np.ndarray:
    return np.array([k.xyxy for t in tracks.tracks for k in t.keyframes if k.xyxy is not None])


# boxes


@pytest.mark.parametrize("every", [3, 10])
def test_boxes_from_masks_are_those_of_the_clip(
    clip: Path, small_clip: GeneratedClip, every: int
) -> None:
    assert keyframes(boxes_from_masks(clip, every)) == keyframes(small_clip.boxes(every))


def test_every_must_be_a_frame_or_more(clip: Path) -> None:
    with pytest.raises(InputError, match=r"--every must be 1 or more frames, got 0\."):
        boxes_from_masks(clip, 0)


def test_jitter_by_hand(make_tracks: Callable[..., BoxTracks]) -> None:
    tracks = make_tracks({0: (30.0, 20.0, 50.0, 30.0), 4: None, 6: (10.0, 10.0, 20.0, 20.0)})
    moved = jittered(tracks, 0.1, seed=7)
    rng = np.random.default_rng(7)
    first = np.array([30, 20, 50, 30]) + rng.normal(0, 0.1, 4) * [20, 10, 20, 10]
    second = np.array([10, 10, 20, 20]) + rng.normal(0, 0.1, 4) * 10
    assert boxes(moved) == pytest.approx(np.stack([first, second]), abs=0.0051)
    assert [k.frame for k in moved.tracks[0].keyframes] == [0, 4, 6]
    assert moved.tracks[0].keyframes[1].outside
    assert jittered(tracks, 0.1, seed=7) == moved != jittered(tracks, 0.1, seed=8)


def test_jitter_spreads_as_asked(make_tracks: Callable[..., BoxTracks]) -> None:
    tracks = make_tracks(*[{0: (400.0, 400.0, 600.0, 500.0)}] * 500, height=1000, width=1000)
    moves = (boxes(jittered(tracks, 0.05, seed=0)) - boxes(tracks)) / [200, 100, 200, 100]
    assert moves.std(0) == pytest.approx([0.05] * 4, rel=0.1)
    assert moves.mean(0) == pytest.approx([0] * 4, abs=0.01)


def test_a_jittered_box_stays_a_box_in_the_frame(make_tracks: Callable[..., BoxTracks]) -> None:
    near = {0: (90.0, 60.0, 96.0, 64.0), 1: (0.0, 0.0, 1.0, 1.0), 2: (20.0, 20.0, 70.0, 50.0)}
    x0, y0, x1, y1 = boxes(jittered(make_tracks(*[near] * 200), 2.0, seed=0)).T
    assert min(x0.min(), y0.min()) >= 0
    assert (x1.max(), y1.max()) == (96, 64)
    assert min((x1 - x0).min(), (y1 - y0).min()) >= 1 - 1e-9


def test_a_negative_jitter_is_refused(make_tracks: Callable[..., BoxTracks]) -> None:
    with pytest.raises(InputError, match=r"--jitter must be 0 or more of a box's size, got -0\.1"):
        jittered(make_tracks({0: (1.0, 1.0, 5.0, 5.0)}), -0.1, seed=0)


def test_the_first_box_alone(clip: Path, small_config: Config) -> None:
    every = boxes_from_masks(clip, 5)
    assert keyframes(first_only(every)) == [each[:1] for each in keyframes(every)]
    job = Job(clip, small_config, first_only=True, jitter=0.1, seed=3)
    assert make_boxes(job) == jittered(first_only(every), 0.1, seed=3)
    assert all(not k.outside for t in make_boxes(job).tracks for k in t.keyframes)


# rank correlation


def test_spearman_by_hand() -> None:
    # squared differences of the ranks: 1 + 1 + 1 + 1; rho = 1 - 6 * 4 / (4 * (16 - 1))
    assert spearman([(0.1, 0.4), (0.2, 0.3), (0.6, 0.9), (0.7, 0.8)]) == pytest.approx(0.6)
    assert spearman([(0.1, 0.1), (0.5, 0.2), (0.6, 0.9)]) == pytest.approx(1)
    assert spearman([(0.9, 0.1), (0.5, 0.2), (0.4, 0.9)]) == pytest.approx(-1)
    # ties share their mean rank: 1.5, 1.5, 3 against 1, 2, 3
    assert spearman([(0.1, 0.1), (0.1, 0.2), (0.6, 0.9)]) == pytest.approx(1.5 / 3**0.5)


@pytest.mark.parametrize(
    "pairs", [[], [(0.1, 0.2), (0.3, 0.4)], [(1.0, 0.1), (1.0, 0.2), (1.0, 0.3)]]
)
def test_no_rank_correlation_where_there_is_none(pairs: list[tuple[float, float]]) -> None:
    assert spearman(pairs) is None


def test_scored_masks(clip: Path, small_clip: GeneratedClip) -> None:
    names = [f"{t:05d}" for t in range(12)]
    truth = small_clip.masks
    shown = {t: [i for i in (1, 2) if (truth[t] == i).any()] for t in range(12)}

    def read(frame: int) -> InstanceMasks | None:
        if frame == 0:
            return None
        masks = np.stack([truth[frame] == 2, truth[frame] > 0])
        return InstanceMasks((2, 3), masks, (0.75, 0.5))

    pairs = scored_masks(read, clip / "masks", names)
    wanted = [
        (0.75, 1.0) if frame and track_id == 2 else (0.0, 0.0)
        for frame, ids in shown.items()
        for track_id in ids
    ]
    assert pairs == wanted
    assert (0.75, 1.0) in pairs
