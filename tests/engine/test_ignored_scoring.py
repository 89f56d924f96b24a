"""Ignored pixels count neither as hit nor as miss: metrics, the command, gold frames."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from maskfree.cli import main
from maskfree.gold_scores import gold_scores
from maskfree.ignore_regions import add_region, rectangle
from maskfree.metrics import boundary_f, evaluate, region_similarity
from maskfree.session import Session
from maskfree.types import IgnoreRegion, InstanceMasks
from test_gold_scores import area, boxes, gold, predicted

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import BoxTracks


def square(y: int, x: int, side: int) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def test_j_and_f_by_hand() -> None:
    pred, truth = square(5, 5, 20), square(5, 10, 20)
    ignored = np.zeros((40, 60), bool)
    ignored[:, 0:10] = ignored[:, 25:30] = True
    assert region_similarity(pred, truth) == 15 / 25
    assert region_similarity(pred, truth, ignored) == 1
    assert boundary_f(pred, truth) < 1
    assert boundary_f(pred, truth, ignored=ignored) == 1  # what is left of both is the same lines
    everything = np.ones((40, 60), bool)
    assert region_similarity(pred, truth, everything) == boundary_f(pred, truth, 1, everything) == 1


def noise(seed: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random((9, 11)) < rng.uniform(0.1, 0.9) for _ in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_what_the_masks_are_in_a_region_changes_no_score(seed: int) -> None:
    pred, truth, ignored, one, two = noise(seed, 5)
    other, true = np.where(ignored, one, pred), np.where(ignored, two, truth)
    assert region_similarity(other, true, ignored) == region_similarity(pred, truth, ignored)
    assert boundary_f(other, true, 1, ignored) == boundary_f(pred, truth, 1, ignored)
    assert region_similarity(truth, true, ignored) == boundary_f(truth, true, 1, ignored) == 1


def test_a_region_without_pixels_changes_nothing() -> None:
    pred, truth = noise(0, 2)
    none = np.zeros_like(pred)
    assert region_similarity(pred, truth, none) == region_similarity(pred, truth)
    assert boundary_f(pred, truth, 1, none) == boundary_f(pred, truth, 1)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Track 1 in both frames, track 2 in the first one alone; 255 along the right side."""
    folder = tmp_path / "truth"
    folder.mkdir()
    for frame in (0, 1):
        ids = np.zeros((40, 60), np.uint8)
        ids[square(5, 10, 20)] = 1
        if frame == 0:
            ids[square(30, 40, 8)] = 2
        ids[:, 56:] = 255
        Image.fromarray(ids).save(folder / f"{frame:05d}.png")
    return folder


def test_evaluate_leaves_out_what_is_ignored(truth: Path) -> None:
    masks = np.stack([square(5, 5, 20)])
    prediction = InstanceMasks((1,), masks, (1.0,))
    ignored = np.zeros((40, 60), bool)
    ignored[:, 0:10] = ignored[:, 25:30] = True
    hidden = ignored | square(30, 40, 8)
    found = evaluate(
        lambda frame: prediction,
        truth,
        ["00000", "00001"],
        ignored=lambda frame: hidden if frame == 0 else ignored,
        void=255,
    )
    assert list(found.tracks) == [1]  # track 2 lies in the region, 255 is void
    assert (found.tracks[1].j, found.tracks[1].f, found.frames) == (1, 1, 2)


def session_of(tmp_path: Path, tracks: BoxTracks) -> Session:
    frames = tmp_path / "frames"
    frames.mkdir()
    for frame in range(2):
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(frames / f"{frame:05d}.png")
    return Session.create(tmp_path / "s", video_source=frames, boxes=tracks)


def test_the_command_takes_the_regions_of_the_session(
    tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = dataclasses.replace(boxes(1), num_frames=2, height=40, width=60, tracks=())
    session = session_of(tmp_path, plain)
    for frame in range(2):
        masks = InstanceMasks((1, 2), np.stack([square(5, 5, 20), square(30, 40, 8)]), (1.0, 1.0))
        session.mask_store().write(frame, masks)

    def scores(*more: str) -> Any:
        arguments = ["evaluate", str(session.path), "--truth", str(truth), "--json", *more]
        assert main(arguments) == 0
        said = capsys.readouterr()
        assert ("say so (--void 255)" in said.err) == (not more)
        return json.loads(said.out)

    assert list(scores()["tracks"]) == ["1", "2", "255"]
    assert scores("--void", "255")["tracks"]["1"]["J"] == 15 / 25
    tracks = plain
    for box in ((0, 0, 10, 40), (25, 0, 30, 40)):
        tracks = add_region(tracks, IgnoreRegion(rectangle(box), 0, None))
    session.save_boxes(tracks)
    assert scores("--void", "255")["tracks"]["1"] == {"J": 1.0, "F": 1.0}


def test_gold_frames_are_scored_without_the_regions_as_they_are_now(tmp_path: Path) -> None:
    session = Session.create(tmp_path / "s", video_source=None, boxes=boxes(1, 2))
    session.corrections.write(2, {1: gold(0, 1), 2: gold(3)})
    predicted(session, {2: {1: area(0), 2: area(3)}})
    (plain,) = gold_scores(session)
    assert plain.scores is not None
    assert plain.scores.tracks[1].j == 1 / 2
    tracks = add_region(session.boxes, IgnoreRegion(rectangle((0, 1, 6, 2)), 2, 2))
    session.save_boxes(tracks)
    (now,) = gold_scores(session)
    assert now.scores is not None
    assert {i: t.j for i, t in now.scores.tracks.items()} == {1: 1, 2: 1}
    tracks = add_region(session.boxes, IgnoreRegion(rectangle((0, 0, 6, 4)), 0, None))
    session.save_boxes(tracks)
    (none,) = gold_scores(session)
    assert none.scores is None


@pytest.mark.parametrize("value", ["0", "256", "-1", "1.5", "void"])
def test_void_is_a_value_that_a_mask_can_have(
    tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    assert main(["evaluate", str(tmp_path), "--truth", str(truth), f"--void={value}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"expected a value of the masks, 1 to 255, got {value}" in said[0]
