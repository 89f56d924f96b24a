"""Where the timeline is: docked under the canvas, shown with the first video."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer

from napari_maskfree._qt.timeline_dock import TimelineDock

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["TimelinePlace"]

_NAME = "MaskFree timeline"


class TimelinePlace(QObject):
    """Makes the dock, shows it and takes it away again."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__(main)
        self.main = main
        self.content: TimelineDock | None = None
        self._dock: QWidget | None = None
        self._offered = False
        main.state.video_changed.connect(self._offer)

    @property
    def is_shown(self) -> bool:
        """Whether it is in the window now."""
        return self._is_there() and not self._dock.isHidden()  # type: ignore[union-attr]

    def toggle(self) -> None:
        """Show it, or hide it."""
        self._offered = True
        if self.is_shown:
            self._dock.hide()  # type: ignore[union-attr]
        else:
            self.show()

    def show(self) -> None:
        """Show it under the canvas."""
        if not self._is_there():
            self._let_go()
            self.content = TimelineDock(self.main)
            self.main.viewer.window.add_dock_widget(
                self.content, name=_NAME, area="bottom", add_vertical_stretch=False
            )
            self._dock = self.content.parentWidget()  # the window gives a proxy only
            assert self._dock is not None
            self._dock.destroyed.connect(self._gone)
        if self._dock is not None:
            self._dock.show()
            self._dock.raise_()

    def zoom_by(self, factor: float) -> None:
        """Zoom around the shown frame, where it is shown."""
        if self.is_shown and self.content is not None:
            self.content.line.zoom_by(factor)

    def restyle(self) -> None:
        """Take the theme's colours."""
        if self._is_there() and self.content is not None:
            self.content.restyle()

    def close(self) -> None:
        """Take it out of the window."""
        self.main.state.video_changed.disconnect(self._offer, missing_ok=True)
        content = self.content if self._is_there() else None
        if content is not None:
            with contextlib.suppress(AttributeError, LookupError):  # the window is gone as well
                self.main.viewer.window.remove_dock_widget(content)
        self._let_go()

    def _is_there(self) -> bool:
        """Whether there is one: napari deletes a dock that is closed by its cross."""
        return self._dock is not None and isalive(self._dock) and self.content is not None

    def _gone(self) -> None:
        if isalive(self) and not self._is_there():
            self._let_go()

    def _let_go(self) -> None:
        if self.content is not None:
            self.content.stop()
            if isalive(self.content):
                self.content.deleteLater()
        self.content = self._dock = None

    def _offer(self) -> None:
        """Show it once, with the first video that has several frames: before anybody draws."""
        video = self.main.state.video
        if not self._offered and video and video.num_frames > 1 and self.main.is_docked:
            self._offered = True
            self.show()
            QTimer.singleShot(0, lambda: isalive(self) and self.main.viewer.reset_view())
