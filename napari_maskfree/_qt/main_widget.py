"""The dock widget: six numbered sections, top to bottom the way the work goes."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import QAbstractButton, QApplication, QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_maskfree._qt.background import Background, reported
from napari_maskfree._qt.boxes_panel import BoxesPanel
from napari_maskfree._qt.canvas_context import CanvasContext
from napari_maskfree._qt.cheat_sheet import CheatSheet
from napari_maskfree._qt.close_guard import CloseGuard, ask_frames, ask_lose, ask_run, ask_save
from napari_maskfree._qt.copy_python import NEW_NAME, CopyPython
from napari_maskfree._qt.correspondence_panel import CorrespondencePanel
from napari_maskfree._qt.export_panel import ExportPanel
from napari_maskfree._qt.finetune_panel import FinetunePanel
from napari_maskfree._qt.frame_watch import FrameWatch
from napari_maskfree._qt.gold_watch import GoldWatch
from napari_maskfree._qt.guide_bar import GuideBar
from napari_maskfree._qt.hold_watch import HoldWatch
from napari_maskfree._qt.job_follower import JobFollower
from napari_maskfree._qt.key_targets import key_targets, other_targets
from napari_maskfree._qt.masks_panel import MasksPanel
from napari_maskfree._qt.score_watch import ScoreWatch
from napari_maskfree._qt.section import Section, button, row
from napari_maskfree._qt.session_opening import open_session
from napari_maskfree._qt.session_watch import SessionWatch
from napari_maskfree._qt.shortcuts import Shortcuts
from napari_maskfree._qt.steady_meshes import SteadyMeshes
from napari_maskfree._qt.style import palette_of, style_sheet
from napari_maskfree._qt.timeline_place import TimelinePlace
from napari_maskfree._qt.video_panel import VideoPanel
from napari_maskfree.changes import Changes
from napari_maskfree.constants import MIN_WIDTH, SPACING
from napari_maskfree.project import Project
from napari_maskfree.saving import (
    end,
    masks_wait,
    rescue_boxes,
    save_session_boxes,
    session_job,
    unsaved_boxes,
    worth_saving,
)
from napari_maskfree.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from napari.viewer import Viewer

    from maskfree.video import Video

__all__ = ["MaskFreeWidget"]

_KEYS_WIDTH = 60


class MaskFreeWidget(QWidget):
    """From boxes to masks: the whole loop in one dock widget."""

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("MaskFree")
        self.viewer = napari_viewer
        self.state, self.changes = State(), Changes()
        self.palette_ = palette_of(napari_viewer.theme)
        self.background = Background(self)
        self.context, self.meshes = CanvasContext(napari_viewer), SteadyMeshes(napari_viewer)
        self.jobs = JobFollower(self)
        self.ask_run, self.ask_save, self.ask_lose = ask_run, ask_save, ask_lose
        self.ask_frames = ask_frames
        self.project = Project(
            napari_viewer,
            self.state,
            defer=lambda call: QTimer.singleShot(0, call),
            notify=show_info,
        )
        self._summaries: dict[str, str] = {}
        self.sections: dict[str, Section] = {}
        self._closed = self._docked = self.unsaved = False
        self._home: weakref.ref[QWidget] = weakref.ref(self)
        self.scores = ScoreWatch(self)
        self.gold = GoldWatch(self)
        self.timeline = TimelinePlace(self)
        self.python = CopyPython(self)
        self._build()
        self.shortcuts = Shortcuts(self)
        for name, target in key_targets(self).items():
            self.shortcuts.add(name, target)
            if isinstance(target, QAbstractButton):
                self.python.offer(name, target)
        self._offer_python()
        self._guard = CloseGuard(self.may_close, self)
        self.session_watch = SessionWatch(self)
        self.hold, self.frames = HoldWatch(self), FrameWatch(self)
        self.state.tracks_changed.connect(self._mark)
        self.state.video_changed.connect(self._mark)
        self.state.session_changed.connect(self._mark)
        self.jobs.finished.connect(self._mark)
        napari_viewer.events.theme.connect(self._restyle)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut_down)
        self._restyle()
        self._mark()

    def _build(self) -> None:
        self.video = VideoPanel(self)
        self.boxes = BoxesPanel(self)
        self.finetune = FinetunePanel(self)
        self.masks = MasksPanel(self)
        self.correspondence = CorrespondencePanel(self)
        self.export = ExportPanel(self)
        column = QWidget()
        column.setObjectName("mfColumn")
        layout = QVBoxLayout(column)
        layout.setContentsMargins(SPACING - 2, SPACING, SPACING - 2, SPACING)
        layout.setSpacing(SPACING)
        for number, (key, title, panel) in enumerate(
            (
                ("video", "Video", self.video),
                ("boxes", "Boxes", self.boxes),
                ("finetune", "Fine-tune", self.finetune),
                ("masks", "Masks", self.masks),
                ("correspondence", "Correspondences", self.correspondence),
                ("export", "Export", self.export),
            ),
            start=1,
        ):
            section = Section(number, title, panel)
            section.set_summary(self._summaries.get(key, ""))
            self.sections[key] = section
            layout.addWidget(section)
        self.keys = button("Keys", self.show_keys, "All keys on one page")
        self.keys.setMinimumWidth(_KEYS_WIDTH)
        self.guide = GuideBar(self)
        layout.addWidget(row(1, self.boxes.timeline, self.guide.open, self.keys, grows=column))
        layout.addStretch(1)
        for key in ("correspondence", "export"):
            self.sections[key].set_open(False)
        self.scroll_area = QScrollArea()
        self.scroll_area.setWidgetResizable(True)
        self.scroll_area.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll_area.setWidget(column)
        bar = self.scroll_area.verticalScrollBar()
        assert bar is not None
        self.guide.follow(bar)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.guide)
        outer.addWidget(self.scroll_area)
        self._column = column
        column.installEventFilter(self)
        self._fit_width()

    def _offer_python(self) -> None:
        """Give what has no key its Python, and the rows of the lists."""
        for name, target in other_targets(self):
            self.python.offer(name, target, {"name": NEW_NAME})
        self.python.offer_rows(self.boxes.tracks, "rename_track", "track_id")
        self.python.offer_rows(self.boxes.classes.rows, "rename_class", "old_name")
        self.python.offer_rows(self.masks.runs.rows, "show_run", "run")

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Grow with the rows: they are never cut at the right."""
        if watched is self._column and event and event.type() == QEvent.Type.LayoutRequest:
            self._fit_width()
        return super().eventFilter(watched, event)

    def sizeHint(self) -> QSize:
        """Leave the canvas as much room as the rows allow."""
        return QSize(self.minimumWidth(), super().sizeHint().height())

    def _fit_width(self) -> None:
        bar = self.scroll_area.verticalScrollBar()
        room = bar.sizeHint().width() if bar is not None else 0
        room += 2 * self.scroll_area.frameWidth()
        needed = self._column.minimumSizeHint().width() + room
        if self.minimumWidth() != max(MIN_WIDTH, needed):
            self.setMinimumWidth(max(MIN_WIDTH, needed))

    def show_keys(self) -> None:
        """Open the page of keys."""
        page = self.findChild(CheatSheet) or CheatSheet(self.shortcuts, self.python, self)
        page.show()
        page.raise_()

    # ---- what the panels ask for

    @property
    def busy(self) -> bool:
        """Whether a run is being prepared or at work."""
        finetune = getattr(self, "finetune", None)
        return self.jobs.active or bool(finetune is not None and finetune.preparing)

    @property
    def is_docked(self) -> bool:
        """Whether it is part of napari's window."""
        return self._docked and not self._closed

    def set_summary(self, section: str, text: str) -> None:
        """Say in a section's header where it stands."""
        self._summaries[section] = text
        if section in self.sections:
            self.sections[section].set_summary(text)

    def show_section(self, key: str) -> None:
        """Unfold a section and scroll to it."""
        self.sections[key].set_open(True)
        self.scroll_area.ensureWidgetVisible(self.sections[key])

    def refresh_all(self) -> None:
        """Show what can be done now, everywhere."""
        for panel in (self.video, self.boxes, self.finetune, self.masks, self.export):
            panel.refresh()
        self._mark()

    def open_session(self, folder: str | Path, video: Video | None = None) -> None:
        """Open a saved session; what is wrong with it becomes a notification.

        ``video``: the session's own, where that is open already.
        """
        open_session(self, folder, video)

    def may_leave(self) -> bool:
        """Ask about corrections and boxes that are saved nowhere; False to stay with them."""
        corrections = self.state.corrections
        if corrections.unsaved:
            reported(corrections.save)
        answer = self._leave_boxes()
        if answer == "discard" and self.state.session is None:
            self.state.journal.discard()
            return True
        if answer == "cancel":
            return False
        return not corrections.unsaved or self.ask_lose(self) == "discard"

    def _leave_boxes(self) -> str:
        """Save the boxes where the person wants it: "save", "discard" or "cancel"."""
        state = self.state
        if not masks_wait(state) and not unsaved_boxes(state):
            return "save"
        in_session = state.boxed() is not None and state.video is not None
        if state.session is not None:
            if reported(save_session_boxes, state)[0]:
                return "save"
            in_session = False
        answer = self.ask_save(self)
        if answer != "save":
            return answer
        return "save" if (self._save_new() if in_session else self._rescue_boxes()) else "cancel"

    def _save_new(self) -> bool:
        """Make the session and go on with it."""
        ok, prepare = reported(session_job, self.project)
        saved, session = reported(prepare) if ok else (False, None)
        if saved:
            self.state.dirty = False
            self.state.set_session(session)
            show_info(f"Saved in {session.path}")
        return saved

    # ---- life and end

    def may_close(self) -> bool:
        """Ask about a run at work and unsaved boxes; False keeps the window open."""
        if self._closed:
            return True
        if self.jobs.active:
            answer = self.ask_run(self)
            if answer == "cancel":
                return False
            if self.state.session is not None:
                reported(save_session_boxes, self.state)
            if answer == "keep":
                reported(self.jobs.detach)
            else:
                self.jobs.kill()
        if not self.may_leave():
            return False
        QTimer.singleShot(0, lambda: self._after_close())
        return True

    def _after_close(self) -> None:
        """End with the window; it stays where napari's own question was answered with no."""
        if not isalive(self) or not self.isVisible():
            self.shut_down()

    def _rescue(self) -> None:
        """Save what would be lost with our dock, which napari removes without asking."""
        reported(self.state.corrections.save)
        if unsaved_boxes(self.state) or (masks_wait(self.state) and worth_saving(self.state)):
            self._rescue_boxes()

    def _rescue_boxes(self) -> bool:
        ok, path = reported(rescue_boxes, self.project)
        if ok:
            self.state.dirty = False
            show_info(f"The boxes were saved in {path}")
        return ok

    def shut_down(self) -> None:
        """Stop timers, thread and process, and let go of the viewer.

        The window may be gone by now, and our Qt side with it.
        """
        if self._closed:
            return
        self._closed = True
        if isalive(self):
            self._guard.release()
        self.session_watch.stop()
        self.frames.stop()
        self.boxes.audit.stop()
        self.boxes.proposal.stop()
        self.timeline.close()
        self.scores.stop()
        self.gold.stop()
        self.masks.runs.stop()
        self.masks.clicks.stop()
        self.masks.changed.stop()
        self.masks.confidence.stop()
        self.shortcuts.close()
        self.jobs.kill()
        self.finetune.estimate.close_panel()
        self.finetune.weights.release()
        self.finetune.strip.stop()
        self.correspondence.close_panel()
        self.background.close()
        self.video.close_panel()
        self.project.close()
        self.hold.stop()
        end(self.state)
        window = self._home()
        if window is not None and isalive(window) and window.isVisible():
            self.project.matches.close()
        self.context.close()
        self.meshes.close()
        self.viewer.events.theme.disconnect(self._restyle)

    def event(self, event: QEvent | None) -> bool:
        """Follow the window that we are docked in; end when our dock is removed."""
        kind = event.type() if event is not None else None
        if kind in (QEvent.Type.ParentChange, QEvent.Type.Show) and not self._closed:
            if self.parent() is not None and self.window() is not self:
                self._docked, window = True, _main_window(self)
                self._home = weakref.ref(window)
                self._guard.watch(window)
                self.shortcuts.move_to(window)
            elif self._docked:
                self._rescue()
                self.shut_down()
        return super().event(event)

    # ---- looks

    def _restyle(self, _event: Any = None) -> None:
        self.palette_ = palette_of(self.viewer.theme)
        self.finetune.curve.colours = self.palette_
        self.finetune.curve.update()
        self.masks.gold.restyle()
        self.finetune.legend.restyle()
        self.finetune.strip.restyle()
        self.masks.runs.restyle()
        self.timeline.restyle()
        self.setStyleSheet(style_sheet(self.palette_))

    def _mark(self) -> None:
        """Tick the sections that are done and colour the next one."""
        state = self.state
        session = state.session
        predicted = session.mask_store().frames() if session is not None else []
        done = {
            "video": state.video is not None,
            "boxes": state.boxed() is not None,
            "finetune": bool(predicted),
            "masks": bool(predicted),
        }
        current = next((key for key, is_done in done.items() if not is_done), "export")
        for key, section in self.sections.items():
            section.set_mark(done=done.get(key, False), current=key == current)


def _main_window(widget: QWidget) -> QWidget:
    """Return the window whose close ends napari, also while our dock floats."""
    window = widget.window()
    parent = window.parentWidget() if window is not None else None
    return (parent.window() if parent is not None else window) or widget
