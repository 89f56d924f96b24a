"""Section 3: the fine-tuning run, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtWidgets import QComboBox, QFormLayout, QProgressBar, QSpinBox, QWidget

from maskfree.presets import PRESETS, preset
from maskfree.start import asked_settings
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.estimate_panel import EstimatePanel
from napari_maskfree._qt.fold import Fold
from napari_maskfree._qt.loss_curve import LossCurve
from napari_maskfree._qt.loss_legend import LossLegend
from napari_maskfree._qt.preview_strip import PreviewStrip
from napari_maskfree._qt.section import Panel, button, explain, hint, row, set_primary
from napari_maskfree._qt.weights_field import WeightsField
from napari_maskfree.constants import MAX_STEPS, SPACING
from napari_maskfree.durations import duration
from napari_maskfree.masks_layer import warm_up
from napari_maskfree.saving import session_job
from napari_maskfree.stages import finetune_stage, predict_stage
from napari_maskfree.worker import Job

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.session import Session
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.worker import JobView

__all__ = ["FinetunePanel", "duration"]

DEVICES = {
    "auto": "auto (a GPU if any)",
    "cpu": "cpu",
    "cuda": "cuda (NVIDIA)",
    "mps": "mps (Apple)",
}
STARTS = {
    "auto": "automatic",
    "last": "the newest run",
    "fresh": "fresh weights",
}
_STAGES = {"finetune": "Fine-tuning", "predict": "Predicting masks"}
_FIRST = "The first masks are shown (section 4)."
_MAX_SEED = 2**31 - 1
_ELSEWHERE = (
    "The video was closed or changed while its boxes were being saved in {}, so nothing was "
    "started. Choose the video in section 1 and press the button again."
)
_NO_VIDEO = "Done, but the video is not open any more. Open it again to see the masks (section 1)."
_AGAIN = "Press Predict again to see what the last saved weights give."
_BEST_LEFT = "Its best weights were kept: press Use the best."
_NOTHING_LEARNT = "Nothing was learnt yet. Fine-tune first."


class FinetunePanel(Panel):
    """Preset, steps, device; start, progress, cancel."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.project = main, main.state, main.project
        self.preparing = False
        self._scrolled: set[QWidget] = set()
        self._shown: tuple[Path, str] | None = None
        self._build_form()
        self.start = button(
            "Fine-tune",
            self._start,
            "Show first masks, train on this video, then predict every frame anew",
        )
        self.cancel = button("Cancel", self._cancel, "Ask the run to stop after its step")
        self.predict = button(
            "Predict again",
            self.predict_again,
            "Masks of every frame from the newest run's weights",
        )
        self.why = hint()
        self.estimate = EstimatePanel(main, self)
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.status = hint()
        self.warned = hint()
        self.strip = PreviewStrip(main, self)
        self.curve = LossCurve(main.palette_)
        self.legend = LossLegend(self.curve)
        self.add(row(self.start, self.predict, self.cancel), self.why, self.estimate)
        self.add(self.progress, self.status, self.warned, self.strip, self.curve, self.legend)
        main.jobs.updated.connect(self._show_job)
        main.jobs.finished.connect(self._finished)
        self.state.video_changed.connect(self._other_video)
        for signal in (
            self.state.video_changed,
            self.state.tracks_changed,
            self.state.session_changed,
        ):
            signal.connect(self.refresh)
        self._show_job()

    def _build_form(self) -> None:
        self.preset = QComboBox()
        for name, words in PRESETS.items():
            self.preset.addItem(name, name)
            self.preset.setItemData(self.preset.count() - 1, words, 3)  # Qt.ToolTipRole
        self.preset.setToolTip("The starting point: network, losses and their weights")
        self.preset.currentIndexChanged.connect(self._preset_chosen)
        self.about = hint()
        self.steps = QSpinBox()
        self.steps.setRange(1, MAX_STEPS)
        self.steps.setSingleStep(50)
        self.steps.setValue(preset(self.preset.currentData()).optimiser.steps)
        self._own_steps = False
        self.steps.valueChanged.connect(self._steps_chosen)
        self.steps.setToolTip("Optimiser steps: more is slower and usually better")
        self.device = QComboBox()
        for name, words in DEVICES.items():
            self.device.addItem(words, name)
        self.device.setToolTip("What computes: auto takes a GPU where there is one")
        self.begin = QComboBox()
        for name, words in STARTS.items():
            self.begin.addItem(words, name)
        self.begin.setToolTip(
            "Automatic: after corrections a run goes on from the newest one, in "
            f"{preset(self.preset.currentData()).restart.steps} steps; after any other change it "
            "begins with fresh weights"
        )
        self.seed = QSpinBox()
        self.seed.setRange(0, _MAX_SEED)
        self.seed.setToolTip("The same seed gives the same result on the same machine")
        self.advanced = Fold("Advanced")
        inner = QWidget()
        inner.setObjectName("mfBody")
        more = QFormLayout(inner)
        more.setContentsMargins(0, 0, 0, 0)
        more.addRow("Seed", self.seed)
        self.weights = WeightsField(self.state.plan)
        more.addRow("Weights", self.weights)
        self.advanced.addWidget(inner)
        self.form = QWidget()
        self.form.setObjectName("mfBody")
        form = QFormLayout(self.form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(SPACING)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Preset", self.preset)
        form.addRow("Steps", self.steps)
        form.addRow("Begin with", self.begin)
        form.addRow("Device", self.device)
        self.add(self.form, self.about, self.advanced)
        self._preset_chosen()

    # ---- what is shown

    def _preset_chosen(self) -> None:
        """Explain the preset, and take its number of steps where the person set no other."""
        name = self.preset.currentData()
        words = PRESETS[name].rstrip(".")
        self.about.setText(f"{words[0].upper()}{words[1:]}.")
        if not self._own_steps:
            self.steps.setValue(preset(name).optimiser.steps)
            self._own_steps = False

    def _steps_chosen(self) -> None:
        self._own_steps = True

    def refresh(self) -> None:
        """Show what can be done now."""
        busy = self.main.busy
        why = "A run is at work." if busy else self.state.why_no_run()
        explain(self.start, why)
        self.why.setText("" if busy else why)
        self.why.setVisible(bool(why) and not busy)
        set_primary(self.start, not why)
        self.cancel.setVisible(busy)
        view = self.main.jobs.view
        stopping = view is not None and view.state == "stopping"
        explain(self.cancel, "The run is stopping." if stopping else "")
        explain(self.form, "A run is at work." if busy else "")
        self.advanced.setEnabled(not busy)
        learnt = not busy and self._has_weights()
        self.predict.setVisible(learnt)
        explain(self.predict, "A run is at work." if busy else "" if learnt else _NOTHING_LEARNT)
        self.strip.refresh()
        self.estimate.refresh()

    def _has_weights(self) -> bool:
        session = self.state.session
        return session is not None and session.latest_run() is not None

    def _show_job(self) -> None:
        view, job = self.main.jobs.view, self.main.jobs.job
        own = job.run_folder if job is not None else None
        if own is not None:  # the form has what it was started with
            self._shown = (own.parent.parent, own.name)
        seen = view is not None and (view.active or bool(view.steps_seen))
        for widget in (self.curve, self.legend):
            widget.setVisible(seen and bool(view and view.steps_seen))
        self.progress.setVisible(self.preparing or bool(view and view.active))
        self.status.setVisible(self.preparing or view is not None)
        self.status.setText("Saving the session…" if self.preparing else "")
        self.warned.setVisible(bool(view and (view.begins or view.warnings)))
        if view is not None:
            self._show_view(view)
        self.refresh()

    def _show_view(self, view: JobView) -> None:
        self._show_progress(view.done, view.total)
        where = f" from run {view.start}" if view.start else ""
        where += f" on {view.device}" if view.device else ""
        if view.keeping and view.active:
            text = "Stopping after this step; then the best is predicted…"
        elif view.state == "stopping":
            text = "Stopping…" if view.preparing else "Stopping after this step…"
        elif view.active:
            left = "" if view.seconds_left is None else f" · {duration(view.seconds_left)} left"
            text = f"{_STAGES.get(view.stage, view.stage)}{where}{left}"
            first = f" {_FIRST}" if view.stage == "finetune" and view.first_masks else ""
            if view.preparing:
                text = f"Looking at the video{where}: {view.preparing}"
            elif not view.total:
                text = f"{_STAGES.get(view.stage, view.stage)}: loading…{first}"
            elif first:
                text += f".{first}"
        else:
            text = view.message
        self.status.setText(text)
        told = [f"Began with {view.begins}."] if view.begins else []
        self.warned.setText("\n".join([*told, *(f"Warning: {each}" for each in view.warnings)]))
        self.status.setObjectName({"failed": "mfBad", "done": "mfGood"}.get(view.state, "mfHint"))
        self.status.setStyleSheet(self.status.styleSheet())
        if view.steps_seen:
            total = view.total if view.stage == "finetune" else view.steps_seen[-1]
            self.curve.show_values(view.steps_seen, view.totals, view.terms, total)
            self.legend.refresh()
        if view.active:
            self._scroll_to(self.legend if view.steps_seen else self.status)
        self.main.set_summary("finetune", _short(view))

    def _show_progress(self, done: int, total: int) -> None:
        """Say how far it is. Without a total the bar stands still: Qt's moves all the time."""
        bar, wanted = self.progress, (max(total, 1), done, "%v / %m" if total else "starting…")
        if (bar.maximum(), bar.value(), bar.format()) == wanted:
            return
        bar.setUpdatesEnabled(False)  # else Qt paints the window after each of the changes
        bar.setMaximum(wanted[0])
        bar.setValue(done)
        bar.setFormat(wanted[2])
        bar.setUpdatesEnabled(True)

    def _scroll_to(self, widget: QWidget) -> None:
        """Bring a row into view, once a run: after that it stays where the person puts it."""
        if widget.isVisible() and widget not in self._scrolled:
            self._scrolled.add(widget)
            self.main.scroll_area.ensureWidgetVisible(widget)

    # ---- what a person does

    def take_over(self, session: Session) -> None:
        """Show what the newest run of a session was made with, when it is opened.

        What the person has chosen since stays where the session is read again, unless another
        program made a newer run or another video was open meanwhile.
        """
        runs = session.runs()
        newest = (session.path, runs[-1].name if runs else "")
        if self._shown == newest:
            return
        ok, config = reported(asked_settings, session)
        if not ok or config is None or config.preset not in PRESETS:
            return
        self._shown = newest
        usual = preset(config.preset).optimiser.steps
        self.preset.setCurrentIndex(self.preset.findData(config.preset))
        self.steps.setValue(config.optimiser.steps)
        self._own_steps = self.steps.value() != usual
        self.state.plan.take_over(config, self.state.video)
        if self.state.plan.weights:
            self.advanced.expand(animate=False)

    def _other_video(self) -> None:
        self._shown = None

    def _start(self) -> None:
        ok, prepare = reported(self._session_job)
        if ok:
            self.with_session(prepare, self._run)

    def _session_job(self) -> Any:
        self.main.session_watch.look()  # what another window saved counts as well
        return session_job(self.project, alone=True)

    def with_session(self, prepare: Any, then: Any) -> None:
        """Save the session beside the window, then call ``then`` with it.

        Nothing follows where the video was closed or changed meanwhile.
        """
        self.preparing = True
        video, boxes = self.state.video, self.state.boxed()
        self.main.refresh_all()
        self._show_job()

        def ready(session: Session) -> None:
            if self.state.video != video:
                show_warning(_ELSEWHERE.format(session.path))
                self._not_ready("")
                return
            self.preparing = False
            self.state.dirty = self.state.boxed() != boxes
            if self.state.dirty:
                self.main.session_watch.save_soon()
            self.state.set_session(session)
            self._show_job()
            then(session)

        self.main.background.run(prepare, ready, self._not_ready)

    def _not_ready(self, _text: str) -> None:
        self.preparing = False
        self._show_job()
        self.main.refresh_all()

    def _run(self, session: Session) -> None:
        device, changed = self.device.currentData(), self.state.plan.settings
        self._launch(
            session,
            finetune_stage(
                session.path,
                preset=self.preset.currentData(),
                steps=self.steps.value(),
                device=device,
                seed=self.seed.value(),
                start=self.begin.currentData(),
                extra=("--set", *changed) if changed else (),
                previews=self.strip.frames,
            ),
            predict_stage(session.path, device=device),
        )

    def predict_again(self) -> None:
        """Predict the masks of every frame with the newest run."""
        ok, prepare = reported(self._session_job)
        if ok:
            device = self.device.currentData()
            self.with_session(
                prepare, lambda s: self._launch(s, predict_stage(s.path, device=device))
            )

    def _launch(self, session: Session, *stages: Any) -> None:
        self._scrolled.clear()
        self.estimate.give_way()
        reported(self.main.jobs.start, Job(stages, session.path))
        self.main.background.run(warm_up, lambda _: None)
        self.main.refresh_all()

    def _cancel(self) -> None:
        reported(self.main.jobs.stop)

    def _finished(self) -> None:
        view = self.main.jobs.view
        assert view is not None
        if view.state == "failed":
            view.message = " ".join([view.message, *self._what_is_left(view)])
            show_error(view.message)
            reported(self.project.show_masks)  # its first masks may be gone with it
        elif view.state == "done" and self.project.image is None:
            view.message = _NO_VIDEO
            show_warning(view.message)
        elif view.state == "done":
            frames = self.project.show_masks()
            view.message = f"Done: masks of {frames} frames."
            show_info(view.message)
            self.main.show_section("masks")
        elif view.state == "stopped" and view.stage == "finetune" and self._has_weights():
            view.message = f"Stopped. {_AGAIN}"
        self._show_job()
        self.main.refresh_all()

    def _what_is_left(self, view: JobView) -> list[str]:
        """Say what a run that failed after some steps has left to go on with."""
        runs = self.state.session.runs() if self.state.session is not None else []
        if view.stage != "finetune" or not view.steps_seen or not runs:
            return []
        if runs[-1].has_checkpoint:
            return [_AGAIN]
        return [_BEST_LEFT] if runs[-1].best_path.is_file() else []


def _short(view: JobView) -> str:
    if view.active and view.preparing:
        return "looking at the video"
    if view.active and view.total:
        return f"{view.stage} {view.done}/{view.total}"
    return {"failed": "failed", "stopped": "stopped", "done": "done"}.get(view.state, "starting…")
