from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from maskfree.errors import InputError
from maskfree.evaluation import Evaluation, evaluate_tracks
from maskfree.score_plot import plot_scores
from maskfree.types import BoxTracks, IgnoreRegion, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE = (20, 30)
DOG = "dog|$wolf$"


def part(x0: int, x1: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[5:15, x0:x1] = True
    return mask


def masks(*pairs: tuple[int, np.ndarray]) -> InstanceMasks:
    ids = tuple(i for i, _ in pairs)
    return InstanceMasks(ids, np.array([m for _, m in pairs]), (0.9,) * len(ids))


def boxes(ignore: tuple[IgnoreRegion, ...] = ()) -> BoxTracks:
    one = (Keyframe(0, (0.0, 5.0, 10.0, 15.0)),)
    tracks = (Track(1, "cat", one), Track(2, DOG, one))
    return BoxTracks(4, *SHAPE, None, tracks, ignore)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """True masks of frames 0, 2 and 3; in the last one track 2 has gone."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for frame in (0, 2, 3):
        ids = np.zeros(SHAPE, np.uint8)
        ids[part(0, 10)] = 1
        if frame < 3:
            ids[part(20, 30)] = 2
        Image.fromarray(ids).save(folder / f"{frame:05d}.png")
    return folder


@pytest.fixture
def found(truth: Path) -> Callable[..., Evaluation]:
    predicted = {
        0: masks((1, part(0, 10)), (2, part(20, 30))),
        2: masks((1, part(0, 5)), (2, part(20, 30))),
        3: masks((1, part(0, 10))),
    }

    def run(*, tracking: bool = False, ignore: tuple[IgnoreRegion, ...] = ()) -> Evaluation:
        names = [f"{n:05d}" for n in range(4)]
        return evaluate_tracks(predicted.get, truth, names, boxes(ignore), tracking=tracking)

    return run


def test_scores_by_track_class_and_frame(found: Callable[..., Evaluation]) -> None:
    made = found()
    assert made.scores.j == pytest.approx((2.5 / 3 + 1) / 2)
    assert made.scores.by_frame[2][1].j == 0.5
    assert {frame: set(own) for frame, own in made.scores.by_frame.items()} == {
        0: {1, 2},
        2: {1, 2},
        3: {1},
    }
    assert made.classes()["cat"][0] == pytest.approx(2.5 / 3)
    assert made.classes()[DOG] == (1.0, 1.0)


def test_json(found: Callable[..., Evaluation]) -> None:
    plain, whole = found().to_json(), found(tracking=True).to_json(full=True)
    assert set(plain) == {"J", "F", "JF", "tracks"}
    assert set(whole) == {*plain, "tracking", "classes", "frames"}
    assert whole["classes"]["cat"]["J"] == whole["tracks"]["1"]["J"]
    assert whole["frames"]["00002"]["1"]["J"] == 0.5
    assert whole["tracking"]["all"]["MOTSA"] == 1.0  # half of a mask is still found
    json.dumps(whole)


def test_text_and_markdown(found: Callable[..., Evaluation]) -> None:
    text = found(tracking=True).to_text(full=True)
    assert [line.split()[0] for line in text.splitlines() if line] == [
        *("track", "1", "2", "mean", "class", "cat", DOG, "class", "all", "cat", DOG)
    ]
    assert found().to_text() == found().scores.to_text()
    page = found(tracking=True).to_markdown()
    assert "| 2 | dog\\|$wolf$ | 1.000 |" in page
    assert "| 00002 | 0.500 | 1.000 |" in page
    assert "| 00003 | 1.000 |  |" in page
    assert "| HOTA |" in page
    assert "HOTA" not in found().to_markdown()


def test_what_is_ignored_is_part_of_neither_side(found: Callable[..., Evaluation]) -> None:
    region = IgnoreRegion(((5.0, 0.0), (10.0, 0.0), (10.0, 20.0), (5.0, 20.0)), 2, 2)
    made = found(tracking=True, ignore=(region,))
    assert made.scores.j == 1
    assert made.tracking["cat"]["AP"] == pytest.approx(1)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".PDF"])
def test_a_plot(found: Callable[..., Evaluation], tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "new" / f"j{suffix}"
    plot_scores(found(), path)
    assert path.read_bytes()[:5] in {b"\x89PNG\r", b"<?xml", b"%PDF-"}


def test_plots_that_cannot_be(found: Callable[..., Evaluation], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one of \.pdf, \.png, \.svg"):
        plot_scores(found(), tmp_path / "j.bmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(InputError, match="pip install matplotlib"):
            plot_scores(found(), tmp_path / "j.png")
    assert not list(tmp_path.glob("j.*"))
