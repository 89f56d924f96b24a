"""The scores of the session's masks, read in a thread of their own and kept up to date."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from maskfree.score_index import ScoreIndex
from napari_maskfree._qt.background import Background
from napari_maskfree.constants import RESULT_INTERVAL

if TYPE_CHECKING:
    import numpy as np

    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["ScoreWatch"]


class ScoreWatch(QObject):
    """``scores``: float32 (frames,) by track id, NaN where there is no mask."""

    changed = Signal()

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__(main)
        self.main, self.state = main, main.state
        self.scores: dict[int, np.ndarray] = {}
        self._background = Background(self)
        self._index: ScoreIndex | None = None
        self._reading = self._again = self._stopped = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(RESULT_INTERVAL)
        self._timer.timeout.connect(self._read)
        self.state.session_changed.connect(self._moved)
        self.state.video_changed.connect(self._moved)
        main.jobs.updated.connect(self.soon)
        main.jobs.finished.connect(self.soon)

    def soon(self, *_: object) -> None:
        """Look soon whether there are other masks now."""
        if not self._stopped and not self._timer.isActive():
            self._timer.start()

    def stop(self) -> None:
        """Hear nothing more and join the thread."""
        self._stopped = True
        self.state.session_changed.disconnect(self._moved, missing_ok=True)
        self.state.video_changed.disconnect(self._moved, missing_ok=True)
        self._background.close()
        if isalive(self):
            self._timer.stop()

    def _moved(self) -> None:
        """Forget the scores of another session or video at once."""
        if not self._is_current():
            self._index = None
            self._take_over({})
        self.soon()

    def _is_current(self) -> bool:
        session, video, known = self.state.session, self.state.video, self._index
        if session is None or video is None or known is None:
            return False
        same = known.store.path == session.mask_store().path
        return same and known.num_frames == video.num_frames

    def _read(self) -> None:
        session, video = self.state.session, self.state.video
        if self._reading:
            self._again = True
            return
        if session is None or video is None:
            return
        if not self._is_current():
            self._index = ScoreIndex(session.mask_store(), video.num_frames)
        index = self._index
        assert index is not None

        def check() -> None:
            if self._stopped or index is not self._index:
                raise CancelledError

        self._reading = True
        self._background.run(
            lambda: index.refresh(check),
            lambda scores: self._done(index, scores),
            lambda _: self._done(index, None),
        )

    def _done(self, index: ScoreIndex, scores: dict[int, np.ndarray] | None) -> None:
        self._reading = False
        if scores is not None and index is self._index:
            self._take_over(scores)
        if self._again or index is not self._index:
            self._again = False
            self.soon()

    def _take_over(self, scores: dict[int, np.ndarray]) -> None:
        self.scores = scores
        self.changed.emit()
