"""Section 3: what it offers, and what it shows of a run."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from maskfree.formats import ExportReport
from maskfree.types import InstanceMasks

RUN = 150_000


def test_the_whole_text_of_a_preset_is_shown(widget):
    from maskfree.presets import PRESETS

    panel = widget.finetune
    for name, words in PRESETS.items():
        panel.preset.setCurrentIndex(panel.preset.findData(name))
        assert panel.about.text() == f"{words[0].upper()}{words[1:].rstrip('.')}."


def test_steps_are_the_presets_until_somebody_sets_others(widget):
    from maskfree.presets import preset

    panel = widget.finetune
    tiny, paper = (panel.preset.findData(name) for name in ("tiny", "paper"))
    assert panel.steps.value() == preset("tiny").optimiser.steps
    panel.preset.setCurrentIndex(paper)
    assert panel.steps.value() == preset("paper").optimiser.steps != preset("tiny").optimiser.steps
    panel.preset.setCurrentIndex(tiny)
    assert panel.steps.value() == preset("tiny").optimiser.steps
    panel.steps.setValue(preset("paper").optimiser.steps)
    panel.preset.setCurrentIndex(paper)
    panel.preset.setCurrentIndex(tiny)
    assert panel.steps.value() == preset("paper").optimiser.steps


def test_a_run_begins_with_the_weights_that_a_person_names(widget, tmp_path, monkeypatch):
    panel, plan = widget.finetune, widget.state.plan
    field = panel.weights
    plan.fitting = ("sampling.clip_length=2",)
    field.text.setText("  somebody/mask2former ")
    field.text.editingFinished.emit()
    assert plan.settings == ("sampling.clip_length=2", "model.weights=somebody/mask2former")
    for odd in ("~nobody-at-all/r50.pth", "x" * 5000):  # a home of nobody's, and no name at all
        field.text.setText(odd)
        field.text.editingFinished.emit()
        assert plan.weights == odd
    field.text.setText("somebody/mask2former")
    field.text.editingFinished.emit()
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    chosen = "qtpy.QtWidgets.QFileDialog.getOpenFileName"
    monkeypatch.setattr(chosen, lambda *_: ("", ""))
    field.browse.click()
    assert plan.weights == "somebody/mask2former"  # nothing was chosen
    monkeypatch.setattr(chosen, lambda *_: (str(file), ""))
    field.browse.click()
    assert plan.settings == ("sampling.clip_length=2", f"model.weights={file}")
    assert field.text.text() == str(file)
    assert panel.estimate.changed.text() == "Changed for this run: sampling.clip_length=2"
    panel.estimate.back.click()
    assert plan.settings == (f"model.weights={file}",)
    plan.fitting = ("sampling.clip_length=2",)
    panel.preset.setCurrentIndex(panel.preset.findData("paper"))  # a misfit would be refused
    assert plan.settings == (f"model.weights={file}",)
    plan.fitting = ("sampling.clip_length=2",)
    plan.forget()  # another video
    assert field.text.text() == str(file)
    plan.set_weights("")
    assert (plan.settings, field.text.text()) == ((), "")


def test_warnings_of_a_run_are_shown_and_go_with_the_next(widget, qtbot, tmp_path):
    from napari_maskfree.stages import Stage
    from napari_maskfree.worker import Job

    def job(*warnings: str) -> Job:
        lines = "".join(f"maskfree: warning: {text}\n" for text in warnings)
        code = f"import sys, time; sys.stderr.write({lines!r}); sys.stderr.flush(); time.sleep(600)"
        return Job([Stage("predict", (sys.executable, "-c", code), lambda: None)], tmp_path)

    panel = widget.finetune
    assert not panel.warned.isVisible()
    widget.jobs.start(job("No weights here.", "The video is short."))
    shown = "Warning: No weights here.\nWarning: The video is short."
    qtbot.waitUntil(lambda: panel.warned.text() == shown, timeout=RUN)
    assert panel.warned.isVisible()
    assert panel.status.isVisible()
    widget.jobs.kill()
    widget.jobs.start(job())
    assert not panel.warned.isVisible()
    widget.jobs.kill()


def test_what_a_run_took_over_of_its_weights_is_shown(widget, qtbot, tmp_path):
    from napari_maskfree.stages import Stage
    from napari_maskfree.worker import Job

    log = tmp_path / "metrics.jsonl"
    line = json.dumps({"began": "whole", "begins": "weights of r50; classes: new cell"}) + "\n"
    code = f"import time; open({str(log)!r}, 'w').write({line!r}); time.sleep(600)"
    panel = widget.finetune
    widget.jobs.start(Job([Stage("finetune", (sys.executable, "-c", code), lambda: log)], tmp_path))
    shown = "Began with weights of r50; classes: new cell."
    qtbot.waitUntil(lambda: panel.warned.text() == shown, timeout=RUN)
    assert panel.warned.isVisible()
    widget.jobs.kill()


def test_a_look_at_the_video_shows_how_far_it_is(widget, qtbot, tmp_path):
    from napari_maskfree.stages import Stage
    from napari_maskfree.worker import Job

    log = tmp_path / "metrics.jsonl"
    records = [
        {"status": "running", "device": "cpu"},
        {"preparing": "background seen elsewhere", "done": 30, "total": 40},
    ]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    code = f"import time; open({str(log)!r}, 'w').write({lines!r}); time.sleep(600)"
    panel = widget.finetune
    widget.jobs.start(Job([Stage("finetune", (sys.executable, "-c", code), lambda: log)], tmp_path))
    with pytest.raises(RuntimeError, match="A run is at work"):
        widget.jobs.start(Job([], tmp_path))
    assert not panel.predict.isEnabled()
    words = "Looking at the video on cpu: background seen elsewhere"
    qtbot.waitUntil(lambda: panel.status.text() == words, timeout=RUN)
    assert (panel.progress.value(), panel.progress.maximum()) == (30, 40)
    assert widget.sections["finetune"].summary.text() == "looking at the video"
    widget.jobs.kill()


def test_the_sign_of_the_fold_says_whether_it_is_open(widget, qtbot):
    advanced = widget.finetune.advanced
    assert advanced.text() == "▸ Advanced"
    advanced.expand(animate=False)
    assert advanced.text() == "▾ Advanced"
    advanced.collapse(animate=False)
    assert advanced.text() == "▸ Advanced"


def test_it_is_said_from_which_run_one_goes_on(widget, qtbot, tmp_path):
    from napari_maskfree.stages import Stage
    from napari_maskfree.worker import Job

    log = tmp_path / "metrics.jsonl"
    records = [
        {"status": "running", "device": "cpu", "start": "0001"},
        {"step": 2, "steps": 20, "losses": {"class": 1.0}, "seconds_left": 9.0},
    ]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    code = f"import time; open({str(log)!r}, 'w').write({lines!r}); time.sleep(600)"
    panel = widget.finetune
    widget.jobs.start(Job([Stage("finetune", (sys.executable, "-c", code), lambda: log)], tmp_path))
    words = "Fine-tuning from run 0001 on cpu · 9 s left"
    qtbot.waitUntil(lambda: panel.status.text() == words, timeout=RUN)
    widget.jobs.kill()


def test_what_a_run_begins_with_is_a_choice(widget, qtbot, clip_folder, monkeypatch):
    import napari_maskfree._qt.finetune_panel as module

    asked = []
    monkeypatch.setattr(module, "finetune_stage", lambda *_, **given: asked.append(given["start"]))
    panel = widget.finetune
    monkeypatch.setattr(panel, "_launch", lambda *_: None)
    assert panel.begin.currentText() == "automatic"
    for place, (name, words) in enumerate(module.STARTS.items()):
        panel.begin.setCurrentIndex(place)
        assert panel.begin.currentText() == words
        panel._run(type("Session", (), {"path": clip_folder}))
        assert asked[-1] == name


def test_the_first_masks_are_shown_while_the_network_trains(
    widget, hands, qtbot, clip_folder, clip, notices
):
    widget.video.open_path(str(clip_folder))
    widget.project.load_boxes(clip.boxes(every=2))
    widget.project.go_to(3)
    assert "the first masks are here after some seconds" in widget.masks.empty.text()
    widget.finetune.steps.setValue(5000)
    hands.press(widget.finetune.start)
    qtbot.waitUntil(lambda: bool(widget.jobs.view and widget.jobs.view.first_masks), timeout=RUN)
    qtbot.waitUntil(lambda: any("First masks of 8 frames" in n for n in notices), timeout=RUN)
    assert widget.jobs.view.stage == "finetune"
    assert widget.project.masks is not None
    assert set(np.unique(widget.project.masks.data[3])) == {0, 1, 2}
    assert not widget.masks.empty.isVisible()
    qtbot.waitUntil(lambda: bool(widget.jobs.view.steps_seen), timeout=RUN)
    assert widget.finetune.status.text().endswith("The first masks are shown (section 4).")
    assert sum("First masks" in notice for notice in notices) == 1
    before = widget.project.masks
    hands.press(widget.finetune.cancel)
    qtbot.waitUntil(lambda: not widget.jobs.active, timeout=RUN)
    assert widget.project.masks is before, "what was seen stays"
    widget.export._show_report(ExportReport("davis", clip_folder, 8, 2, ()))
    assert "The masks of 8 frames are first masks" in widget.export.result.text()


def test_how_far_the_look_was_is_not_how_far_the_training_is(widget, qtbot, tmp_path):
    from napari_maskfree.stages import Stage
    from napari_maskfree.worker import Job

    log = tmp_path / "metrics.jsonl"
    records = [{"preparing": "first masks", "done": 8, "total": 8}, {"first_masks": 8}]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    code = f"import time; open({str(log)!r}, 'w').write({lines!r}); time.sleep(600)"
    widget.jobs.start(Job([Stage("finetune", (sys.executable, "-c", code), lambda: log)], tmp_path))
    words = "Fine-tuning: loading… The first masks are shown (section 4)."
    qtbot.waitUntil(lambda: widget.finetune.status.text() == words, timeout=RUN)
    assert widget.finetune.progress.format() == "starting…"
    widget.jobs.kill()


def test_first_masks_that_went_with_their_run_are_shown_no_more(
    boxed, save_masks, left_half, qtbot, tmp_path
):
    from napari_maskfree.stages import Stage
    from napari_maskfree.worker import Job

    save_masks(*[InstanceMasks((1,), left_half[None], (0.5,))] * 8)
    layer = boxed.project.masks
    assert layer.data[3].any()
    masks = str(boxed.state.session.mask_store().path)
    code = f"import shutil, sys; shutil.rmtree({masks!r}); sys.exit(2)"
    boxed.jobs.start(Job([Stage("finetune", (sys.executable, "-c", code), lambda: None)], tmp_path))
    qtbot.waitUntil(lambda: not boxed.jobs.active, timeout=RUN)
    assert not layer.data[3].any()
