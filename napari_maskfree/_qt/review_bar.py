"""Through the masks, the least sure first: go there, accept or correct, go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QProgressBar

from napari_maskfree._qt.background import reported
from napari_maskfree._qt.section import Panel, button, explain, heading, hint, row
from napari_maskfree.review import Review

if TYPE_CHECKING:
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.review import Item

__all__ = ["ReviewBar"]

_NONE = "There is no mask left to review."


class ReviewBar(Panel):
    """The next mask that is worth a look, and how far the review is."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state = main, main.state
        self.review = Review()
        self._item: Item | None = None
        self.next = button(
            "Next to review", self._next, "To the least sure mask that nobody looked at"
        )
        self.accept = button(
            "Accept and go on", self._accept, "This frame's masks are right: to the next one"
        )
        self.where = hint()
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.add(heading("Review"), row(self.next, self.accept), self.where, self.bar)
        main.scores.changed.connect(self.refresh)
        self.state.corrections.changed.connect(self.refresh)
        self.state.session_changed.connect(self._restart)
        self.state.frame_changed.connect(self._tell)
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Show how far the review is."""
        done, total = Review.progress(self.main.scores.scores, self.state.corrections)
        self.setVisible(bool(total))
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.bar.setFormat(f"{done} of {total} masks reviewed")
        for made in (self.next, self.accept):
            explain(made, "" if done < total else _NONE)

    def _restart(self) -> None:
        self.review.restart()
        self._item = None
        self._tell()
        self.refresh()

    def _tell(self) -> None:
        """Say what is to be reviewed here, as long as its frame is shown."""
        item = self._item
        self.where.setVisible(item is not None and item.frame == self.state.frame)
        if item is not None:
            track = self.state.track(item.track_id)
            name = f"{item.track_id} {track.label}" if track is not None else str(item.track_id)
            self.where.setText(f"Frame {item.frame}: {name}, score {item.score:.2f}")

    def _next(self) -> None:
        item = self._item = self.review.next(self.main.scores.scores, self.state.corrections)
        if item is None:
            show_info(_NONE)
        else:
            if self.state.track(item.track_id) is not None:
                self.state.select(item.track_id)
            self.main.project.go_to(item.frame)
        self._tell()

    def _accept(self) -> None:
        if reported(self.main.project.accept_frame)[0]:
            self._next()
