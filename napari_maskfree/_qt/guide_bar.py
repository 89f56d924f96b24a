"""The guide above the sections: what to do now, and where."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QLabel, QProgressBar, QSizePolicy, QVBoxLayout

from napari_maskfree._commands import PLUGIN
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.section import button, restyle, row
from napari_maskfree._qt.wrapped import Wrapped
from napari_maskfree.constants import MARGIN, SPACING
from napari_maskfree.guide import END, INVITATION, STEPS, Facts, Guide, facts_of

if TYPE_CHECKING:
    from qtpy.QtWidgets import QScrollBar, QWidget

    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["GuideBar"]

_TITLE = "A guided first run"
_BY_HAND = ("paint ", "click ")
"""How the names of changes begin that a person makes to a mask's pixels."""
_SETTLE, _LEAD = 100, 3000
"""Milliseconds until what a step changed in the column has found its place, and how long what is
pointed at is held in view while rows above it grow."""


class GuideBar(QFrame):
    """A card with the step to do now; its button in the sections is outlined.

    Before there is a video it invites; it comes back with :attr:`open`.
    """

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfGuide")
        self.main, self.state = main, main.state
        self.guide = Guide()
        self.exported = self._painted = self._declined = False
        self._pointed: QWidget | None = None
        self._leading = QTimer(self)
        self._leading.setSingleShot(True)
        self._leading.setInterval(_LEAD)
        self.open = button("Guide", self.toggle, "Step by step through a first video")
        self.open.setCheckable(True)
        self.title = QLabel()
        self.title.setObjectName("mfTitle")
        self.place = QLabel()
        self.place.setObjectName("mfSummary")
        self.place.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.bar = QProgressBar()
        self.bar.setObjectName("mfThin")
        self.bar.setTextVisible(False)
        self.bar.setRange(0, len(STEPS))
        self.words = Wrapped(muted=True)
        self.sample = button(
            "Sample clip", self._open_sample, "The rabbit of Big Buck Bunny, 60 frames"
        )
        self.start = button("My own video", self._start, "Start the guide with it")
        self.show_me = button("Show me", self._show, "Scroll to what is outlined")
        self.skip = button("Skip", self.guide.skip, "Go on to the next step without doing this")
        self.close_ = button("Close", self._close, "The button Guide below brings it back")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Maximum)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN - 2, MARGIN, MARGIN - 2)
        layout.setSpacing(SPACING)
        layout.addWidget(row(self.title, self.place, grows=self.place))
        for widget in (self.bar, self.words):
            layout.addWidget(widget)
        layout.addWidget(row(self.sample, self.start, self.show_me, self.skip, self.close_))
        self.guide.changed.connect(self._to_step)
        for signal in (
            self.state.video_changed,
            self.state.tracks_changed,
            self.state.session_changed,
        ):
            signal.connect(self.look)
        self.state.corrections.changed.connect(self._corrected)
        main.jobs.updated.connect(self.refresh)
        main.jobs.finished.connect(self.look)
        self.refresh()

    def follow(self, bar: QScrollBar) -> None:
        """Hold what is pointed at in view while the sections grow, unless a person scrolls."""
        bar.rangeChanged.connect(lambda *_: self._hold())
        bar.actionTriggered.connect(lambda *_: self._leading.stop())

    # ---- what is shown

    def look(self, *_: object) -> None:
        """Tick what has been done since; a run at work has done nothing yet."""
        if self.guide.active and not self.main.busy:
            self.guide.look(self._facts())
        self.refresh()

    def _facts(self) -> Facts:
        return facts_of(self.state, exported=self.exported, painted=self._painted)

    def _corrected(self, *_: object) -> None:
        self._painted |= (self.state.undo_name or "").startswith(_BY_HAND)
        self.look()

    def refresh(self) -> None:
        """Show the step, or the invitation, or nothing."""
        guide, step = self.guide, self.guide.step
        inviting = not guide.active and self.state.video is None and not self._declined
        self.setVisible(guide.active or inviting)
        self.open.setChecked(guide.active)
        self.title.setText(_TITLE if inviting or step is None else step.title)
        self.place.setText(f"{guide.number} of {len(STEPS)}" if guide.active and step else "")
        self.bar.setVisible(guide.active)
        self.bar.setValue(guide.number - 1)
        busy = step.busy if step is not None and self.main.busy else ""
        words = INVITATION if inviting else END if step is None else busy or step.words
        if words != self.words.text():
            self.words.setText(words)
        first = inviting or (step is not None and step.key == "video")
        self.sample.setVisible(first)
        self.sample.setProperty("primary", inviting)
        self.start.setVisible(inviting)
        self.show_me.setVisible(guide.active and step is not None and not first)
        self.skip.setVisible(guide.active and step is not None and not first)
        self._point()

    def _point(self) -> None:
        """Outline the widget that the step is about, and no other."""
        step = self.guide.step if self.guide.active else None
        found = operator.attrgetter(step.target)(self.main) if step is not None else None
        if found is self._pointed:
            return
        for widget, on in ((self._pointed, False), (found, True)):
            if widget is not None:
                widget.setProperty("guided", on)
                restyle(widget)
        self._pointed = found

    # ---- what a person does

    def toggle(self) -> None:
        """Open the guide, or close it."""
        self._close() if self.guide.active else self._start()

    def note_export(self) -> None:
        """Remember that this window has written an export."""
        self.exported = True
        self.look()

    def _open_sample(self) -> None:
        if not self.main.may_leave():
            return
        ok, _ = reported(functools.partial(self.main.viewer.open_sample, PLUGIN, "rabbit"))
        if ok and not self.guide.active:
            self._start()

    def _start(self) -> None:
        self.guide.start(self._facts())

    def _close(self) -> None:
        self._declined = True
        self.guide.end()

    def _to_step(self) -> None:
        self.refresh()
        step = self.guide.step
        if self.guide.active and step is not None:
            self.main.sections[step.section].set_open(True)
            self._leading.start()
            QTimer.singleShot(_SETTLE, self._show)

    def _hold(self) -> None:
        if self._leading.isActive():
            QTimer.singleShot(0, self._show)

    def _show(self) -> None:
        """Bring what the step is about into view."""
        step = self.guide.step
        if not isalive(self) or not self.guide.active or step is None:
            return
        self.main.show_section(step.section)
        if self._pointed is not None and self._pointed.isVisible():
            self.main.scroll_area.ensureWidgetVisible(self._pointed)
