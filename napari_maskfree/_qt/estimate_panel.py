"""Before a run: how long it takes, how much memory it needs, and what to change if it is too much.

A step is measured in a process of its own, so the window stays alive and nothing is left of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_error

from maskfree.errors import InputError
from maskfree.fallbacks import FALLBACKS
from maskfree.json_log import JsonLog
from maskfree.preflight import NOT_HERE, Preflight
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.fallback_list import FallbackList
from napari_maskfree._qt.job_follower import JobFollower
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree.durations import duration
from napari_maskfree.goes_on import GoesOn
from napari_maskfree.run_plan import MadeFor
from napari_maskfree.saving import session_job
from napari_maskfree.stages import preflight_stage
from napari_maskfree.worker import Job

if TYPE_CHECKING:
    from maskfree.session import Session
    from napari_maskfree._qt.finetune_panel import FinetunePanel
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["EstimatePanel"]

_LOG = "preflight.jsonl"
_GIGA = 1e9


class EstimatePanel(Panel):
    """Estimate, its result in one line, the fallbacks, and the settings that fit."""

    def __init__(self, main: MaskFreeWidget, form: FinetunePanel) -> None:
        super().__init__()
        self.main, self.state, self.form = main, main.state, form
        self.plan = main.state.plan
        self.jobs = JobFollower(self)
        self.goes_on = GoesOn(main.state.corrections)
        self._asked: MadeFor | None = None
        self.estimate = button(
            "Estimate",
            self._estimate,
            "Measure one step on a few frames: how long will it take, does it fit into the memory?",
        )
        self.stop = button("Stop", self._stop, "Stop the measurement; nothing of it is kept")
        self.line = hint()
        self.fallbacks = FallbackList(self.plan)
        self.use = button("Use these settings", self._use, "Fine-tune with the settings that fit")
        self.changed = hint()
        self.back = button("Undo", self._undo, "Fine-tune with the preset's own settings again")
        self.used = row(self.changed, self.back, grows=self.changed)
        self.add(row(self.estimate, self.stop), self.line, self.use, self.used, self.fallbacks)
        self.jobs.updated.connect(self.refresh)
        self.jobs.finished.connect(self._finished)
        form.preset.currentIndexChanged.connect(self.plan.drop_settings)
        for changed in (
            form.preset.currentIndexChanged,
            form.steps.valueChanged,
            form.device.currentIndexChanged,
            form.begin.currentIndexChanged,
        ):
            changed.connect(self.refresh)
        self.plan.changed.connect(self.refresh)
        self.state.corrections.changed.connect(self.refresh)  # with all else the form refreshes it

    def close_panel(self) -> None:
        """End the measurement and hear nothing more."""
        self.plan.changed.disconnect(self.refresh, missing_ok=True)
        self.state.corrections.changed.disconnect(self.refresh, missing_ok=True)
        self.goes_on.close()
        self.jobs.kill()

    def give_way(self) -> None:
        """Stop measuring, because a run begins."""
        if self.jobs.active:
            self.jobs.stop()

    # ---- what is shown

    def refresh(self, *_: object) -> None:
        """Show what can be done now and what is known."""
        about = self.plan.about or (self._asked.video if self._asked is not None else None)
        if about is not None and about != self.state.video:
            self._asked = None
            self.plan.forget()  # first: what follows asks for a refresh as well
            self.give_way()
        busy = self.main.busy
        why = "A run is at work." if busy else self.state.why_no_run()
        explain(self.estimate, why)
        self.estimate.setVisible(not self.jobs.active)
        self.stop.setVisible(self.jobs.active)
        stopping = self.jobs.view is not None and self.jobs.view.state == "stopping"
        explain(self.stop, "It is stopping." if stopping else "")
        found = self.plan.found
        current = found is not None and self.plan.is_for(self._now())
        text = ""
        if self.jobs.active:
            text = self._progress()
        elif found is not None and self.plan.made_for is not None:
            text = _result(found, self.plan.made_for.steps)
            if not current:
                text = f"For other settings: {text} Press Estimate again."
        self.line.setText(text)
        self.line.setVisible(bool(text))
        view = self.jobs.view
        self.line.setToolTip("\n".join(view.warnings) if view is not None else "")
        fits = current and found is not None and found.fits
        to_use = fits and found is not None and not found.as_given and not self._in_use()
        self.use.setVisible(to_use and not self.jobs.active)
        explain(self.use, "A run is at work." if busy else "")
        self.changed.setText(f"Changed for this run: {', '.join(self.plan.fitting)}")
        self.used.setVisible(bool(self.plan.fitting))
        explain(self.back, "A run is at work." if busy else "")
        explain(self.fallbacks, "A run is at work." if busy else "")
        self.fallbacks.tell(found if current else None)

    def _in_use(self) -> bool:
        taken = self.plan.found.taken if self.plan.found is not None else None
        device = self._device_of(self.plan.found)
        same = device is None or device == self.form.device.currentData()
        return taken is not None and set(taken.settings) <= set(self.plan.settings) and same

    def _progress(self) -> str:
        view = self.jobs.view
        if view is None or not view.preparing:
            return "Getting ready to measure a step…"
        return f"Measuring a step: {view.preparing}…"

    def _now(self) -> MadeFor:
        start = str(self.form.begin.currentData())
        return MadeFor(
            video=self.state.video,
            boxes=self.state.boxed(),
            preset=str(self.form.preset.currentData()),
            steps=self.form.steps.value(),
            device=str(self.form.device.currentData()),
            settings=self.plan.settings,
            order=self.plan.order,
            start=start,
            goes_on=self.goes_on(self.state.session, start),
        )

    # ---- what a person does

    def _estimate(self) -> None:
        ok, prepare = reported(session_job, self.main.project)
        if ok:
            self.form.with_session(prepare, self._launch)

    def _launch(self, session: Session) -> None:
        now, log = self._now(), session.path / _LOG
        ok, _ = reported(lambda: log.unlink(missing_ok=True))  # or an old result would be read
        if not ok:
            return
        self._asked = now
        stage = preflight_stage(
            session.path,
            log,
            preset=now.preset,
            steps=now.steps,
            device=now.device,
            order=now.order,
            start=now.start,
            settings=now.settings,
        )
        reported(self.jobs.start, Job([stage], session.path))
        self.main.refresh_all()

    def _stop(self) -> None:
        reported(self.jobs.stop)

    def _finished(self) -> None:
        job, asked = self.jobs.job, self._asked
        assert job is not None
        self._asked = None
        found = _read(job)
        if job.view.state == "stopped" or asked is None:
            pass
        elif found is None:
            show_error(job.view.message)
        else:
            self.plan.put(found, asked)
            if not found.as_given:
                self.fallbacks.set_open(True)
        self.refresh()

    def _use(self) -> None:
        device = self._device_of(self.plan.found)
        if device is not None:
            self.form.device.setCurrentIndex(self.form.device.findData(device))
        self.plan.use(self._now())

    def _device_of(self, found: Preflight | None) -> str | None:
        """Return the device that the settings that fit need chosen, None where any will do."""
        taken = found.taken if found is not None else None
        if found is None or taken is None or taken.device == found.attempts[0].device:
            return None
        return taken.device

    def _undo(self) -> None:
        self.plan.drop_settings()


def _read(job: Job) -> Preflight | None:
    """Return what the process wrote at its end, None where it did not get that far."""
    path = job.stages[0].log()
    try:
        records = JsonLog(path).records() if path is not None else []
        return Preflight.from_json(records[-1]["preflight"])
    except (InputError, OSError, LookupError):
        return None


def _result(found: Preflight, steps: int) -> str:
    """Return an estimate in a sentence or two."""
    first, taken = found.attempts[0], found.taken
    too_much = f"It does not fit as it is: it {first.why}."
    if taken is None or taken.measured is None:
        helps = "Nothing that was tried helps. Tick more below" if len(found.attempts) > 1 else ""
        return f"{too_much} {helps or 'Tick something below'}, or take a smaller preset."
    time, memory = taken.measured.seconds, taken.measured
    where = f" from run {memory.start}" if memory.start else ""
    text = (
        f"bout {duration(time.total)} on {taken.device}: {duration(time.prepare)} to look at the "
        f"video, {duration(time.train)} for {memory.steps or steps} steps{where}, "
        f"{duration(time.predict)} for masks. Memory {memory.needed / _GIGA:.1f} of "
        f"{memory.there / _GIGA:.1f} GB."
    )
    if found.as_given:
        return f"A{text}"
    tried = [FALLBACKS[a.fallback].title for a in found.attempts[1:] if a.verdict != NOT_HERE]
    words = [tried[0], *(t if t.isupper() else t.lower() for t in tried[1:])]
    return f"{too_much} {' and '.join(words)}: a{text}"
