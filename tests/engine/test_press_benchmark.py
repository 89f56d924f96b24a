from __future__ import annotations

import dataclasses

import pytest

import press
from press import Press, Retrain, reached

POINTS = ((10.0, 0.75), (20.0, 0.5), (30.0, 0.78), (40.0, 0.8))


def pressed(near: float = 10.0, masks: float = 50.0, j: float = 0.8) -> Press:
    return Press(near, masks, j, prepare=2.0, steps=120, peak=2**30, points=POINTS)


def test_the_moment_from_which_on_masks_are_nearly_as_good_as_the_last() -> None:
    assert reached(POINTS, 0.95) == 30.0  # the first one was good enough, the second was not
    assert reached(POINTS, 0.5) == 10.0
    assert reached(POINTS, 1.0) == 40.0
    assert reached(POINTS[:1], 0.95) == 10.0


def test_what_a_run_wrote_becomes_seconds_and_j() -> None:
    points = [{"clock": t, "j": j, "predict": 5.0 + t} for t, j in POINTS]
    found = {"points": points, "trained": 41.0, "prepare": 3.0, "steps": 120, "peak_kb": 1024}
    run = Press.of(found)
    assert (run.near, run.masks, run.j, run.peak) == (30.0, 41.0 + 45.0, 0.8, 2**20)


def test_times_are_ratios_and_quality_may_not_be_lower() -> None:
    now = {"car": [pressed(4, 30, 0.81), pressed(6, 20, 0.80), pressed(5, 25, 0.79)]}
    old = {"car": [pressed(10, 50, 0.80), pressed(10, 50, 0.80), pressed(10, 50, 0.80)]}
    near, masks, quality = press._rows(now, old, {})
    assert near["measured"] == "0.50 (0.40 to 0.60): 5.0 s, before 10.0 s"
    assert near["met"] is True
    assert masks["measured"] == "0.50 (0.40 to 0.60): 25.0 s, before 50.0 s"
    assert quality["measured"] == "0.800, before 0.800, mean of 3 seeds"
    assert quality["met"] is True
    worse = {"car": [dataclasses.replace(run, j=run.j - 0.005) for run in now["car"]]}
    assert press._rows(worse, old, {})[2]["met"] is False
    one = press._rows({"car": worse["car"][1:2]}, {"car": old["car"][:1]}, {})
    assert one[2]["met"] is True  # within what seeds differ by
    assert press._rows(now, {}, {}) == []  # nothing to compare with


@pytest.mark.parametrize(
    ("seconds", "j", "met"), [(25.0, 0.82, True), (26.0, 0.82, False), (20.0, 0.80, False)]
)
def test_training_again_is_quick_and_as_good_as_from_fresh_weights(
    seconds: float, j: float, met: bool
) -> None:
    again = Retrain(7, (100.0, 10.0), (seconds, 10.0), before=0.78, again=j, fresh=0.82)
    (row,) = press._rows({"car": []}, {}, {"car": [again]})
    assert row["met"] is met
    whole = (seconds + 10) / 110
    words = f"{seconds / 100:.2f}: {seconds:.0f} of 100 s to the weights, {whole:.2f} to all masks"
    assert row["measured"].startswith(f"{words}; J 0.780 to {j:.3f}")
    assert bool(row["why"]) == (seconds > 25)


def test_without_clips_it_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert press.main([]) == 2
    assert "make bench CLIPS=" in capsys.readouterr().err
