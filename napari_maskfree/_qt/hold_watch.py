"""Another program has the session: the panel says who, and takes over once it is free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info, show_warning
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer

from napari_maskfree._qt.session_opening import reopen_session
from napari_maskfree.constants import WATCH_INTERVAL

if TYPE_CHECKING:
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["HoldWatch"]

_FREE = "The session was closed in the other program: it can be edited here now."
_LOOKS_ON = (
    "What is saved there is shown here. It can be edited here as soon as it is closed there."
)


class HoldWatch(QObject):
    """A timer, and the words of a refusal."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__(main)
        self.main, self.state = main, main.state
        self._said = ""
        self._timer = QTimer(self)
        self._timer.setInterval(WATCH_INTERVAL)
        self._timer.timeout.connect(self.look)
        self._timer.start()
        self.state.refused.connect(self._say)
        self.state.holder_changed.connect(self._show)

    def stop(self) -> None:
        """Look no more."""
        self.state.refused.disconnect(self._say, missing_ok=True)
        self.state.holder_changed.disconnect(self._show, missing_ok=True)
        if isalive(self):
            self._timer.stop()

    def look(self) -> None:
        """Look once whether the session is free; then it is opened anew, to be edited."""
        if not self.main.busy and self.state.try_to_hold() and self.state.session is not None:
            reopen_session(self.main)
            if not self.state.read_only:
                show_info(_FREE)

    def _say(self, words: str) -> None:
        show_warning(words)

    def _show(self) -> None:
        """Say once who has it; what cannot be done any more, or can again, everywhere."""
        why = self.state.why_read_only
        if why and why != self._said:
            show_warning(f"{why} {_LOOKS_ON}")
        self._said = why
        self.main.project.show_hold()
        self.main.refresh_all()
