from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from maskfree.config import AugmentConfig, SamplingConfig
from maskfree.errors import InputError
from maskfree.kept_tubes import KeptTubes
from maskfree.model.build import build_model
from maskfree.network_pass import network_pass
from maskfree.predict import predict
from maskfree.sampling import ClipSampler
from maskfree.train import finetune
from maskfree.tube import followed_tube, kept_tube, tracks_scale
from maskfree.video import open_video
from maskfree.working import WorkingFrames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.session import Session
    from maskfree.types import BoxTracks

BOXES = np.arange(24, dtype=float).reshape(2, 3, 4)
SLACK = np.array([[0.0, 0.1, 0.2], [0.3, 0.0, 0.0]])


@pytest.fixture
def tracks(make_tracks: Callable[..., BoxTracks]) -> BoxTracks:
    return make_tracks({0: (1, 2, 9, 9), 2: None}, {1: (4, 4, 20, 20)}, num_frames=3)


def test_what_is_kept_comes_back(tracks: BoxTracks, tmp_path: Path) -> None:
    path = tmp_path / "boxes.npz"
    path.write_bytes(KeptTubes.of(tracks, BOXES, SLACK).to_bytes())
    back = KeptTubes.from_file(path)
    for n, track in enumerate(tracks.tracks):
        assert back.knows(track, 3)
        assert not back.knows(track, 4)
        np.testing.assert_array_equal(back.boxes[track.id], BOXES[n])
        np.testing.assert_array_equal(back.slack[track.id], SLACK[n])


def test_kept_boxes_hold_as_long_as_the_keyframes(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8)
    drawn = {0: (1.0, 2.0, 9.0, 9.0), 2: (2.0, 2.0, 10.0, 9.0)}
    other = {0: (40.0, 20.0, 60.0, 40.0), 2: (41.0, 20.0, 61.0, 40.0)}
    kept = KeptTubes.of(make_tracks(drawn, other, num_frames=3), BOXES, SLACK)
    changed = make_tracks(drawn, {**other, 2: (45.0, 20.0, 61.0, 40.0)}, num_frames=3)
    with open_video(frames) as video:
        boxes, slack = kept_tube(kept, video, changed, small_config)
        fresh, loose = followed_tube(video, changed, small_config)
    np.testing.assert_array_equal(boxes, [BOXES[0], fresh[1]])
    np.testing.assert_array_equal(slack, [SLACK[0], loose[1]])


@pytest.mark.parametrize("damage", [b"", b"not a zip", "truncated", "incomplete", "strange"])
def test_a_damaged_file_is_refused(tracks: BoxTracks, tmp_path: Path, damage: bytes | str) -> None:
    path = tmp_path / "boxes.npz"
    whole = KeptTubes.of(tracks, BOXES, SLACK)
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    elif damage == "truncated":
        path.write_bytes(whole.to_bytes()[:-60])
    elif damage == "incomplete":
        path.write_bytes(dataclasses.replace(whole, slack={1: SLACK[0]}).to_bytes())
    else:
        np.savez(path, **{"1/colour": SLACK})
    with pytest.raises(InputError, match=r"boxes\.npz is damaged\. Fine-tune again\."):
        KeptTubes.from_file(path)


def test_a_run_keeps_its_boxes_and_predicts_with_them(
    small_session: Session, small_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(finetune(small_session, small_config, device="cpu"))
    run = small_session.latest_run()
    assert run is not None
    kept = KeptTubes.from_file(run.tube_path)
    with small_session.open_video() as video:
        expected, _ = followed_tube(video, small_session.boxes, small_config)
        for n, track in enumerate(small_session.boxes.tracks):
            assert kept.knows(track, len(video))
            np.testing.assert_array_equal(kept.boxes[track.id], expected[n])

    def never(*_: object, **__: object) -> None:
        raise AssertionError("made anew")

    monkeypatch.setattr("maskfree.tube.follow_boxes", never)
    list(predict(small_session, device="cpu"))
    run.tube_path.unlink()  # as in a run of an earlier version
    with pytest.raises(AssertionError, match="made anew"):
        list(predict(small_session, device="cpu"))


def test_changed_tracks_alone_are_followed_anew(
    small_config: Config,
    make_tracks: Callable[..., BoxTracks],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8)
    drawn = {0: (1.0, 2.0, 9.0, 9.0), 2: (2.0, 2.0, 10.0, 9.0)}
    kept = KeptTubes.of(make_tracks(drawn, num_frames=3), BOXES[:1], SLACK[:1])
    asked = []

    def spy(video: object, tracks: BoxTracks, *_: object, **__: object) -> object:
        asked.append([track.id for track in tracks.tracks])
        return np.full((1, 3, 4), 7.0), np.zeros((1, 3))

    monkeypatch.setattr("maskfree.tube.followed_tube", spy)
    with open_video(frames) as video:
        boxes, _ = kept_tube(
            kept, video, make_tracks(drawn, drawn, num_frames=3), small_config, frames=None
        )
    assert asked == [[2]]
    np.testing.assert_array_equal(boxes, [BOXES[0], np.full((3, 4), 7.0)])


def test_training_and_prediction_agree_on_the_scale(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    # boxes that came to be smaller than they were drawn do not change it
    sampling = dataclasses.replace(small_config.sampling, object_size=20.0, max_enlarge=4.0)
    config = dataclasses.replace(small_config, sampling=sampling)
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8)
    tracks = make_tracks({0: (10.0, 10.0, 30.0, 30.0)}, num_frames=3)
    small = np.tile([10.0, 10.0, 14.0, 14.0], (1, 3, 1))
    with open_video(frames) as video:
        scale = tracks_scale(video, tracks, config)
        seen = network_pass(
            video,
            tracks,
            build_model(config.model, num_classes=1, num_queries=1),
            config,
            track_ids=[1],
            device=torch.device("cpu"),
            tube=(small, np.zeros((1, 3))),
        )
        assert next(iter(seen)).logits.shape[1:] == (16, 24)
    assert scale == 1.0


def test_boxes_that_are_known_better_take_the_interpolateds_place(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    tracks = make_tracks({0: (8, 4, 40, 44)}, num_frames=6)
    boxes = np.tile([48.0, 8.0, 80.0, 40.0], (1, 6, 1))
    frames = np.random.default_rng(0).integers(0, 256, (6, 64, 96, 3), np.uint8)
    sampler = ClipSampler(
        WorkingFrames(open_video(frames), 1.0, cache_bytes=2**20),
        tracks,
        None,
        sampling=SamplingConfig(clip_length=2, max_gap=1, frame_area=64 * 96, contrast=0.0),
        augment=AugmentConfig(flip=False, scale_jitter=0.0, colour_jitter=0.0),
        rng=np.random.default_rng(0),
        tube=(boxes, np.full((1, 6), 0.1)),
    )
    targets = sampler.draw().targets
    expected = torch.zeros(16, 24)
    expected[2:10, 12:20] = 1
    assert torch.equal(targets.box_masks, expected.expand(1, 2, 16, 24))
    assert targets.reach.sum() > targets.box_masks.sum()
