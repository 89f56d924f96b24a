"""The boxes and corrections of the window: each change is one step, and there is a way back.

Each change is in the journal before it counts. No Qt here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from maskfree import tracks as bt
from maskfree.track_classes import steady_classes
from napari_maskfree.content import Content, cost_of
from napari_maskfree.correction_book import CorrectionBook
from napari_maskfree.edit_journal import EditJournal
from napari_maskfree.history import History
from napari_maskfree.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from maskfree.session import Session
    from maskfree.types import BoxTracks
    from napari_maskfree.content import Corrections
    from napari_maskfree.remembered import Remembered

__all__ = ["Undoable"]


class Undoable(Place):
    """Tracks, the selected one and the corrections. Signals fire after the change.

    ``dirty``: whether the tracks have changed since they were loaded or saved.
    """

    tracks_changed = Signal()
    selection_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.tracks: BoxTracks | None = None
        self.selected: int | None = None
        self.dirty = False
        self.corrections = CorrectionBook()
        self._history: History[Content] = History()
        self.journal = EditJournal(lambda: self._content(()))
        self.corrections.wrote.connect(self.journal.wrote)

    def load_tracks(self, tracks: BoxTracks, *, dirty: bool = False) -> None:
        """Replace all boxes by ``tracks``, which must fit the video.

        Raises
        ------
        InputError
            When there is no video or the boxes are for another one.
        """
        video = self._require_video()
        bt.check_against_video(
            tracks, num_frames=video.num_frames, height=video.height, width=video.width
        )
        first = tracks.tracks[0].id if tracks.tracks else None
        self.journal.loaded(self._content(()), Content(tracks, first, {}), begin=dirty)
        if not dirty:
            self.journal.kept()
        self._replace_tracks(tracks)
        self.dirty = dirty

    def restore(self, there: Content, history: History[Content], *, dirty: bool) -> None:
        """Be as a journal says, the steps of undo included; of boxes and the selected track.

        Raises
        ------
        InputError
            Where the boxes are for another video.
        """
        video = self._require_video()
        assert there.tracks is not None
        bt.check_against_video(
            there.tracks, num_frames=video.num_frames, height=video.height, width=video.width
        )
        known = [track.id for track in there.tracks.tracks]
        first = known[0] if known else None
        self.tracks, self._history, self.dirty = there.tracks, history, dirty
        self.selected = there.selected if there.selected in known else first
        self.tracks_changed.emit()
        self.selection_changed.emit()

    def start_boxes(self) -> None:
        """Begin with no box and one track to draw."""
        video = self._require_video()
        empty = bt.empty_tracks(video.num_frames, video.height, video.width, video.fps)
        tracks, track_id = bt.add_track(empty)
        self.journal.loaded(self._content(()), Content(tracks, track_id, {}), begin=False)
        self._replace_tracks(tracks, selected=track_id)

    def select(self, track_id: int | None) -> None:
        """Choose the track that the next drawn box belongs to."""
        if track_id != self.selected:
            self.selected = track_id
            self.selection_changed.emit()

    # ---- session

    def set_session(self, session: Session | None) -> None:
        """Remember the session folder that runs, masks and corrections go to."""
        self._open_corrections(session)
        self.journal.go_with(session)
        super().set_session(session)

    def set_folder(self, folder: Path) -> None:
        """Choose where the session will be saved; it is made with the first run or save.

        Boxes and corrections go along.
        """
        super().set_folder(folder)
        if self.session is None:
            self.corrections.detach()
            self.journal.leave(self.video)

    # ---- any change, and undo

    def apply(self, name: str, tracks: BoxTracks, corrections: Corrections | None = None) -> None:
        """Change the tracks, and the corrections of some frames, as one step of undo."""
        now = self._require_tracks()
        tracks = steady_classes(now, tracks)
        changes = {f: c for f, c in (corrections or {}).items() if c != self.corrections[f]}
        if tracks == now and not changes:
            return
        self._step(name, Content(now if tracks == now else tracks, self.selected, changes))

    def take_corrections(self) -> list[int]:
        """Take over corrections that were saved elsewhere, as one step of undo; return the frames.

        Warns of a file that is broken.
        """
        news = self.corrections.news()
        if news:
            name = "take over corrections saved elsewhere"
            self._keep(name, Content(self._require_tracks(), self.selected, news))
            self.journal.wrote(news)
            self.corrections.take_over(news)
        return list(news)

    def undo(self) -> None:
        """Take back the last change."""
        self._travel("undo", self._history.before, self._history.undo)

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self._travel("redo", self._history.after, self._history.redo)

    @property
    def undo_name(self) -> str | None:
        """The change that :meth:`undo` would take back; None: there is none."""
        return self._history.undo_name

    @property
    def redo_name(self) -> str | None:
        """The change that :meth:`redo` would make again; None: there is none."""
        return self._history.redo_name

    @property
    def history_steps(self) -> tuple[list[str], list[str]]:
        """The names of the changes that undo takes back, oldest first, and of those to redo."""
        done, undone = self._history.steps
        return [name for name, _ in done], [name for name, _ in undone]

    def compact_journal(self) -> None:
        """Write the journal anew where it is large and all that it says is saved."""
        if not self.dirty and not self.corrections.unsaved:
            self.journal.compact(self._history, self.corrections, self.shared_boxes.digest)

    def took_corrections(self, name: str, before: Corrections, after: Corrections) -> None:
        """Note that corrections saved elsewhere are shown, as a step of undo."""
        own, new = (Content(self.tracks, self.selected, c) for c in (before, after))
        self.journal.edit(name, own, new)
        self.journal.wrote(after)
        self._history.record(name, own, cost=cost_of(own, new))

    def mend_journal(self, found: Remembered) -> str:
        """Write a journal anew that was damaged; return what there is to say, "" for nothing."""
        said = self.journal.mend(found, self._history, self.corrections)
        if said and not self.dirty:
            self.journal.saved(self.shared_boxes.digest)
        return said

    # ---- inside

    def _start_anew(self) -> None:
        self._open_corrections(None)
        self._replace_tracks(None)
        self.journal.close()
        if self.video is not None:
            self.journal.for_video(self.video)

    def _open_corrections(self, session: Session | None) -> None:
        own = self.corrections.frames()
        chosen = session is not None and Path(session.path) == self.folder
        other = self.corrections.open(session.corrections if session else None, along=chosen)
        frames = set(self.corrections) - set(own)
        if self._history.any(
            lambda step: bool(step.corrections) and (other or bool(frames & set(step.corrections)))
        ):
            self._history.clear()  # some of its steps are about the other session
            self.journal.forget()

    def _require_tracks(self) -> BoxTracks:
        if self.tracks is None:
            self.start_boxes()
        assert self.tracks is not None
        return self.tracks

    def _content(self, frames: Iterable[int]) -> Content:
        """Return what undo needs to come back to what is now, in these frames."""
        return Content(self.tracks, self.selected, {f: self.corrections[f] for f in frames})

    def _keep(self, name: str, after: Content) -> None:
        """Keep a change in the journal and as a step of undo, before it is there."""
        before = self._content(after.corrections)
        self.journal.edit(name, before, after)
        self._history.record(name, before, cost=cost_of(before, after))

    def _step(self, name: str, after: Content) -> None:
        self._keep(name, after)
        self._bring(after)

    def _travel(self, kind: str, there: Content | None, step: Callable[[Content], Content]) -> None:
        if there is not None:
            self.journal.travelled(kind, self.selected, there)
            step(self._content(there.corrections))
            self._bring(there)

    def _bring(self, there: Content) -> None:
        if there.tracks is not self.tracks:
            self.tracks, self.dirty = there.tracks, True
            self.select(there.selected)
            self.tracks_changed.emit()
        if there.corrections:
            self.corrections.put(there.corrections)

    def _replace_tracks(self, tracks: BoxTracks | None, selected: int | None = None) -> None:
        self.tracks, self.dirty = tracks, False
        self._history.clear()
        if selected is None and tracks is not None and tracks.tracks:
            selected = tracks.tracks[0].id
        self.selected = selected
        self.tracks_changed.emit()
        self.selection_changed.emit()
