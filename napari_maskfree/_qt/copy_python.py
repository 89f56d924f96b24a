"""*Copy as Python* in the context menu of every button that has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QMenu

from napari_maskfree.as_python import NAMES, Situation, as_python

if TYPE_CHECKING:
    from qtpy.QtCore import QPoint
    from qtpy.QtWidgets import QAbstractButton

    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["CopyPython"]

_WORDS = "Copy as Python"


class CopyPython:
    """Puts an action's Python on the clipboard, for the video, track and frame as they are."""

    def __init__(self, main: MaskFreeWidget) -> None:
        self.main = main

    def offer(self, name: str, target: QAbstractButton) -> None:
        """Give a button a context menu, where its action has Python."""
        if name in NAMES:
            target.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            target.customContextMenuRequested.connect(lambda at: self._ask(name, target, at))

    def copy(self, name: str) -> None:
        """Put the Python of an action on the clipboard."""
        text, clipboard = as_python(name, self.situation()), QGuiApplication.clipboard()
        if text is not None and clipboard is not None:
            clipboard.setText(text)
            show_info("Copied. It works on the session's folder, as it is saved.")

    def situation(self) -> Situation:
        """Return what the window is about now."""
        main, state = self.main, self.main.state
        track, now = state.track(), None
        before = None
        if track is not None:
            now = state.box_state(track.id)
            before = state.box_state(track.id, state.frame - 1)
        known = Situation()
        video = state.video
        return Situation(
            session=str(main.project.session_folder()) if video is not None else known.session,
            saved=state.session is not None,
            video=video.source if video is not None else None,
            frame=state.frame,
            range=state.range or (state.frame, state.frame),
            track_id=track.id if track is not None else known.track_id,
            label=state.classes.active or known.label,
            settings=state.plan.settings,
            box=now.xyxy if now is not None else None,
            last_box=before.xyxy if before is not None else None,
            occluded=bool(now and now.occluded),
            last_occluded=bool(before and before.occluded),
            preset=main.finetune.preset.currentData(),
            steps=main.finetune.steps.value(),
            device=main.finetune.device.currentData(),
            seed=main.finetune.seed.value(),
            format=main.export.format.currentData(),
            target=main.export.path.text() or known.target,
        )

    def _ask(self, name: str, target: QAbstractButton, at: QPoint) -> None:
        menu = QMenu(target)
        menu.addAction(_WORDS, lambda: self.copy(name))
        menu.exec(target.mapToGlobal(at))
        menu.deleteLater()
