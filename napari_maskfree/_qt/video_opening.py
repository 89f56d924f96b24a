"""A video file is read through beside the window: its first frame is there at once.

Which frame is frame n is known only when all packets were read, which takes seconds for a file of
hours. Until then its first frame is shown, and nothing else of it can be worked with.
"""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget
from superqt import QElidingLabel

from maskfree.video_file import first_frame
from napari_maskfree._qt.background import Background
from napari_maskfree._qt.section import button
from napari_maskfree.constants import SPACING
from napari_maskfree.first_look import FirstLook

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.video import Video
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["VideoOpening"]

LOOK_AFTER = 0.15
"""Seconds after which the first frame is shown by itself: most files are open by then."""
_NOT_NOW = "{} was not opened: finish or save what is at work, then open it again."


class _Reading:
    """One video that is being opened; `told` is called in the thread that reads it."""

    def __init__(self, path: Path, look: Callable[[Any, Any], None], part: Any) -> None:
        self.path = path
        self.wanted = True
        self._look, self._part = look, part
        self._began = time.monotonic()
        self._looked, self._percent = False, 0

    def told(self, part: float) -> None:
        """Pass on how far the reading is; end it where it is not wanted any more."""
        if not self.wanted:
            raise CancelledError
        if not self._looked and time.monotonic() - self._began > LOOK_AFTER:
            self._looked = True
            self._look(self, first_frame(self.path))
        if int(100 * part) > self._percent:
            self._percent = int(100 * part)
            self._part(self, self._percent)


class VideoOpening(QWidget):
    """A row of section 1 that is there while a video is read: how far it is, and Cancel."""

    _looked = Signal(object, object)
    _told = Signal(object, int)

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.project = main, main.project
        self._background = Background(self)
        self._reading: _Reading | None = None
        self._work: tuple[Any, ...] = ()
        self._first = FirstLook(main.viewer)
        self.words = QElidingLabel()
        self.cancel = button("Cancel", self.stop, "Do not open this video")
        self.cancel.setMaximumWidth(90)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING)
        layout.addWidget(self.words, 1)
        layout.addWidget(self.cancel)
        self._looked.connect(self._look)
        self._told.connect(self._tell)
        self.setVisible(False)

    @property
    def active(self) -> bool:
        """Whether a video is being read."""
        return self._reading is not None

    def open(
        self, path: str | Path, read: Callable[[Any], Video], done: Callable[[Video], None]
    ) -> None:
        """Call ``read`` in a thread, with what it tells of its progress, then ``done`` here.

        What was being read before is let go.
        """
        self.stop()
        reading = _Reading(Path(path), self._looked.emit, self._told.emit)
        self._reading, self._work = reading, self._at_stake()
        self._tell(reading, 0)
        self.setVisible(True)
        self._background.run(
            lambda: read(reading.told),
            lambda video: self._done(reading, video, done),
            lambda _: self._end(reading),
        )

    def stop(self) -> None:
        """Let go of the video that is being read."""
        if self.active:
            self._let_go()
            self.setVisible(False)

    def close_panel(self) -> None:
        """Let go of it, and wait for the thread; our Qt side may be gone by now."""
        self._let_go()
        self._background.close()

    def _let_go(self) -> None:
        if self._reading is not None:
            self._reading.wanted = False
            self._reading = None
        self._first.drop()

    def _look(self, reading: _Reading, picture: Any) -> None:
        if reading is self._reading:
            self._first.show(picture, reading.path.stem)

    def _tell(self, reading: _Reading, percent: int) -> None:
        if reading is self._reading:
            self.words.setText(f"Reading {reading.path.name}: {percent}%")

    def _done(self, reading: _Reading, video: Video, done: Callable[[Video], None]) -> None:
        if reading is not self._reading:
            video.close()
            return
        worked = self._at_stake() != self._work
        if self.main.busy or (worked and not self.main.may_leave()):
            video.close()
            show_info(_NOT_NOW.format(reading.path.name))
        else:
            done(video)
        self._end(reading)

    def _end(self, reading: _Reading) -> None:
        if reading is self._reading:
            self.stop()

    def _at_stake(self) -> tuple[Any, ...]:
        """Return what a person was asked about before: it may have changed meanwhile."""
        state = self.main.state
        return state.tracks, state.corrections.unsaved
