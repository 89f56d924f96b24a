"""Ignore regions in training: no gradient there, and what they show changes nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch

from consensus_scene import CONFIG as SCENE
from consensus_scene import PLAIN, constant, crop_of, inside
from evidence_clips import CELL, box_clip, cells, collected
from evidence_clips import CONFIG as EVIDENCE
from maskfree.camera_motion import estimate_motion
from maskfree.confidence import box_fit, stability
from maskfree.config import AugmentConfig, Config, SamplingConfig
from maskfree.consensus import Consensus
from maskfree.corrections import Correction
from maskfree.evidence import SURE
from maskfree.follow import follow_boxes
from maskfree.hand_pixels import HandPixels
from maskfree.ignore_masks import IgnoreMasks, without_ignored
from maskfree.ignore_regions import add_region, rectangle
from maskfree.loose_tube import loose_tube
from maskfree.objective import Objective
from maskfree.predict import predict
from maskfree.prepare import prepare
from maskfree.sampling import ClipSampler, TrainingClip
from maskfree.tracks import empty_tracks
from maskfree.types import BoxTracks, IgnoreRegion, Keyframe, Track
from maskfree.video import open_video
from maskfree.working import WorkingFrames
from napari_maskfree.sample_data import generated_clip
from objective_clip import BOX, CONFIG, OTHERS_OFF, changed, make_output, make_sample, noise
from training_run import go, last_run, losses_of

if TYPE_CHECKING:
    from maskfree.session import Session

H, W = 64, 96
TERMS = {
    "projection": {"objective": {"projection_weight": 1.0, "outside_weight": 0.0}},
    "outside": {"objective": {"projection_weight": 0.0, "outside_weight": 1.0}},
    "pairwise": {"pairwise": {"weight": 1.0}},
    "temporal": {"temporal": {"weight": 1.0}},
    "evidence": {"evidence": {"weight": 1.0}},
    "prior": {"prior": {"weight": 1.0}},
    "corrections": {"corrections": {"weight": 1.0}},
}


def ignoring(tracks: BoxTracks, *boxes: Any, frame: int = 0, until: int | None = None) -> BoxTracks:
    for box in boxes:
        tracks = add_region(tracks, IgnoreRegion(rectangle(box), frame, until))
    return tracks


# ---- the objective


def ignored_sample(*, ignored: torch.Tensor | None, consensus: bool = False) -> TrainingClip:
    """Two instances on two frames; labels and a person's word are 0 where ignored, as drawn."""
    said = np.random.default_rng(0).uniform(-1, 1, (2, 2, 8, 8))
    said[:, :, 3:5] = 0  # silent: there the prior speaks
    hand = torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (2, 2, 8, 8))).float()
    boxes = [[[0, 0, 5, 5], [1, 0, 6, 5]], [[3, 2, 8, 8], [2, 3, 7, 8]]]
    lab = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    sample = make_sample(boxes, slack=0.05, said=said, lab=lab, height=8, width=8)
    if ignored is not None:
        hand = hand.masked_fill(ignored, 0)
        sample = dataclasses.replace(sample, labels=sample.labels.masked_fill(ignored, 0))
    return dataclasses.replace(sample, hand=hand, ignored=ignored)


IGNORED = torch.zeros(2, 8, 8, dtype=torch.bool)
IGNORED[0, 2:5, 0:4] = IGNORED[1, 0:8, 5:8] = True


def gradient_of(config: Config, sample: TrainingClip, name: str) -> torch.Tensor:
    logits = noise(2, 2, 8, 8).requires_grad_()
    output = make_output(logits, torch.zeros(2, 3))
    losses = Objective(config, [0, 1], seed=0)(output, sample, step=0, steps=10)
    losses[name].backward()
    assert logits.grad is not None
    return logits.grad


@pytest.mark.parametrize("mode", ["bound", "tube", "frame"])
@pytest.mark.parametrize("name", TERMS)
def test_no_term_has_a_gradient_in_a_region(name: str, mode: str) -> None:
    config = changed(changed(CONFIG, OTHERS_OFF), TERMS[name])
    config = changed(config, {"matching": {"mode": mode}})
    plain = gradient_of(config, ignored_sample(ignored=None), name)
    assert plain[:, IGNORED].any()  # it had one before
    found = gradient_of(config, ignored_sample(ignored=IGNORED), name)
    assert not found[:, IGNORED].any()
    assert found[:, ~IGNORED].any()


def test_the_matching_does_not_look_at_a_region() -> None:
    config = changed(CONFIG, {"matching": {"mode": "tube", "num_points": 2000}})
    sample = make_sample([BOX])
    ignored = torch.zeros(1, 4, 4, dtype=torch.bool)
    ignored[0, :, 0] = True
    sample = dataclasses.replace(sample, ignored=ignored)
    logits = torch.full((2, 1, 4, 4), -5.0)
    logits[1, 0, 1:3, 1:3] = 5.0  # right but for what lies in the region
    logits[1, 0, :, 0] = 5.0
    logits[0, 0, 1:3, 1:2] = 5.0
    logits.requires_grad_()
    losses = Objective(config, [0], seed=0)(make_output(logits), sample, step=0, steps=10)
    losses["outside"].backward()
    assert logits.grad is not None
    assert logits.grad[1].any()
    assert not logits.grad[0].any()


# ---- what training looks at


def clip_and_noise() -> tuple[np.ndarray, np.ndarray, BoxTracks]:
    """A clip, the same with noise in a region that cuts through the objects, and its tracks."""
    clip = generated_clip(num_frames=8, height=H, width=W, seed=0)
    tracks = clip.boxes(every=3)
    box = next(k.xyxy for k in tracks.tracks[0].keyframes if k.xyxy is not None)
    x = (box[0] + box[2]) / 2
    tracks = ignoring(tracks, (x, box[1] + 2, W, box[3] - 1), (0, 0, W, 6))
    ignored = IgnoreMasks(tracks).at(0)
    assert ignored is not None
    assert 0.1 < ignored.mean() < 0.6
    other = clip.frames.copy()
    other[:, ignored] = np.random.default_rng(1).integers(
        0, 256, (8, int(ignored.sum()), 3), np.uint8
    )
    return clip.frames, other, tracks


def test_what_a_region_shows_changes_nothing_that_training_starts_from() -> None:
    clean, other, tracks = clip_and_noise()
    found = []
    for frames in (clean, other):
        prepared = prepare(open_video(frames), tracks, Config())
        prepared.consensus.fit()
        assert prepared.evidence is not None
        sampler = ClipSampler(
            prepared.frames,
            tracks,
            prepared.evidence,
            prepared.consensus,
            sampling=SamplingConfig(clip_length=2),
            augment=AugmentConfig(),
            rng=np.random.default_rng(0),
            tube=(prepared.boxes, prepared.slack),
            ignore=prepared.ignore,
            seen=prepared.seen,
        )
        drawn = [sampler.draw() for _ in range(4)]
        found.append((prepared, drawn))
    (first, clips), (second, others) = found
    np.testing.assert_array_equal(first.boxes, second.boxes)
    np.testing.assert_array_equal(first.evidence, second.evidence)
    for one, two in zip(clips, others, strict=True):
        assert one.ignored is not None
        assert one.ignored.any() and not one.ignored.all()
        torch.testing.assert_close(one.clip.lab, two.clip.lab, rtol=0, atol=0)
        torch.testing.assert_close(one.labels, two.labels, rtol=0, atol=0)
        assert not one.labels[:, one.ignored].any()
        assert one.labels[:, ~one.ignored].any()
        assert (one.clip.rgb != two.clip.rgb).any()  # the network sees the whole picture


def test_the_drawn_cells_are_those_that_the_region_touches() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, H, W, 3), np.uint8)
    track = Track(1, "dog", (Keyframe(0, (20.0, 10.0, 60.0, 50.0)),))
    tracks = BoxTracks(4, H, W, None, (track,))
    tracks = ignoring(tracks, (30, 21, 41, 40), frame=1, until=1)
    ignore, video = IgnoreMasks(tracks), open_video(frames)
    seen = without_ignored(video, ignore, Config())
    sampler = ClipSampler(
        WorkingFrames(video, 1.0, cache_bytes=2**20),
        tracks,
        None,
        sampling=SamplingConfig(clip_length=4, max_gap=1, frame_area=H * W, contrast=0.0),
        augment=AugmentConfig(flip=False, scale_jitter=0.0, colour_jitter=0.0),
        rng=np.random.default_rng(0),
        ignore=ignore,
        seen=WorkingFrames(seen, 1.0, cache_bytes=2**20),
    )
    sample = sampler.draw()
    assert sample.clip.frames == (0, 1, 2, 3)
    assert sample.ignored is not None
    assert [int(m.sum()) > 0 for m in sample.ignored] == [False, True, False, False]
    touched = np.zeros((H // 4, W // 4), np.uint8)
    touched[5:10, 7:11] = 1
    found = sample.ignored[1].numpy()
    assert found[touched > 0].all()
    assert not found[cv2.dilate(touched, np.ones((3, 3), np.uint8)) == 0].any()


def test_without_regions_nothing_is_ignored() -> None:
    clip = generated_clip(num_frames=4, height=H, width=W, seed=0)
    tracks = clip.boxes(every=1)
    prepared = prepare(open_video(clip.frames), tracks, Config())
    assert prepared.seen is prepared.frames
    sampler = ClipSampler(
        prepared.frames,
        tracks,
        prepared.evidence,
        sampling=SamplingConfig(clip_length=2),
        augment=AugmentConfig(),
        rng=np.random.default_rng(0),
        ignore=prepared.ignore,
        seen=prepared.seen,
    )
    assert sampler.draw().ignored is None


# ---- evidence, motion, boxes


def test_evidence_says_nothing_in_a_region_and_takes_nothing_from_it() -> None:
    frames, boxes = box_clip([8, 24, 40, 56, 72])
    tracks = empty_tracks(len(frames), *frames.shape[1:3], None)
    plain = collected(frames, boxes, config=EVIDENCE)
    assert plain[0][cells(40, 4, 56, 12)].max() == -SURE  # outside the box: background
    ignore = IgnoreMasks(ignoring(tracks, (40, 0, 56, 16)))
    found = collected(frames, boxes, config=EVIDENCE, ignore=ignore)
    for belief in found:
        assert not belief[cells(40, 0, 56, 16)].any()
    # where the box stands in frame 2 the ground is seen only while it is elsewhere
    shown = IgnoreMasks(ignoring(tracks, (38, 22, 58, 42), frame=0, until=1))
    both = ignoring(ignoring(tracks, (38, 22, 58, 42), frame=0, until=1), (38, 22, 58, 42), frame=3)
    assert np.abs(collected(frames, boxes, config=EVIDENCE, ignore=shown)[2]).any()
    unseen = collected(frames, boxes, config=EVIDENCE, ignore=IgnoreMasks(both))
    assert plain[2][cells(42, 26, 54, 38)].any()
    assert not unseen[2][cells(42, 26, 54, 38)].any()
    hidden = ignoring(tracks, (44, 28, 50, 36), frame=2, until=2)
    within = collected(frames, boxes, config=EVIDENCE, ignore=IgnoreMasks(hidden))
    assert plain[2][cells(44, 28, 50, 36)].all()
    assert not within[2][cells(44, 28, 50, 36)].any()
    assert within[2].any() and CELL == 2


def test_no_cue_has_a_say_in_a_region() -> None:
    tracks = ignoring(empty_tracks(1, H, W, None), (25, 20, 35, 30))
    frames, boxes = np.full((1, H, W, 3), 90, np.uint8), np.array([[[20.0, 10, 40, 50]]])
    consensus = Consensus(
        frames,
        boxes,
        np.zeros((1, 1)),
        None,
        stretch=1.0,
        config=dataclasses.replace(PLAIN, network=1.0, network_limit=9.0),
        ignore=IgnoreMasks(tracks),
    )
    consensus.fit(constant(3.0))
    crop = crop_of(consensus)
    here = crop.values[inside(crop)]
    ignored = np.zeros((40, 20), bool)
    ignored[10:20, 5:15] = True
    np.testing.assert_allclose(here[ignored], 0, atol=1e-5)
    np.testing.assert_allclose(here[~ignored], 3, atol=1e-4)


def test_colours_are_not_learnt_from_a_region() -> None:
    frames = np.full((1, H, W, 3), 90, np.uint8)
    frames[0, 20:30, 25:35] = (250, 20, 20)
    boxes, found = np.array([[[20.0, 10, 40, 50]]]), []
    for own in (None, IgnoreMasks(ignoring(empty_tracks(1, H, W, None), (25, 20, 35, 30)))):
        consensus = Consensus(
            frames, boxes, np.zeros((1, 1)), None, stretch=1.0, config=SCENE, ignore=own
        )
        consensus.fit()
        model = consensus.memory([1]).colours[1]
        red = cv2.cvtColor(np.float32(frames[:, 25:26, 30]) / 255, cv2.COLOR_RGB2LAB)
        found.append(float(model(model.bins(red))[0, 0]))
    assert found[0] > 1  # red is the object's
    assert abs(found[1]) < 0.5 * found[0]


def test_a_time_stamp_does_not_hold_the_camera_still() -> None:
    rng = np.random.default_rng(3)
    ground = cv2.resize(rng.integers(0, 256, (20, 60), np.uint8), (480, 160), interpolation=3)
    stamp = cv2.resize(rng.integers(0, 256, (40, 60), np.uint8), (160, 100), interpolation=0)
    frames, moves = [], []
    for t in range(4):
        frame = np.ascontiguousarray(ground[:120, 6 * t : 6 * t + 160])
        frame[:100] = stamp  # most of the picture stands still
        frames.append(np.repeat(frame[..., None], 3, 2))
    tracks = empty_tracks(4, 120, 160, None)
    for ignore in (None, IgnoreMasks(ignoring(tracks, (0, 0, 160, 100)))):
        greys = []
        for t, frame in enumerate(frames):
            hidden = None if ignore is None else ignore.at(t)
            background = np.ones((120, 160), bool) if hidden is None else ~hidden
            greys.append((frame[..., 0], background))
        motion = estimate_motion(iter(greys), config=dataclasses.replace(EVIDENCE, min_inliers=6))
        matrix = motion.between(0, 1)
        moves.append(None if matrix is None else float((matrix @ [80, 110, 1])[0] - 80))
    assert moves[0] == pytest.approx(0, abs=0.5)
    assert moves[1] == pytest.approx(-6, abs=0.5)


def test_a_box_does_not_go_with_points_in_a_region() -> None:
    rng = np.random.default_rng(0)
    still = cv2.resize(rng.integers(0, 256, (16, 24), np.uint8), (96, 64), interpolation=3)
    small = cv2.resize(rng.integers(0, 256, (8, 8), np.uint8), (32, 32), interpolation=3)
    frames = []
    for t in range(5):
        frame = still.copy()
        frame[16:48, 10 + 4 * t : 42 + 4 * t] = small
        frames.append(np.repeat(frame[..., None], 3, 2))
    boxes = [Keyframe(0, (10.0, 16.0, 42.0, 48.0)), Keyframe(4, (26.0, 16.0, 58.0, 48.0))]
    tracks = BoxTracks(5, H, W, None, (Track(1, "dog", tuple(boxes)),))
    drawn, _ = loose_tube(tracks, range(5), config=SamplingConfig())
    _, followed = follow_boxes(frames, tracks, drawn, config=Config().follow)
    assert followed[0, 1:4].all()
    ignore = IgnoreMasks(ignoring(tracks, (0, 0, W, H)))
    _, followed = follow_boxes(frames, tracks, drawn, config=Config().follow, ignore=ignore)
    assert not followed.any()  # all of its points are in the region


# ---- what a person said, and scores


def test_the_region_wins_over_what_a_person_said_of_its_pixels() -> None:
    video = open_video(np.zeros((3, H, W, 3), np.uint8))
    mask = np.zeros((H, W), bool)
    mask[10:40, 10:40] = True
    tracks = BoxTracks(3, H, W, None, (Track(7, "dog", (Keyframe(0, (10.0, 10.0, 40.0, 40.0)),)),))
    tracks = ignoring(tracks, (0, 0, 20, 20), frame=1, until=1)
    own = Correction.whole(mask)
    hand = HandPixels.of({1: {7: own}, 2: {7: own}}, tracks, video)
    here, there = hand.at(0, 1), hand.at(0, 2)
    assert here is not None and there is not None
    ignored = IgnoreMasks(tracks).at(1)
    assert ignored is not None
    assert not here[ignored].any()
    np.testing.assert_array_equal(here[~ignored], np.where(mask, 1, -1)[~ignored])
    np.testing.assert_array_equal(there, np.where(mask, 1, -1))


def test_scores_do_not_look_at_a_region() -> None:
    logits = np.full((20, 30), -8.0)
    logits[5:15, 5:25] = 8.0
    ignored = np.zeros(logits.shape, bool)
    ignored[:, 15:] = True
    unsure = np.where(ignored, 0.5, logits)
    window = (slice(0, 20), slice(0, 30))
    box = np.array([5.0, 5, 25, 15])
    assert stability(unsure, 1.0) < 0.5
    assert stability(unsure, 1.0, ignored) == stability(logits, 1.0, ignored) == 1
    assert box_fit(logits > 0, window, box) == 1
    assert box_fit((logits > 0) & ~ignored, window, box) == 0.5
    assert box_fit((logits > 0) & ~ignored, window, box, ignored) == 1
    assert box_fit(unsure > 0, window, box, ignored) == 1
    half = np.zeros(logits.shape, bool)
    half[5:15, 5:10] = True
    assert box_fit(half, window, box, ignored) == 0.5
    assert box_fit(logits > 0, window, box, np.ones_like(ignored)) == 0


# ---- a run


def test_a_run_trains_and_predicts_around_a_region(
    small_session: Session, small_config: Config
) -> None:
    list(go(small_session, small_config, seed=3))
    plain = losses_of(last_run(small_session))
    boxes = small_session.boxes
    box = next(k.xyxy for k in boxes.tracks[0].keyframes if k.xyxy is not None)
    middle = (box[0] + box[2]) / 2
    small_session.save_boxes(ignoring(boxes, (middle, box[1], box[2], box[3])))
    list(go(small_session, small_config, seed=3))
    found = losses_of(last_run(small_session))
    assert [set(step) for step in found] == [set(step) for step in plain]
    assert found != plain
    assert all(np.isfinite(list(step.values())).all() for step in found)
    frames = len(list(predict(small_session, device="cpu")))
    assert small_session.masks.frames() == list(range(frames))
