"""Every run's scores on the gold frames, worked out in a thread of their own."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from maskfree.corrections import is_gold
from napari_maskfree._qt.background import Background
from napari_maskfree.constants import RESULT_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.corrections import Correction
    from maskfree.gold_scores import GoldScores
    from maskfree.session import Session
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["GoldWatch"]


class GoldWatch(QObject):
    """``found``: the runs and their scores, oldest first; ``frames``: how many frames are gold."""

    changed = Signal()

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__(main)
        self.main, self.state = main, main.state
        self.found: list[GoldScores] = []
        self.frames = 0
        self._background = Background(self)
        self._session: Session | None = None
        self._scoring = self._again = self._stopped = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(RESULT_INTERVAL)
        self._timer.timeout.connect(self._score)
        self.state.session_changed.connect(self._moved)
        self.state.corrections.changed.connect(self._marked)
        main.jobs.finished.connect(self.soon)

    @property
    def scoring(self) -> bool:
        """Whether the scores that are shown may be out of date."""
        return self._scoring or self._timer.isActive()

    def soon(self, *_: object) -> None:
        """Score soon: there may be other masks, or another truth."""
        if not self._stopped and self.frames and not self._timer.isActive():
            self._timer.start()

    def stop(self) -> None:
        """Hear nothing more and join the thread."""
        self._stopped = True
        self.state.session_changed.disconnect(self._moved, missing_ok=True)
        self.state.corrections.changed.disconnect(self._marked, missing_ok=True)
        self._background.close()
        if isalive(self):
            self._timer.stop()

    def _marked(self, *_: object) -> None:
        """Count the gold frames anew."""
        book = self.state.corrections
        frames = sum(is_gold(book[frame]) for frame in book)
        if frames != self.frames:
            self.frames = frames
            if not frames:
                self.found = []
            self.changed.emit()
        self.soon()

    def _moved(self) -> None:
        """Forget the scores of another session at once."""
        if not _same(self._session, self.state.session):
            self._session = self.state.session
            self.found = []
            self.changed.emit()
        self._marked()

    def _score(self) -> None:
        session = self.state.session
        if self._scoring:
            self._again = True
            return
        if session is None or not self.frames:
            return
        known = self.state.corrections.items()
        self._scoring = True
        self._background.run(
            lambda: self._work(session, known),
            lambda found: self._done(session, found),
            lambda _: self._done(session, None),
        )

    def _work(
        self, session: Session, corrections: Mapping[int, Mapping[int, Correction]]
    ) -> list[GoldScores]:
        from maskfree.gold_scores import gold_scores  # scipy takes a while to import

        def check() -> None:
            if self._stopped or not _same(session, self.state.session):
                raise CancelledError

        return gold_scores(session, corrections, check=check)

    def _done(self, session: Session, found: list[GoldScores] | None) -> None:
        self._scoring = False
        if found is not None and self.frames and _same(session, self.state.session):
            self.found = found
        if self._again or not _same(session, self.state.session):
            self._again = False
            self.soon()
        self.changed.emit()


def _same(one: Session | None, other: Session | None) -> bool:
    return (one and one.path) == (other and other.path)
