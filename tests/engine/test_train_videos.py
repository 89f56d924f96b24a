from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from maskfree import prepare
from maskfree.errors import InputError
from maskfree.model.checkpoint import load_model
from maskfree.trainer import Trainer
from maskfree.video import open_video
from training_run import CPU, go, last_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session
    from maskfree.types import BoxTracks


# unusual videos and boxes


def noise(length: int, height: int = 64, width: int = 96) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (length, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("length", [1, 2])
def test_a_video_shorter_than_a_clip(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
    settings_of: Callable[..., Config],
    length: int,
) -> None:
    config = settings_of(small_config, "sampling", clip_length=3, max_gap=2)
    tracks = make_tracks({0: (8.0, 8.0, 40.0, 40.0)}, num_frames=length)
    session = make_session(noise(length), tracks)
    assert [p.step for p in go(session, config)] == [1, 2, 3, 4]


def test_clips_in_which_no_track_is_present(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
    settings_of: Callable[..., Config],
) -> None:
    # a box that even the crop which is placed on it shows less than a cell of
    config = settings_of(small_config, "sampling", max_cut=0.0)
    tracks = make_tracks({0: (8.0, 8.0, 40.0, 40.0)}, num_frames=2)
    session = make_session(noise(2), tracks)
    with session.open_video() as video:
        trainer = Trainer(video, tracks, config, device=CPU, seed=0)
        drawn = trainer._sampler.draw

        def empty() -> Any:
            sample = drawn()
            gone = sample.targets.select(torch.tensor([0]))
            gone = dataclasses.replace(gone, box_masks=gone.box_masks * 0, reach=gone.reach & False)
            return dataclasses.replace(sample, targets=gone)

        trainer._sampler.draw = empty  # type: ignore[method-assign]
        losses = [trainer.step(k) for k in range(2)]
    assert [list(each) for each in losses] == [["class"], ["class"]]


def test_twenty_four_tracks_get_a_query_each(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
) -> None:
    boxes = [
        {0: (4.0 + 14 * c, 2.0 + 15 * r, 14.0 + 14 * c, 13.0 + 15 * r)}
        for r in range(4)
        for c in range(6)
    ]
    session = make_session(noise(3), make_tracks(*boxes, num_frames=3))
    for progress in go(session, small_config):
        assert math.isfinite(progress.total)
    model, _, _, ids = load_model(last_run(session).weights_path, CPU)
    assert model.config.num_queries == 24
    assert ids == list(range(1, 25))


@pytest.mark.parametrize("tracks", [[], [{}], [{3: None}]])
def test_without_a_box_there_is_nothing_to_learn_from(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
    tracks: list[dict[int, Any]],
) -> None:
    boxes = make_tracks(*tracks, num_frames=6)
    with pytest.raises(InputError) as caught:
        Trainer(open_video(noise(6)), boxes, small_config, device=CPU, seed=0)
    assert str(caught.value) == ("There is no box to learn from. Draw a box on at least one frame.")


def test_boxes_of_another_video_are_refused_before_a_run_is_made(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
) -> None:
    session = make_session(noise(6, 80, 96), make_tracks({0: (1.0, 1.0, 9.0, 9.0)}, num_frames=6))
    with pytest.raises(InputError, match="The boxes are for a video of 96 x 64 pixels"):
        list(go(session, small_config))
    assert session.runs() == []


def test_evidence_is_collected_once_and_at_the_size_of_the_budget(
    monkeypatch: pytest.MonkeyPatch,
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
    settings_of: Callable[..., Config],
) -> None:
    asked: list[tuple[int, ...]] = []

    def spy(frames: Any, boxes: np.ndarray, **settings: Any) -> np.ndarray:
        asked.append((frames.height, frames.width))
        np.testing.assert_allclose(boxes[0, 0], np.array([20, 10, 30, 20]) * frames.height / 128)
        return real(frames, boxes, **settings)

    real = prepare.collect_evidence
    monkeypatch.setattr(prepare, "collect_evidence", spy)
    config = settings_of(small_config, "sampling", object_size=40.0, max_enlarge=2.0)
    box = (20.0, 10.0, 30.0, 20.0)
    tracks = make_tracks({0: box, 2: box}, num_frames=3, height=128, width=192)
    trainer = Trainer(open_video(noise(3, 128, 192)), tracks, config, device=CPU, seed=0)
    assert trainer._sampler.frames.height == 256  # enlarged, since the object is small
    assert asked == [(64, 96)]
    off = settings_of(config, "evidence", seek=False)
    Trainer(open_video(noise(3, 128, 192)), tracks, off, device=CPU, seed=0)
    assert len(asked) == 1
