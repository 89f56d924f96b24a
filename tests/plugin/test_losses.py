"""The live curves of the losses: what is drawn, and what a click on the legend does."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest

from napari_maskfree.loss_series import TERMS, Series, log_range, thin

RUN = 150_000


def test_the_mean_forgets_and_waits_where_there_is_nothing():
    series = Series()
    series.extend([4.0, 2.0], 2)
    assert series.smooth == [4.0, pytest.approx((4 * 0.85 + 2) / 1.85)]
    kept = list(series.smooth)
    series.extend([4.0, 2.0], 3)
    series.extend([4.0, 2.0, math.nan, 2.0], 4)
    assert series.smooth[:2] == kept
    assert math.isnan(series.values[2])
    assert math.isnan(series.smooth[2])
    assert 2 < series.smooth[3] < series.smooth[1]


def test_at_most_one_point_a_column():
    steps = np.arange(1, 10_001)
    points = thin(steps, steps.astype(float), total=10_000, columns=100)
    assert len(points) == 100
    assert points[0] == pytest.approx([50 / 10_000, 50])  # the mean of steps 1 to 99
    assert points[-1, 0] <= 1
    assert np.all(np.diff(points[:, 0]) > 0)
    few = thin(np.array([1, 2, 3]), np.array([5.0, np.nan, 7.0]), total=6, columns=600)
    np.testing.assert_allclose(few, [[1 / 6, 5], [3 / 6, 7]])
    assert thin(np.array([1]), np.array([np.nan]), total=6, columns=9).shape == (0, 2)


def test_one_scale_for_all_but_what_vanishes():
    low, high = log_range([np.array([[0, 100.0], [1, 10.0]]), np.array([[0, 0.1]])])
    assert (low, high) == (-1, 2)
    low, high = log_range([np.array([[0, 100.0]]), np.array([[0, 1e-9], [1, 0.0]])])
    assert (low, high) == (-2, 2)
    low, high = log_range([np.array([[0, 1.0]])])
    assert low < 0 < high
    assert log_range([np.array([[0, 0.0]])]) == (-1, 0)
    assert log_range([]) == (-1, 0)


def test_every_loss_of_the_engine_has_its_own_colour_and_words():
    assert len({term.colour for term in TERMS.values()}) == len(TERMS)
    assert all(term.words for term in TERMS.values())


@pytest.fixture
def followed(widget, qtbot, tmp_path):
    """A run at work whose metrics the test writes: call it with the losses of steps."""
    from napari_maskfree.stages import Stage
    from napari_maskfree.worker import Job

    log = tmp_path / "metrics.jsonl"
    log.write_text("")
    code = (sys.executable, "-c", "import time; time.sleep(600)")
    widget.show_section("finetune")
    widget.jobs.start(Job([Stage("finetune", code, lambda: log)], tmp_path))
    done = 0

    def write(*steps: dict[str, float]) -> None:
        nonlocal done
        with log.open("a") as file:
            for losses in steps:
                done += 1
                record = {"step": done, "steps": 20, "losses": losses, "seconds_left": 1.0}
                file.write(json.dumps(record) + "\n")
        qtbot.waitUntil(lambda: widget.jobs.view.done == done, timeout=RUN)

    yield write
    widget.jobs.kill()


def test_each_loss_has_a_curve_and_a_name(widget, followed, hands, qtbot):
    panel = widget.finetune
    assert not panel.curve.isVisible()
    assert not panel.legend.isVisible()
    followed({"class": 4.0, "projection": 2.0}, {"class": 2.0, "projection": 2.0, "prior": 0.5})
    curve, legend = panel.curve, panel.legend
    qtbot.waitUntil(lambda: legend.isVisible() and "prior" in legend.buttons, timeout=RUN)
    texts = [made.text() for made in legend.buttons.values()]
    assert texts == ["total 4.5", "class 2", "projection 2", "prior 0.5"]
    assert legend.buttons["projection"].toolTip().startswith("A mask reaches all four sides")
    curves = curve.curves(300)
    assert list(curves) == ["class", "projection", "prior", "total"]
    np.testing.assert_allclose(curves["projection"], [[1 / 20, 2], [2 / 20, 2]])
    np.testing.assert_allclose(curves["prior"], [[2 / 20, 0.5]])
    qtbot.waitUntil(legend.buttons["class"].isVisible, timeout=RUN)
    hands.press(legend.buttons["class"])
    assert "class" not in curve.curves(300)
    followed({"class": 1.0, "projection": 1.0, "prior": 0.25})
    qtbot.waitUntil(lambda: legend.buttons["prior"].text() == "prior 0.25", timeout=RUN)
    assert "class" not in curve.curves(300)
    hands.press(legend.buttons["class"])
    assert len(curve.curves(300)["class"]) == 3
    for made in legend.buttons.values():
        made.click()
    assert curve.curves(300) == {}
    curve.grab()


def seen(curve: object, *names: str) -> np.ndarray:
    """Return the picture (H, W, 3) with only these curves."""
    for name in curve.names:
        curve.set_hidden(name, name not in names)
    image = curve.grab().toImage()
    pixels = [image.pixel(x, y) for y in range(image.height()) for x in range(image.width())]
    whole = np.array(pixels).reshape(image.height(), image.width())
    return np.stack([whole >> 16 & 255, whole >> 8 & 255, whole & 255], -1)


def test_what_is_seen(widget, followed, qtbot):
    followed(*({"class": 4.0 / n, "evidence": 0.02} for n in range(1, 15)))
    curve = widget.finetune.curve
    qtbot.waitUntil(curve.isVisible, timeout=RUN)
    scaled = seen(curve, "class", "evidence")
    for name, other in (("class", "evidence"), ("evidence", "class")):
        colour = np.array(TERMS[name].colour)
        near = np.abs(scaled - colour).max(-1) < 60
        assert near.sum() > 30, name
        assert (np.abs(seen(curve, other) - colour).max(-1) < 60).sum() == 0, name


def test_a_painting_between_a_step_and_its_losses_shows_those_before(widget):
    curve, steps = widget.finetune.curve, [1, 2]
    curve.show_values(steps, [2.0, 1.0], {"outside": [2.0, 1.0]}, 4)
    steps.append(3)  # the follower's own list: a progress bar that is set paints at once
    assert all(len(points) == 2 for points in curve.curves(100).values())
    curve.grab()


def test_another_run_begins_anew(widget, followed, qtbot):
    followed({"class": 4.0, "prior": 1.0}, {"class": 2.0, "prior": 1.0})
    curve, legend = widget.finetune.curve, widget.finetune.legend
    qtbot.waitUntil(lambda: "prior" in legend.buttons, timeout=RUN)
    legend.buttons["class"].click()
    curve.show_values([1], [9.0], {"class": [8.0], "own": [1.0]}, 10)
    legend.refresh()
    assert [made.text() for made in legend.buttons.values()] == ["total 9", "class 8", "own 1"]
    assert not legend.buttons["class"].isChecked()  # as it was left
    assert legend.buttons["own"].toolTip().startswith("A loss of this run")
    curve.grab()


def test_nothing_is_not_less_than_nothing(widget):
    panel = widget.finetune
    panel.curve.show_values([1], [1.0], {"corrections": [-0.0]}, 10)
    panel.legend.refresh()
    assert panel.legend.buttons["corrections"].text() == "corrections 0"
