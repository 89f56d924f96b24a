"""What a person said of single pixels: in the consensus, in training, in prediction."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from maskfree.config import CorrectionsConfig, SamplingConfig
from maskfree.corrections import Correction
from maskfree.hand_pixels import HandPixels
from maskfree.predict import predict
from maskfree.presets import preset
from maskfree.sampling import ClipSampler
from maskfree.video import open_video
from maskfree.working import WorkingFrames
from objective_clip import (
    BOX,
    CONFIG,
    OTHERS_OFF,
    changed,
    losses_of,
    make_output,
    make_sample,
    noise,
    softplus,
)
from test_sampling import SHAKEN, STILL
from training_run import go, last_run
from training_run import losses_of as losses_of_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from consensus_scene import Scene
    from maskfree.config import Config
    from maskfree.consensus import Consensus
    from maskfree.session import Session
    from maskfree.types import BoxTracks

SIZE = (64, 96)


def said(on: tuple[slice, slice], off: tuple[slice, slice], size: tuple[int, int] = SIZE) -> Any:
    is_object, is_other = np.zeros(size, bool), np.zeros(size, bool)
    is_object[on], is_other[off] = True, True
    return Correction.make(is_object, is_other)


TOP, BOTTOM = (slice(0, 16), slice(None)), (slice(48, 64), slice(None))
SAID = said(TOP, BOTTOM)


def of_first_track(*frames: int, own: Correction = SAID) -> HandPixels:
    return HandPixels({f: {7: own} for f in frames}, [7, 3], num_frames=12, size=own.size)


# looked up


def test_pixels_by_track_and_frame() -> None:
    corrections = {2: {3: SAID, 9: SAID}, 5: {7: SAID}, 40: {7: SAID}}
    hand = HandPixels(corrections, [7, 3], num_frames=12, size=SIZE)
    assert (hand.frames(), hand.frames(0), hand.frames(1)) == ([2, 5], [5], [2])
    assert hand.at(0, 2) is None
    whole = hand.at(1, 2)
    assert whole is not None
    assert (whole.dtype, whole.shape) == (np.int8, SIZE)
    assert [int(whole[y, 5]) for y in (0, 15, 16, 47, 48, 63)] == [1, 1, 0, 0, -1, -1]
    assert hand
    assert not HandPixels({}, [7], num_frames=12, size=SIZE)
    assert not HandPixels(corrections, [7, 3], num_frames=12, size=(9, 9))


def test_a_crop_holds_means() -> None:
    hand = of_first_track(2)
    assert hand.crop(1, 2, slice(0, 8), slice(0, 8), (4, 4)) is None
    found = hand.crop(0, 2, slice(12, 20), slice(8, 40), (1, 2))
    assert found is not None
    np.testing.assert_allclose(found, [[0.5, 0.5]])
    larger = hand.crop(0, 2, slice(15, 17), slice(8, 10), (4, 4))
    assert larger is not None
    assert larger[:, 0].tolist() == [1, 1, 0, 0]


def test_many_frames_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskfree.hand_pixels._KEPT_BYTES", 30 * SIZE[0] * SIZE[1])
    hand = HandPixels({f: {7: SAID} for f in range(90)}, [7], num_frames=90, size=SIZE)
    for frame in range(90):
        assert hand.at(0, frame) is not None
    assert len(hand._kept) == 30


# in the consensus


def test_no_cue_has_a_say_where_a_person_spoke(scene: Scene, settled: Consensus) -> None:
    n, t = scene.present()[4]
    found = scene.mask(settled, n, t)
    before = settled.crop(n, t)
    assert before is not None
    x0, y0, x1, y1 = scene.boxes[n, t].round().astype(int)
    middle = (y0 + y1) // 2
    top, bottom = np.zeros_like(found), np.zeros_like(found)
    top[max(0, y0) : middle, max(0, x0) : x1] = True
    bottom[middle:y1, max(0, x0) : x1] = True
    wrong = Correction.make(top & ~found, bottom & found)
    hand = HandPixels({t: {scene.ids[n]: wrong}}, scene.ids, num_frames=12, size=found.shape)
    consensus = scene.consensus(hand=hand)
    consensus.fit()
    after = scene.mask(consensus, n, t)
    assert after[top & ~found].mean() > 0.97  # crops may be smaller than the picture
    assert after[bottom & found].mean() < 0.03


def test_a_corrected_frame_teaches_the_colours_of_all_frames() -> None:
    from consensus_scene import make_scene

    scene = make_scene(1)
    # nothing but colour: a box twice as large as the object says little of what is in it
    plain = scene.consensus(evidence=None)
    plain.fit()
    corrected = {
        t: {scene.ids[n]: Correction.whole(scene.true(n, t)) for n in range(len(scene.ids))}
        for t in (2, 9)
    }
    hand = HandPixels(corrected, scene.ids, num_frames=12, size=scene.masks.shape[1:])
    taught = scene.consensus(evidence=None, hand=hand)
    taught.fit()

    def others(consensus: Consensus) -> float:
        def mask(n: int, t: int) -> np.ndarray:
            return scene.true(n, t) if t in corrected else scene.mask(consensus, n, t)

        return scene.mean_j(mask)

    assert others(taught) > others(plain)


# in the training clips


def make_sampler(tracks: BoxTracks, hand: HandPixels | None, **options: Any) -> ClipSampler:
    frames = options.pop("frames", np.zeros((12, *SIZE, 3), np.uint8))
    share = options.pop("share", 0.0)
    return ClipSampler(
        WorkingFrames(open_video(frames), options.pop("scale", 1.0), cache_bytes=2**20),
        tracks,
        None,
        sampling=SamplingConfig(clip_length=2, max_gap=1, frame_area=64 * 96, contrast=0.0),
        augment=options.pop("augment", STILL),
        rng=np.random.default_rng(options.pop("seed", 0)),
        hand=hand,
        hand_share=share,
    )


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.6])
@pytest.mark.parametrize("seed", range(3))
def test_what_was_said_follows_the_pixels(
    make_tracks: Callable[..., BoxTracks], scale: float, seed: int
) -> None:
    pixels = np.zeros((12, *SIZE, 3), np.uint8)
    pixels[:, :16, :, 0], pixels[:, 48:, :, 1] = 255, 255
    tracks = make_tracks({0: (8, 4, 80, 60)}, {0: (8, 4, 80, 60)})
    hand = of_first_track(*range(12))
    sample = make_sampler(
        tracks, hand, frames=pixels, scale=scale, seed=seed, augment=SHAKEN
    ).draw()
    assert sample.hand is not None
    seen = torch.nn.functional.avg_pool2d(sample.clip.rgb[:, :2], 4)
    difference = (sample.hand[0] - (seen[:, 0] - seen[:, 1])).abs()
    assert float(difference.mean()) < 0.05
    assert bool((sample.hand[1] == 0).all())


def test_corrected_frames_are_drawn_more_often_and_nothing_changes_without(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    tracks = make_tracks({0: (8, 4, 40, 44)})
    often = make_sampler(tracks, of_first_track(8), share=0.5)
    hits = [8 in often.draw().clip.frames for _ in range(60)]
    assert 0.4 < np.mean(hits) < 0.85
    none = HandPixels({}, [7], num_frames=12, size=SIZE)
    one, other = make_sampler(tracks, None), make_sampler(tracks, none, share=0.5)
    for _ in range(5):
        first, second = one.draw(), other.draw()
        assert first.clip.frames == second.clip.frames
        assert second.hand is None


# in the objective


def test_the_loss_by_hand() -> None:
    hand = torch.zeros(2, 1, 4, 4)
    hand[0, 0, 1, 1], hand[0, 0, 2, 2], hand[0, 0, 0, 0] = 1.0, -0.5, -1.0
    config = dataclasses.replace(
        changed(CONFIG, OTHERS_OFF), corrections=CorrectionsConfig(weight=3.0)
    )
    logits = noise(2, 1)
    sample = dataclasses.replace(make_sample([BOX, BOX]), hand=hand)
    losses = losses_of(config, make_output(logits), sample)
    grid = logits[0, 0].tolist()
    entropy = softplus(-grid[1][1]) + 0.5 * softplus(grid[2][2]) + softplus(grid[0][0])
    p = [1 / (1 + math.exp(-x)) for x in (grid[1][1], grid[2][2], grid[0][0])]
    dice = 1 - (2 * p[0] + 1) / (p[0] + 0.5 * p[1] + p[2] + 1 + 1)
    assert losses["corrections"] == pytest.approx(5 * 3.0 * (entropy / 2.5 + dice), rel=1e-5)
    silent = dataclasses.replace(sample, hand=torch.zeros(2, 1, 4, 4))
    assert losses_of(config, make_output(logits), silent)["corrections"] == 0
    assert "corrections" not in losses_of(config, make_output(logits), make_sample([BOX, BOX]))


# in a run


def correct(session: Session, frame: int) -> Correction:
    """Say of track 1 the opposite of what its box says: it is the picture's upper part."""
    session.corrections.write(frame, {1: SAID})
    return SAID


def test_a_run_learns_from_corrections_and_says_so(
    small_session: Session, small_config: Config
) -> None:
    list(go(small_session, small_config, seed=3))
    assert all("corrections" not in losses for losses in losses_of_run(last_run(small_session)))
    correct(small_session, 2)
    list(go(small_session, small_config, seed=3))
    with_some = losses_of_run(last_run(small_session))
    assert all("corrections" in losses for losses in with_some)
    assert any(losses["corrections"] > 0 for losses in with_some)
    off = dataclasses.replace(small_config, corrections=CorrectionsConfig(weight=0.0))
    list(go(small_session, off, seed=3))
    assert all("corrections" not in losses for losses in losses_of_run(last_run(small_session)))


def test_the_next_prediction_keeps_to_them_by_itself(
    small_session: Session, small_config: Config
) -> None:
    list(go(small_session, small_config))
    list(predict(small_session, device="cpu"))
    boxes = small_session.boxes.tracks[0].keyframes[0].xyxy
    assert boxes is not None
    x0, y0, x1, y1 = (round(v) for v in boxes)
    upper = slice(max(0, y0), (y0 + y1) // 2), slice(max(0, x0), x1)
    lower = slice((y0 + y1) // 2, y1), slice(max(0, x0), x1)
    small_session.corrections.write(0, {1: said(upper, lower)})
    list(predict(small_session, device="cpu"))
    masks = small_session.mask_store().read(0)
    assert masks is not None
    found = masks.masks[masks.track_ids.index(1)]
    assert found[upper].mean() > 0.9  # another track may own some
    assert not found[lower].any()


def test_presets_of_the_paper_have_the_setting_too() -> None:
    assert preset("paper").corrections == CorrectionsConfig()
