"""Which other frames a correction changed: in words, and one after the other."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from maskfree.changed_frames import carried_changes, run_changes
from maskfree.evenly import evenly
from maskfree.kept_masks import run_before, run_masks, shown_run
from napari_maskfree._qt.background import Background
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree.constants import CHANGED_LEAST, COMPARED_FRAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.changed_frames import Changes as Found
    from maskfree.session import Session
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["ChangedBar"]

_NONE_AHEAD = "There is no changed frame of this track further on."
_NONE_BEHIND = "There is no changed frame of this track before."


class ChangedBar(Panel):
    """A sentence about the selected track, and buttons to its changed frames."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state, self.changes = main, main.state, main.changes
        self._background = Background(self)
        self._version, self._stopped = 0, False
        self.words = hint()
        self.previous = button(
            "◂ Changed", lambda: self._go(-1), "To the last changed frame before this one"
        )
        self.next = button("Changed ▸", lambda: self._go(1), "To the next changed frame")
        self.add(self.words, row(self.previous, self.next))
        self.changes.changed.connect(self.refresh)
        self.state.selection_changed.connect(self.refresh)
        self.state.frame_changed.connect(self.refresh)
        self.state.session_changed.connect(self._other_session)
        self.state.corrections.changed.connect(self._corrected)
        main.jobs.finished.connect(self.compare)
        self._session = self.state.session
        self.refresh()

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        self.changes.changed.disconnect(self.refresh, missing_ok=True)
        self.state.session_changed.disconnect(self._other_session, missing_ok=True)
        self.state.corrections.changed.disconnect(self._corrected, missing_ok=True)
        self._background.close()

    def refresh(self) -> None:
        """Show what is known of the selected track."""
        track_id, frame = self.state.selected, self.state.frame
        self.setVisible(bool(self.changes.why))
        words = self.changes.said(track_id)
        here = self.changes.at(track_id, frame) if track_id is not None else None
        if here is not None:
            words += f" This frame: {here.pixels} pixels."
        self.words.setText(words)
        ahead, behind = (self.changes.next(track_id, frame, step) for step in (1, -1))
        explain(self.next, _NONE_AHEAD if ahead is None else "")
        explain(self.previous, _NONE_BEHIND if behind is None else "")

    def carried(self, session: Session, frame: int) -> None:
        """Find out what carrying a frame on changed; show it when that is known."""
        store, book = session.mask_store(), self.state.corrections.copy()
        self._find(
            session,
            lambda _: carried_changes(store.read, book.items(), frame),
            f"Carried from frame {frame}",
            source=frame,
        )

    def compare(self, *_: object) -> None:
        """Hold the masks of a run that is done against those of the run before."""
        session, book = self.state.session, self.state.corrections
        if session is None or not len(book) or self.main.jobs.active:
            return
        shown, before = shown_run(session), run_before(session)
        if before is None:
            return
        old, new = run_masks(session, before, shown), session.mask_store()
        every = sorted({*old.frames(), *new.frames()})
        frames = evenly(every, COMPARED_FRAMES)
        part = f" ({len(frames)} of {len(every)} frames)" if len(frames) < len(every) else ""
        self._find(
            session,
            lambda watch: run_changes(old.read, new.read, frames, least=CHANGED_LEAST, watch=watch),
            f"Run {shown} beside run {before.name}{part}",
        )

    def _find(
        self,
        session: Session,
        work: Callable[[Callable[[], None]], Found],
        why: str,
        source: int | None = None,
    ) -> None:
        self._version += 1
        version = self._version

        def watch() -> None:
            if self._stopped or version != self._version:
                raise CancelledError

        def take(found: Found) -> None:
            if version == self._version and self.state.session is session:
                self.changes.show(why, found, source)
                self.changes.follow(self.state.corrections)

        self._background.run(lambda: work(watch), take)

    def _go(self, step: int) -> None:
        frame = self.changes.next(self.state.selected, self.state.frame, step)
        if frame is None:
            show_info(_NONE_AHEAD if step > 0 else _NONE_BEHIND)
        else:
            self.main.project.go_to(frame)

    def _other_session(self) -> None:
        if self.state.session is not self._session:
            self._session = self.state.session
            self._version += 1
            self.changes.clear()

    def _corrected(self, _frames: object = None) -> None:
        self.changes.follow(self.state.corrections)
