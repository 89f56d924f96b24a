"""A measured step on a part of a video: figures scaled up by hand, memory that is made up."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from maskfree import preflight_measure, prepare
from maskfree.config import Config, PreflightConfig
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.loose_tube import loose_tube
from maskfree.memory_use import HostMemory, largest_resident_size
from maskfree.model.checkpoint import read_tensors
from maskfree.network_pass import windows
from maskfree.part import fullest_span, part_of_tracks
from maskfree.preflight_figures import Exhausted, Measured
from maskfree.preflight_measure import counts_of, measure, pieces_of
from maskfree.start import Start, plan_start
from maskfree.tube import tracks_scale
from training_run import CPU, go, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from consensus_scene import Scene
    from maskfree.session import Session
    from maskfree.types import BoxTracks

FEW = PreflightConfig(frames=6, steps=1)


class Probe:
    """A device with a gigabyte, of which 300 MB are taken."""

    def __init__(self, _device: torch.device) -> None:
        pass

    def there(self) -> int:
        return 10**9

    def peak(self) -> int:
        return 300 * 10**6


def measured(
    session: Session, config: Config, begins: Start | None = None, **options: Any
) -> Measured | Exhausted:
    with session.open_video() as video:
        return measure(
            video,
            session.boxes,
            begins or Start(None, config),
            device=CPU,
            **{"settings": FEW, "memory": Probe, **options},
        )


def test_a_step_and_a_clip_are_measured_for_the_whole_video(
    small_session: Session, small_config: Config
) -> None:
    ticks = itertools.count()
    found = measured(small_session, small_config, start=7.0, clock=lambda: float(next(ticks)))
    assert isinstance(found, Measured)
    assert found.device == "cpu"
    assert found.there == 10**9
    # a tick is a second: 1 for the network, 4 steps of 1 s; 30 clips for the norms, at 100 steps
    # and when taught; the network teaches from 6 clips, each half as long as a look, which is 1/3
    # of a second here
    with small_session.open_video() as video:
        counts = counts_of(video, small_session.boxes, small_config)
    assert counts.clips == len(windows(0, 12, 3, 1)) == 6
    assert (counts.steps, counts.norms, counts.taught, counts.views) == (4, 30 * 3, 6, 2)
    looks = len(windows(0, 6, 3, 1))
    settled = found.seconds.train - (4 + 90 + 6 / looks / 2)
    assert settled > 0, "the colours are learnt once more"
    assert found.seconds.predict == pytest.approx(7 + 1 + 6 / looks + 0)
    assert found.seconds.prepare > 8


def taught(session: Session, config: Config) -> Start:
    """Train a run, correct a frame; return what the next run begins with."""
    list(go(session, config))
    mask = np.zeros((64, 96), bool)
    mask[15:35, 10:40] = True
    session.corrections.write(5, {1: Correction.whole(mask)})
    return plan_start(session, config)


def test_a_run_that_goes_on_is_measured_as_it_is(
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = settings_of(small_config, "restart", steps=3)
    begins = taught(small_session, config)
    run = begins.run
    assert run is not None

    def never(*_: object, **__: object) -> None:
        pytest.fail("the run before has looked at it")

    given: list[Any] = []
    real = preflight_measure.Trainer

    def trainer(*words: Any, **how: Any) -> Any:
        given.append(how["weights"])
        return real(*words, **how)

    monkeypatch.setattr(prepare, "followed_tube", never)
    monkeypatch.setattr(prepare, "collect_evidence", never)
    monkeypatch.setattr(preflight_measure, "Trainer", trainer)
    ticks = itertools.count()
    found = measured(small_session, config, begins, clock=lambda: float(next(ticks)))
    assert isinstance(found, Measured)
    assert (found.start, found.steps) == ("0001", 3)
    assert same(given[0], read_tensors(run.kept_weights_path))
    # 3 steps, 30 clips for the norms after 2 and after 3 of them; it teaches nothing
    assert found.seconds.train == 3 + 60
    # twice as many frames as in the part; the colours tell at the start, of each track, at the end
    boxes = small_session.boxes
    first = fullest_span(boxes, 12, 6, config)
    here = pieces_of(part_of_tracks(boxes, first, first + 6), 6, config)["colours"]
    colours = (len(boxes.tracks) + 1) * pieces_of(boxes, 12, config)["colours"] / here
    assert found.seconds.prepare == pytest.approx(2 + 1 + colours)


def test_with_other_settings_or_boxes_it_is_looked_at_anew(
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taught(small_session, small_config)
    looked: list[int] = []
    real = prepare.followed_tube
    monkeypatch.setattr(prepare, "followed_tube", lambda *a, **k: looked.append(1) or real(*a, **k))
    other = settings_of(small_config, "sampling", object_size=16.0)
    found = measured(small_session, other, plan_start(small_session, other, "last"))
    assert isinstance(found, Measured)
    assert (found.start, len(looked)) == ("0001", 1)
    boxes = small_session.boxes
    track, *others = boxes.tracks
    track = dataclasses.replace(track, keyframes=track.keyframes[:-1])
    small_session.save_boxes(dataclasses.replace(boxes, tracks=(track, *others)))
    found = measured(small_session, small_config, plan_start(small_session, small_config, "last"))
    assert isinstance(found, Measured)
    assert (found.start, len(looked)) == ("0001", 2)


def test_the_first_masks_belong_to_the_look_at_the_video(
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = settings_of(small_config, "consensus", first_boxes=600)
    few = settings_of(config, "consensus", first_boxes=10)
    boxes = small_session.boxes
    late = tuple(
        dataclasses.replace(t, keyframes=tuple(k for k in t.keyframes if k.frame in (4, 8, 11)))
        for t in boxes.tracks
    )
    late = dataclasses.replace(boxes, tracks=late)
    with small_session.open_video() as video:
        assert counts_of(video, boxes, config).first == 0
        assert counts_of(video, boxes, config, first_masks=True).first == 12
        assert counts_of(video, boxes, few, first_masks=True).first == 6, "half of 20 boxes"
        assert counts_of(video, late, config, first_masks=True).first == 8, "those with a box"
    counts: list[int] = []
    real = preflight_measure.estimate
    monkeypatch.setattr(
        preflight_measure, "estimate", lambda r, c: counts.append(c.first) or real(r, c)
    )
    measured(small_session, config, first_masks=True)
    measured(small_session, config)
    assert counts == [12, 0]


def test_memory_of_what_is_kept_by_hand(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    found = measured(small_session, small_config)
    without = measured(small_session, settings_of(small_config, "evidence", seek=False))
    assert isinstance(found, Measured)
    assert isinstance(without, Measured)
    # 6 frames more than were looked at, decoded and at the working scale, which is 1 here
    assert without.needed == 300 * 10**6 + 2 * 6 * 64 * 96 * 3
    boxes, _ = loose_tube(small_session.boxes, range(12), config=small_config.sampling)
    sides = boxes[..., 2:] - boxes[..., :2]
    in_boxes = np.nansum(sides[..., 0] * sides[..., 1]) / 12 / (64 * 96)
    assert 0.01 < in_boxes < 0.5
    evidence = 6 * (64 // 2) * (96 // 2) * in_boxes * 0.75
    assert found.needed - without.needed == pytest.approx(evidence, abs=2)


def test_evidence_takes_no_more_than_is_said(scene: Scene) -> None:
    kept = sum(len(zlib.compress(each.tobytes(), 1)) for each in np.asarray(scene.evidence))
    areas = (scene.boxes[..., 2:] - scene.boxes[..., :2]).prod(-1)
    share = np.nansum(areas) / scene.masks.size
    assert kept < share * np.asarray(scene.evidence).size * preflight_measure._CELL_BYTES


def test_random_numbers_go_on_as_if_nothing_had_happened(
    small_session: Session, small_config: Config
) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(4), np.random.rand(4)
    torch.manual_seed(3)
    np.random.seed(3)
    measured(small_session, small_config)
    assert torch.equal(torch.rand(4), expected[0])
    assert np.array_equal(np.random.rand(4), expected[1])


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
)
def test_a_step_without_memory_is_an_answer(
    small_session: Session,
    small_config: Config,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def full(*_: Any) -> None:
        raise error

    monkeypatch.setattr(preflight_measure.Trainer, "step", full)
    assert measured(small_session, small_config) == Exhausted("cpu", 10**9)


def test_other_faults_are_not_taken_for_a_lack_of_memory(
    small_session: Session, small_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(preflight_measure.Trainer, "step", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        measured(small_session, small_config)


def test_without_a_box_it_refuses_as_a_run_does(
    small_session: Session, small_config: Config
) -> None:
    boxes = dataclasses.replace(small_session.boxes, tracks=())
    with small_session.open_video() as video, pytest.raises(InputError, match="no box"):
        measure(video, boxes, Start(None, small_config), device=CPU, settings=FEW, memory=Probe)


@pytest.mark.parametrize("name", ["tube", "bound"])
def test_a_video_shorter_than_the_part_and_both_matchings(
    name: str,
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
) -> None:
    config = settings_of(small_config, "matching", mode=name)
    found = measured(small_session, config, settings=PreflightConfig(frames=500, steps=1))
    assert isinstance(found, Measured)
    assert found.needed == 300 * 10**6, "all frames were there: nothing is added"


def test_the_part_is_looked_at_as_large_as_the_whole(
    small_session: Session, settings_of: Callable[..., Config], small_config: Config
) -> None:
    config = settings_of(small_config, "sampling", object_size=40.0, max_enlarge=4.0)
    tracks = small_session.boxes
    with small_session.open_video() as video:
        scale = tracks_scale(video, tracks, config)
        part = preflight_measure.part_of_video(video, 2, 8, config)
        boxes = preflight_measure.part_of_tracks(tracks, 2, 8)
        assert tracks_scale(part, boxes, config) != pytest.approx(scale)
        same = preflight_measure._at_scale(config, scale, boxes)
        assert tracks_scale(part, boxes, same) == pytest.approx(scale)


def test_pieces_by_hand(make_tracks: Callable[..., BoxTracks]) -> None:
    box = (10.0, 10.0, 30.0, 30.0)
    # one is there in all 12 frames, 3 of them after its last keyframe; one leaves after 4
    tracks = make_tracks({0: box, 8: box}, {2: box, 6: None})
    config = Config()
    assert pieces_of(tracks, 12, config) == {
        "": 12,
        "boxes after the last keyframe": 3,
        "background seen elsewhere": (12 + 4) * 11,
        "colours": 12 + 4,
    }
    few = dataclasses.replace(
        config,
        consensus=dataclasses.replace(config.consensus, frames=5),
        evidence=dataclasses.replace(config.evidence, max_sources=6),
        follow=dataclasses.replace(config.follow, most_held=2),
    )
    assert pieces_of(tracks, 12, few) == {
        "": 12,
        "boxes after the last keyframe": 2,
        "background seen elsewhere": 16 * 6,
        "colours": 5 + 4,
    }


@pytest.mark.parametrize(
    ("steps", "teacher_at", "every", "norms", "taught"),
    [
        (4, 0.5, 2, 30 * 3, 6),  # saved after 2 and 4, taught once
        (5, 0.5, 2, 30 * 4, 6),
        (4, 1.0, 100, 30 * 1, 0),
        (1, 0.5, 100, 30 * 2, 6),  # round(0.5) is 0: before the only step
    ],
)
def test_what_comes_between_the_steps_by_hand(
    steps: int,
    teacher_at: float,
    every: int,
    norms: int,
    taught: int,
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
) -> None:
    config = settings_of(small_config, "optimiser", steps=steps, checkpoint_every=every)
    config = settings_of(config, "consensus", teacher_at=teacher_at)
    with small_session.open_video() as video:
        counts = counts_of(video, small_session.boxes, config)
    assert (counts.norms, counts.taught) == (norms, taught)


def test_this_process_and_its_machine() -> None:
    probe = HostMemory()
    before = probe.peak()
    assert 10 * 2**20 < before < probe.there()
    held = np.ones(50 * 2**20, np.uint8)
    assert probe.peak() >= before
    assert held.sum() == 50 * 2**20
    if sys.platform == "linux":
        status = "Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t1 kB\n"
        assert largest_resident_size(lambda: status) == 2**21
