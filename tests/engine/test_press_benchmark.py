from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import press
import press_before
from press_command import Begun, Commanded, Press, Retrain, begun
from square_clip import make_square_clip

if TYPE_CHECKING:
    from pathlib import Path

POINTS = ((10.0, 0.75), (20.0, 0.5), (30.0, 0.78), (40.0, 0.8))
OLD = Press(((10.0, 0.79),), 50.0, 0.8)


def pressed(first: float = 4.0, masks: float = 30.0, j: float = 0.8, at: float = 0.78) -> Press:
    return Press(((first, at),), masks, j, first=True)


def test_the_first_moment_at_which_masks_are_nearly_as_good_as_the_last() -> None:
    run = Press(POINTS, 45.0, 0.8)
    assert run.near(0.95) == 30.0
    assert run.near(0.9) == 10.0  # though the second is not so good
    assert run.near(1.0) == 40.0
    assert Press(POINTS[:1], 45.0, 0.8).near(0.95) == 45.0, "not before the last masks"
    assert Press(POINTS[:1], 45.0, 0.75).near(0.95) == 10.0


def test_what_a_run_wrote_becomes_seconds_and_j() -> None:
    points = [{"clock": t, "j": j, "predict": 5.0 + t} for t, j in POINTS]
    run = press._press_of({"points": points, "trained": 41.0})
    assert (run.near(0.95), run.masks, run.j) == (30.0, 41.0 + 45.0, 0.8)


def test_times_are_ratios_and_quality_may_not_be_lower() -> None:
    now = {"car": [pressed(4, 30, 0.81), pressed(6, 20, 0.80), pressed(5, 25, 0.79)]}
    old = {"car": [OLD, OLD, OLD]}
    near, masks, quality = press._rows(now, old, {}, {})
    assert near["measured"] == (
        "0.50 (0.40 to 0.60): 5.0 s, before 10.0 s (to the weights alone); the first masks have "
        "J 0.780"
    )
    assert near["met"] is True
    assert masks["measured"] == "0.50 (0.40 to 0.60): 25.0 s, before 50.0 s"
    assert masks["met"] is None
    assert quality["measured"] == "0.800, before 0.800, mean of 3 seeds"
    assert quality["met"] is True
    worse = {"car": [dataclasses.replace(run, j=run.j - 0.005) for run in now["car"]]}
    lower = press._rows(worse, old, {}, {})[2]
    assert lower["met"] is False
    assert lower["why"] == (
        "seeds 0.805, 0.795, 0.785, before 0.800, 0.800, 0.800: -0.005, standard error 0.006"
    )
    one = press._rows({"car": worse["car"][1:2]}, {"car": old["car"][:1]}, {}, {})
    assert one[2]["met"] is True  # within what seeds differ by
    assert press._rows(now, {"car": []}, {}, {}) == []  # nothing to compare with


def test_seeds_that_were_not_timed_count_for_quality_alone() -> None:
    untimed = Press((), math.nan, 0.7)
    rows = press._rows({"car": [pressed(), pressed(9, 99)]}, {"car": [OLD, untimed]}, {}, {})
    assert rows[0]["measured"].startswith("0.40: 4.0 s, before 10.0 s")
    assert rows[1]["measured"] == "0.60: 30.0 s, before 50.0 s"
    assert rows[2]["measured"] == "0.800, before 0.750, mean of 2 seeds"


def test_first_masks_that_are_not_good_enough_do_not_count() -> None:
    (near, *_) = press._rows({"car": [pressed(at=0.7)]}, {"car": [OLD]}, {}, {})
    assert near["met"] is False
    assert near["measured"].startswith("3.00: 30.0 s, before 10.0 s")
    assert near["why"] == "the first masks are not yet so good with 1 of 1 seeds"


def test_a_beginning_that_is_repeated_counts_instead_of_the_whole_run() -> None:
    starts = [(Begun(1.0, 3.0), 10.0), (Begun(2.0, 4.0), 10.0), (Begun(3.0, 5.0), 12.5)]
    near, *_ = press._rows({"car": [pressed(9)]}, {"car": [OLD]}, {}, {"car": starts})
    assert near["measured"].startswith("0.40 (0.30 to 0.40): 4.0 s, before 10.0 s")
    assert near["met"] is True
    slow = [(Begun(2.0, 8.0), 10.0)]
    near, *_ = press._rows({"car": [pressed()]}, {"car": [OLD]}, {}, {"car": slow})
    assert near["met"] is False
    assert near["why"] == "imports take 2.0 s of it, the look at the video and the masks 6.0 s"


def test_beginnings_are_repeated_in_turns_where_both_have_masks_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []

    def here(clip: Path, seed: int, every: int) -> Begun:
        order.append(("now", clip, seed, every))
        return Begun(1.0, 4.0)

    def there(clip: Path, seed: int, root: Path, *more: str) -> dict[str, float]:
        order.append(("before", clip, seed, *more))
        return {"begun": 9.0}

    monkeypatch.setattr(press, "begun", here)
    monkeypatch.setattr(press, "_run_before", there)
    found = press._beginnings(tmp_path, 3, tmp_path, pressed(), OLD)
    assert found == [(Begun(1.0, 4.0), 9.0)] * press.REPEATS
    pair = [("now", tmp_path, 3, press.EVERY), ("before", tmp_path, 3, "--begin")]
    assert order == pair * press.REPEATS
    late = pressed(at=0.7)  # steps are needed for masks as good
    for root, now, old in (
        (None, pressed(), OLD),
        (tmp_path, late, OLD),
        (tmp_path, pressed(), late),
    ):
        assert press._beginnings(tmp_path, 3, root, now, old) == []
    assert press._beginnings(tmp_path, 3, tmp_path, pressed(), None) == []


def test_j_of_the_state_before_is_kept_by_clip_boxes_and_seed(
    tmp_path: Path, clip_with_masks: Path
) -> None:
    path = tmp_path / "kept.json"
    assert press_before.kept(clip_with_masks, 5, path) == {}
    press_before.keep(clip_with_masks, 5, [(0, 0.8123456789)], path)
    press_before.keep(clip_with_masks, 5, [(2, 0.5), (0, 0.75)], path)
    assert press_before.kept(clip_with_masks, 5, path) == {0: 0.75, 2: 0.5}
    other = np.zeros((48, 64), np.uint8)
    other[5:9, 5:9] = 1
    Image.fromarray(other).save(clip_with_masks / "masks" / "00000.png")
    assert press_before.kept(clip_with_masks, 5, path) == {}, "other boxes, another run"
    press_before.keep(clip_with_masks, 5, [(1, 0.6)], path)
    assert press_before.kept(clip_with_masks, 5, path) == {1: 0.6}
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "commit": "another"}))
    assert press_before.kept(clip_with_masks, 5, path) == {}


def test_seeds_whose_j_before_is_not_known_are_left_out(
    clip_with_masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.json"
    press_before.keep(clip_with_masks, press.EVERY, [(2, 0.5)], path)
    monkeypatch.setattr(press, "kept", lambda clip, every: press_before.kept(clip, every, path))
    assert press._seeds(clip_with_masks, [0, 1, 2], all_of_them=False) == [0, 2]
    assert press._seeds(clip_with_masks, [0, 1, 2], all_of_them=True) == [0, 1, 2]
    assert [run.j for run in press._all_before(clip_with_masks, [3, 2], None)] == []
    monkeypatch.setattr(press, "_before", lambda *_: OLD)
    found = press._all_before(clip_with_masks, [0, 2], tmp_path)
    assert [run.j for run in found] == [0.8, 0.5]


def test_the_other_seeds_run_two_at_a_time_and_stay_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2, timeout=30)

    def commanded(
        clip: Path, seed: int, every: int, *, retrain: bool, threads: int
    ) -> tuple[Press, None]:
        assert (clip, every, retrain, threads) == (tmp_path, press.EVERY, False, 1)
        together.wait()
        return pressed(j=seed / 10), None

    monkeypatch.setattr(press, "commanded", commanded)
    assert [run.j for run in press._beside(tmp_path, [1, 2])] == [0.1, 0.2]
    assert press._beside(tmp_path, []) == []


def test_what_is_kept_is_of_the_commit_that_speed_is_compared_with() -> None:
    content = json.loads(press_before.KEPT.read_text(encoding="utf-8"))
    assert content["commit"] == press_before.BASELINE
    assert all(0 < j < 1 for clip in content["clips"].values() for j in clip["j"].values())


@pytest.fixture
def clip_with_masks(tmp_path: Path) -> Path:
    """Six frames with one bright square, and its true masks."""
    return make_square_clip(tmp_path / "square", 6)


def test_a_press_is_looked_at_from_outside(
    tmp_path: Path, clip_with_masks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = subprocess.Popen

    def short(command: list[str], **how: Any) -> Any:
        steps = ["--steps", "1"] if "finetune" in command else []
        return plain([*command, *steps], **how)

    monkeypatch.setattr(subprocess, "Popen", short)
    folder = tmp_path / "run"
    folder.mkdir()
    run = Commanded(clip_with_masks, 0, 5, folder)
    found, took = run.press()
    assert found.first
    ((seconds, j),) = found.points
    assert 0 < seconds < took[0] < sum(took) == found.masks
    assert 0.5 < j <= 1
    assert 0.5 < found.j <= 1
    start = begun(clip_with_masks, 0, 5)
    assert 0 < start.log < start.masks
    monkeypatch.setattr(
        subprocess, "Popen", lambda *_, **how: plain([sys.executable, "-c", "1/0"], **how)
    )
    for ends in (run.press, lambda: begun(clip_with_masks, 0, 5)):
        with pytest.raises(subprocess.CalledProcessError):
            ends()


@pytest.mark.parametrize(
    ("seconds", "j", "met"), [(25.0, 0.82, True), (26.0, 0.82, False), (20.0, 0.80, False)]
)
def test_training_again_is_quick_and_as_good_as_from_fresh_weights(
    seconds: float, j: float, met: bool
) -> None:
    again = Retrain(7, (100.0, 10.0), (seconds, 10.0), before=0.78, again=j, fresh=0.82)
    (row,) = press._rows({"car": []}, {}, {"car": [again]}, {})
    assert row["met"] is met
    whole = (seconds + 10) / 110
    words = f"{seconds / 100:.2f}: {seconds:.0f} of 100 s to the weights, {whole:.2f} to all masks"
    assert row["measured"].startswith(f"{words}; J 0.780 to {j:.3f}")
    assert bool(row["why"]) == (seconds > 25)


def test_without_clips_it_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert press.main([]) == 2
    assert "make bench CLIPS=" in capsys.readouterr().err
