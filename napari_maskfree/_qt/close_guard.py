"""What happens when the window, or our dock, is closed while there is work in progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CloseGuard", "ask_frames", "ask_lose", "ask_run", "ask_save"]


def _ask(parent: QWidget, title: str, text: str, names: tuple[str, str]) -> str:
    box = QMessageBox(parent)
    box.setObjectName("mfQuestion")
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("MaskFree")
    box.setText(title)
    box.setInformativeText(text)
    first = box.addButton(names[0], QMessageBox.ButtonRole.AcceptRole)
    second = box.addButton(names[1], QMessageBox.ButtonRole.DestructiveRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(QMessageBox.StandardButton.Cancel)
    box.exec()
    answer = box.clickedButton()
    result = "first" if answer is first else "second" if answer is second else "cancel"
    box.deleteLater()
    return result


def ask_run(parent: QWidget) -> str:
    """Ask what becomes of the run: "stop", "keep" or "cancel"."""
    answer = _ask(
        parent,
        "A run is still at work.",
        "Keep it running: it goes on without napari and predicts the masks at its end; open the "
        "session again to see them. Stop it: what it has learned since its last checkpoint is "
        "lost. Your boxes are saved either way.",
        ("Stop the run", "Keep it running"),
    )
    return {"first": "stop", "second": "keep"}.get(answer, "cancel")


def ask_save(parent: QWidget) -> str:
    """Ask what becomes of work that is saved nowhere: "save", "discard" or "cancel"."""
    answer = _ask(
        parent,
        "Boxes, or masks made by hand, are not saved.",
        "They would be lost. Save them in a session folder, which you can open again?",
        ("Save", "Discard"),
    )
    return {"first": "save", "second": "discard"}.get(answer, "cancel")


def ask_lose(parent: QWidget) -> str:
    """Ask about corrections that cannot be written: "discard" or "cancel"."""
    answer = _ask(
        parent,
        "Corrections of the masks cannot be saved.",
        "The session's folder cannot be written now: see the notification. Stay, make room or give "
        "it the right to be written, or choose another folder with Save in… (section 1), and close "
        "again?",
        ("Stay", "Discard them"),
    )
    return "discard" if answer == "second" else "cancel"


def ask_frames(parent: QWidget, words: str, offset: int) -> str:
    """Ask about a video whose frames have other numbers now: "shift", "keep" or "cancel"."""
    answer = _ask(
        parent,
        "These are not the frames that the boxes were drawn on.",
        f"{words} Move boxes, corrections and masks along, by {offset} frames? Keep the numbers "
        "where they are right for this video all the same. What is there now is kept either way.",
        (f"Move by {offset}", "Keep the numbers"),
    )
    return {"first": "shift", "second": "keep"}.get(answer, "cancel")


class CloseGuard(QObject):
    """Watches the main window; a close goes through only when ``may_close`` says so."""

    def __init__(self, may_close: Callable[[], bool], parent: QObject) -> None:
        super().__init__(parent)
        self._may_close = may_close
        self._window: QWidget | None = None

    def watch(self, window: QWidget | None) -> None:
        """Watch a window instead of the one before."""
        if window is self._window:
            return
        self.release()
        self._window = window
        if window is not None:
            window.installEventFilter(self)

    def release(self) -> None:
        """Watch nothing."""
        if self._window is not None:
            self._window.removeEventFilter(self)
        self._window = None

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Hold a close back when the person cancels it."""
        closing = event is not None and event.type() == QEvent.Type.Close
        if closing and watched is self._window and not self._may_close():
            event.ignore()  # type: ignore[union-attr]
            return True
        return False
