"""Estimate: a process measures a step; here one that only says what it would have found."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from qtpy.QtCore import Qt

from estimate_machine import FIGURES, FITS, GIGA, RUN, TIMES, estimated
from maskfree.preflight import Attempt, Preflight
from maskfree.preflight_figures import Estimate, Measured
from napari_maskfree.stages import Stage

CLIP = ("sampling.clip_length=2", "predict.clip_length=3")
ON_CPU = Measured("cpu", Estimate(10.0, 130.0, 20.0), GIGA, 8 * GIGA)
SHORTER = Preflight(
    (
        Attempt("", "cuda", (), "out of memory", "ran out of the memory that is free"),
        Attempt("amp", "cuda", (), "not here", "it is on already"),
        Attempt("clip", "cuda", CLIP, "fits", "needs 1.9 of 20.3 GB", FIGURES),
    )
)
CPU = Preflight(
    (
        *SHORTER.attempts[:2],
        Attempt("clip", "cuda", CLIP, "too large", "needs 30.0 of 20.3 GB", FIGURES),
        Attempt("cpu", "cpu", CLIP, "fits", "needs 1.0 of 8.0 GB", ON_CPU),
    )
)
NOTHING = Preflight((*SHORTER.attempts[:2],))


@pytest.fixture
def boxed(widget, clip_folder):
    """The window with a video and a box, and the fine-tune section in view."""
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    widget.state.set_box(1, (20, 10, 60, 40), 0)
    widget.finetune.steps.setValue(7)
    widget.scroll_area.ensureWidgetVisible(widget.finetune.estimate)
    return widget


def test_an_estimate_is_one_line_and_marked_when_something_changes(
    boxed, hands, qtbot, machine, notices
):
    widget, panel, form = boxed, boxed.finetune.estimate, boxed.finetune
    assert not panel.line.isVisible()
    panel = estimated(widget, hands, qtbot, machine, FITS)
    assert panel.line.text() == f"A{TIMES}"
    assert not form.status.isVisible(), "the session is saved"
    assert not form.progress.isVisible()
    assert not panel.use.isVisible()
    assert not panel.used.isVisible()
    assert form.start.isEnabled()
    session = widget.state.session
    assert machine.asked == [
        {
            "folder": session.path,
            "preset": "tiny",
            "steps": 7,
            "device": "auto",
            "order": ("amp", "clip", "frame", "freeze", "cpu"),
            "start": "auto",
            "settings": (),
        }
    ]
    other = f"For other settings: A{TIMES} Press Estimate again."
    form.steps.setValue(8)
    assert panel.line.text() == other
    form.steps.setValue(7)
    assert panel.line.text() == f"A{TIMES}"
    form.device.setCurrentIndex(1)
    assert panel.line.text() == other
    form.device.setCurrentIndex(0)
    form.preset.setCurrentIndex(1)
    assert panel.line.text() == other
    form.preset.setCurrentIndex(0)
    assert panel.line.text() == f"A{TIMES}"
    widget.state.set_box(1, (22, 12, 60, 40), 4)
    assert panel.line.text() == other
    widget.state.undo()
    assert panel.line.text() == f"A{TIMES}"
    widget.state.set_video(None)
    assert not panel.line.isVisible()
    assert widget.state.plan.found is None
    assert not [n for n in notices if n.startswith("error")], notices


def test_what_fits_is_used_by_the_run_and_can_be_taken_back(
    boxed, hands, qtbot, machine, monkeypatch
):
    from napari_maskfree._qt import finetune_panel

    widget, form = boxed, boxed.finetune
    panel = estimated(widget, hands, qtbot, machine, SHORTER)
    too_much = "It does not fit as it is: it ran out of the memory that is free."
    assert panel.line.text() == f"{too_much} Shorter clip: a{TIMES}"
    rows = panel.fallbacks.rows
    assert panel.fallbacks.is_open
    shown = [rows.item(n).text() for n in range(rows.count())]
    assert shown == [
        "Mixed precision · not here",
        "Shorter clip · fits",
        "Smaller frame",
        "Frozen backbone",
        "CPU",
    ]
    assert rows.item(1).toolTip().endswith("Needs 1.9 of 20.3 GB.")
    hands.press(panel.use)
    assert widget.state.plan.settings == CLIP
    assert panel.changed.text() == f"Changed for this run: {', '.join(CLIP)}"
    assert not panel.use.isVisible()
    assert panel.line.text().startswith("It does not fit as it is"), "it still is about this run"

    stages: list[Any] = []
    monkeypatch.setattr(
        finetune_panel, "finetune_stage", lambda *a, **k: stages.append(k) or _nothing()
    )
    monkeypatch.setattr(finetune_panel, "predict_stage", lambda *a, **k: _nothing())
    hands.press(form.start)
    qtbot.waitUntil(lambda: bool(stages) and not widget.busy, timeout=RUN)
    assert stages[0]["extra"] == ("--set", *CLIP)
    hands.press(panel.back)
    assert not panel.used.isVisible()
    assert panel.line.text().startswith("For other settings")
    hands.press(form.start)
    qtbot.waitUntil(lambda: len(stages) == 2 and not widget.busy, timeout=RUN)
    assert stages[1]["extra"] == ()


def _nothing() -> Stage:
    return Stage("finetune", (sys.executable, "-c", ""), lambda: None)


def test_the_cpu_is_chosen_where_only_that_fits_and_a_preset_drops_it_all(
    boxed, hands, qtbot, machine
):
    widget, form = boxed, boxed.finetune
    panel = estimated(widget, hands, qtbot, machine, CPU)
    assert "Shorter clip and CPU: about 2 min 40 s on cpu" in panel.line.text()
    hands.press(panel.use)
    assert form.device.currentData() == "cpu"
    assert widget.state.plan.settings == CLIP
    assert not panel.line.text().startswith("For other")
    assert not panel.use.isVisible()
    form.preset.setCurrentIndex(1)
    assert widget.state.plan.settings == ()
    assert not panel.used.isVisible()


def test_the_order_is_a_persons_own(boxed, hands, qtbot, machine):
    widget = boxed
    panel = widget.finetune.estimate
    rows, plan = panel.fallbacks.rows, widget.state.plan
    assert not rows.isVisible()
    hands.press(panel.fallbacks.fold)
    assert rows.isVisible()
    assert not panel.fallbacks.up.isEnabled()
    assert panel.fallbacks.up.toolTip() == "It is the first already."
    hands.press(panel.fallbacks.down)
    assert plan.order == ("clip", "amp", "frame", "freeze", "cpu")
    assert rows.currentRow() == 1, "it goes along with the selection"
    hands.press(panel.fallbacks.up)
    assert plan.order == ("amp", "clip", "frame", "freeze", "cpu")
    rows.setCurrentRow(4)
    assert panel.fallbacks.down.toolTip() == "It is the last already."
    rows.setFocus()
    qtbot.keyClick(rows, Qt.Key.Key_Space)
    assert plan.order == ("amp", "clip", "frame", "freeze")
    assert rows.item(4).checkState() == Qt.CheckState.Unchecked
    # what a drag of the last row to the top does
    model = rows.model()
    assert model.moveRow(model.index(-1, -1), 4, model.index(-1, -1), 0)
    assert plan.fallbacks[0] == ("cpu", False)
    estimated(widget, hands, qtbot, machine, FITS)
    assert machine.asked[-1]["order"] == ("amp", "clip", "frame", "freeze")
    for row in range(rows.count()):
        rows.item(row).setCheckState(Qt.CheckState.Unchecked)
    assert panel.line.text().startswith("For other settings")
    estimated(widget, hands, qtbot, machine, NOTHING)
    assert machine.asked[-1]["order"] == ()
    assert panel.line.text() == (
        "It does not fit as it is: it ran out of the memory that is free. Nothing that was tried "
        "helps. Tick more below, or take a smaller preset."
    )
    assert not panel.use.isVisible()
    assert widget.finetune.start.isEnabled(), "an estimate stops nobody"


def test_a_measurement_is_shown_stopped_and_gives_way_to_a_run(
    boxed, hands, qtbot, machine, monkeypatch, notices
):
    from napari_maskfree._qt import finetune_panel

    widget, panel, form = boxed, boxed.finetune.estimate, boxed.finetune
    machine.go.unlink()
    hands.press(panel.estimate)
    qtbot.waitUntil(lambda: "shorter clip" in panel.line.text(), timeout=RUN)
    assert panel.line.text() == "Measuring a step: shorter clip…"
    assert not panel.estimate.isVisible()
    hands.press(panel.stop)
    qtbot.waitUntil(lambda: not panel.jobs.active, timeout=RUN)
    assert panel.estimate.isVisible()
    assert not panel.line.isVisible()
    assert widget.state.plan.found is None

    monkeypatch.setattr(finetune_panel, "finetune_stage", lambda *a, **k: _sleeping())
    monkeypatch.setattr(finetune_panel, "predict_stage", lambda *a, **k: _nothing())
    hands.press(panel.estimate)
    qtbot.waitUntil(lambda: panel.jobs.active, timeout=RUN)
    hands.press(form.start)
    qtbot.waitUntil(lambda: not panel.jobs.active and widget.jobs.active, timeout=RUN)
    assert not panel.estimate.isEnabled()
    assert panel.estimate.toolTip() == "A run is at work."
    assert not panel.fallbacks.isEnabled()
    widget.jobs.kill()
    widget.refresh_all()
    assert panel.estimate.isEnabled()

    hands.press(panel.estimate)
    qtbot.waitUntil(lambda: panel.jobs.active, timeout=RUN)
    widget.state.set_video(None)
    qtbot.waitUntil(lambda: not panel.jobs.active, timeout=RUN)
    assert not [n for n in notices if n.startswith("error")], notices


def _sleeping() -> Stage:
    return Stage("finetune", (sys.executable, "-c", "import time; time.sleep(600)"), lambda: None)


def test_what_goes_wrong_is_said_and_an_old_result_is_not_read(
    boxed, hands, qtbot, machine, notices
):
    widget = boxed
    panel = estimated(widget, hands, qtbot, machine, FITS)
    assert panel.line.text() == f"A{TIMES}"
    machine.last_words = "error: Draw a box first."
    estimated(widget, hands, qtbot, machine, None)
    assert any("Draw a box first." in n and n.startswith("error") for n in notices), notices
    assert panel.line.text() == f"A{TIMES}", "what was known before stays"


def test_without_a_video_or_a_box_it_says_why(widget, clip_folder):
    panel = widget.finetune.estimate
    assert not panel.estimate.isEnabled()
    assert panel.estimate.toolTip() == "Choose a video first (section 1)."
    widget.video.open_path(str(clip_folder))
    assert panel.estimate.toolTip() == "Draw a box around each object first (section 2)."


def test_a_window_that_closes_ends_the_measurement(boxed, hands, qtbot, machine):
    widget, panel = boxed, boxed.finetune.estimate
    machine.go.unlink()
    hands.press(panel.estimate)
    qtbot.waitUntil(lambda: bool(panel.jobs.active and panel.jobs.job.pid), timeout=RUN)
    widget.shut_down()
    assert not panel.jobs.active


def test_the_command_is_that_of_the_contract(tmp_path):
    from napari_maskfree.stages import preflight_stage

    log = tmp_path / "preflight.jsonl"
    asked = {"preset": "tiny", "steps": 7, "device": "cpu"}
    made = preflight_stage(tmp_path, log, order=("clip", "cpu"), settings=CLIP, **asked)
    assert made.command[1:] == (
        *("-m", "maskfree", "preflight", str(tmp_path), "--preset", "tiny", "--steps", "7"),
        *("--device", "cpu", "--fallbacks", "clip,cpu", "--log", str(log), "--set", *CLIP),
    )
    assert made.log() == log
    last = preflight_stage(tmp_path, log, order=("clip",), start="last", **asked)
    assert last.command[-2:] == ("--start", "last")
    none = preflight_stage(tmp_path, log, order=(), **asked)
    assert none.command[-4:] == ("--fallbacks", "none", "--log", str(log))
    from maskfree.cli_parser import parse

    args = parse(made.command[3:])
    assert (args.source, args.set, args.fallbacks) == (str(tmp_path), list(CLIP), "clip,cpu")
