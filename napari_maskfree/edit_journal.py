"""Keeps each change of the window on the disk before it counts. No Qt here.

In a session's folder where there is one, else in the person's home folder, by the video: nothing
has to be saved for it. What cannot be written waits, and goes first with the next change.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.config import JournalConfig
from maskfree.errors import InputError
from maskfree.journal import Journal, JournalGone, JournalHeld, make_room
from maskfree.journal_records import base_record, edit_record, open_record
from maskfree.storage import atomic_write, make_folder
from napari_maskfree import unsaved
from napari_maskfree.remembered import Remembered, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from maskfree.session import Session
    from napari_maskfree.content import Content, Corrections
    from napari_maskfree.correction_book import CorrectionBook
    from napari_maskfree.history import History
    from napari_maskfree.video_info import VideoInfo

    Record = dict[str, Any]
    Said = CorrectionBook | Corrections

__all__ = ["EditJournal", "Mark"]

Mark = tuple[int, int]
"""A moment: which journal, and the number of its last record."""
_FILE = "journal.jsonl"
_DAMAGED = "damaged"


class EditJournal:
    """The journal of one window. It begins with the first change, whatever was opened before.

    ``behind``: whether changes could not be written yet; ``problem`` says why.

    Parameters
    ----------
    content
        Returns what is there now, of boxes and the selected track.
    """

    def __init__(self, content: Callable[[], Content]) -> None:
        self._content = content
        self._lock = threading.RLock()
        self._journal: Journal | None = None
        self._path: Path | None = None
        self._video: Record | None = None
        self._pending: list[Record] = []
        self._refused: Path | None = None
        self._epoch = 0
        self._opened = False
        self.problem = ""

    @property
    def behind(self) -> bool:
        """Whether changes wait for a disk that takes them."""
        return bool(self._pending)

    @property
    def path(self) -> Path | None:
        """The file, or what it will be; None where nothing is kept."""
        return self._path

    # ---- where

    def close(self) -> None:
        """Keep nothing from now on; what is kept stays."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()
            self._journal, self._path, self._video = None, None, None
            self._pending, self._opened, self.problem = [], False, ""
            self._epoch += 1

    def discard(self) -> None:
        """Throw away what is kept for a video without a session; go on with the next change."""
        with self._lock:
            path, video = self._path, self._video
            if video is None or path is None:
                return
            self.close()
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            self._path, self._video = path, video

    def open(self, session: Session) -> Remembered | None:
        """Keep the changes of a session; return what is kept already, None for nothing.

        Where another window has the session's journal open, nothing is kept here.

        Raises
        ------
        InputError
            Where the journal is of a newer version, or cannot be read: nothing is kept then.
        """
        with self._lock:
            self.close()
            self._refused = Path(session.path) / _FILE
            found = self._open(self._refused, None)
            if self._path is not None:
                self._refused = None
            return found

    def look_on(self, session: Session) -> None:
        """Keep nothing: another program edits this session, and its journal."""
        with self._lock:
            self.close()
            self._refused = Path(session.path) / _FILE

    def for_video(self, video: VideoInfo) -> None:
        """Keep the changes of a video without a session; what waits there stays as it is."""
        with self._lock:
            self.close()
            self._path, self._video = unsaved.free_path(video), unsaved.about(video)

    def waiting(self, video: VideoInfo) -> Remembered | None:
        """Return what waits for a video, and go on with that; None where nothing does.

        Raises
        ------
        InputError
            As :meth:`open`; it stays as it is then.
        """
        if self._journal is not None:
            return None
        here = self._path, self._video
        for path in unsaved.paths_of(video):
            try:
                found = self._open(path, unsaved.about(video))
                if found is not None and found.waits:
                    return found
                if found is not None:  # all of it was saved
                    self.discard()
            finally:
                if self._journal is None:
                    self._path, self._video = here
        return None

    def _open(self, path: Path, video: Record | None) -> Remembered | None:
        try:
            journal = Journal.open(path) if path.is_file() else None
        except JournalHeld:
            return None
        found = None
        if journal is not None:
            try:
                found = Remembered(journal.records(), str(path))
            except InputError:
                journal.close()
                raise
        self._journal, self._path, self._video = journal, path, video
        return found

    def mend(self, found: Remembered, history: History[Content], corrections: Said) -> str:
        """Put a damaged journal aside and write it anew; return what there is to say, "" for none.

        Parameters
        ----------
        found
            What was read of it.
        history, corrections
            The steps of undo and what is said of each frame, as the window has them now.
        """
        journal = self._journal
        if journal is None or not (journal.damage or found.fault):
            return ""
        if journal.damage == "torn" and not found.fault:
            return "The last edit was not finished when the program ended, and is left out."
        why = found.fault or f"{journal.path} is damaged after record {journal.number}."
        try:
            aside = journal.copy_aside(_DAMAGED)
            self._renew(history, corrections)
        except InputError as error:
            return f"{why} What follows was not made use of. {error}"
        return f"{why} What follows was not made use of: all of it is kept in {aside}."

    def go_with(self, session: Session | None) -> None:
        """Keep the changes in a session from now on, those that are kept so far included."""
        path = None if session is None else Path(session.path) / _FILE
        with self._lock:
            if path is None or path in (self._path, self._refused):
                return
            old, home = self._journal, self._video is not None
            pending, source = self._pending, self._path
            if old is None or source is None:
                opened = self._opened
                self.close()
                self._path, self._pending, self._opened = path, pending, opened
                return
            try:
                content = old.content()
                make_room(path)
                atomic_write(path, content)
                journal = Journal.open(path)
            except InputError:  # they stay where they are
                return
            self.close()
            self._journal, self._path, self._pending = journal, path, pending
            self._opened = True
            if home:
                with contextlib.suppress(OSError):
                    source.unlink(missing_ok=True)

    def leave(self, video: VideoInfo | None) -> None:
        """Keep the changes of the video from now on, in no session; what is kept goes along."""
        with self._lock:
            if self._video is not None or self._path is None or video is None:
                return
            old = self._journal.content() if self._journal is not None else None
            pending = self._pending
            self.for_video(video)
            assert self._path is not None
            self._pending, self._opened = pending, bool(pending) or old is not None
            if old is not None:
                with contextlib.suppress(InputError):
                    make_folder(self._path.parent)
                    atomic_write(self._path, old)
                    self._journal = Journal.open(self._path)
            if self._pending:
                self._write([], None, None)

    # ---- what is kept

    def edit(self, name: str, before: Content, after: Content, *, kind: str = "edit") -> None:
        """Keep a change; it is on the disk when this returns, or waits (:attr:`behind`)."""
        if self._path is None or before.tracks is None or after.tracks is None:
            return
        tracks, selected = (before.tracks, after.tracks), (before.selected, after.selected)
        frames = before.corrections, after.corrections
        self._write([edit_record(kind, name, tracks, selected, frames)], before, after)

    def loaded(self, before: Content, after: Content, *, begin: bool) -> None:
        """Keep that other boxes are in place of all, and nothing before can be undone.

        Without ``begin`` nothing is written where there is no journal yet.
        """
        if begin or self._journal is not None or self._pending:
            self.edit("load boxes", before, after, kind="loaded")

    def travelled(self, kind: str, selected: int | None, there: Content) -> None:
        """Keep an "undo" or "redo", with the track that was selected before and what is there."""
        self._write([{"kind": kind, "selected": selected}], None, there)

    def forget(self) -> None:
        """Keep that nothing so far can be undone."""
        self._note({"kind": "forget"})

    def kept(self) -> None:
        """Keep that nothing waits to be saved, in a file of the person's choice."""
        self._note({"kind": "kept"})

    def wrote(self, frames: Iterable[int]) -> None:
        """Keep that the corrections of these frames are in their files."""
        if frames := sorted(frames):
            self._note({"kind": "wrote", "frames": frames}, sync=False)

    def mark(self) -> Mark:
        """Return the moment, for :meth:`announcing` and :meth:`saved` in any thread."""
        with self._lock:
            number = self._journal.number if self._journal is not None else 0
            return self._epoch, max(number + len(self._pending), 1)  # 1: what it begins with

    def announcing(self, mark: Mark) -> Callable[[str], None]:
        """Return a function that is told the digest of the boxes file before it is written.

        The file holds the boxes as they were at ``mark``.
        """

        def announce(digest: str) -> None:
            with self._lock:
                if mark[0] == self._epoch:
                    self._note({"kind": "saving", "digest": digest, "at": mark[1]})

        return announce

    def saved(self, digest: str | None, mark: Mark | None = None) -> None:
        """Keep that the boxes file holds the boxes as they were at ``mark`` (by default: now)."""
        with self._lock:
            epoch, number = mark or self.mark()
            if epoch == self._epoch and digest is not None:
                self._note({"kind": "saved", "digest": digest, "at": number}, sync=False)

    def retry(self) -> None:
        """Write what could not be written so far.

        Raises
        ------
        InputError
            Where it still cannot.
        """
        with self._lock:
            if self._pending:
                self._write([], None, None)
            if self._pending:
                raise InputError(self.problem)

    def compact(self, history: History[Content], corrections: Said, digest: str | None) -> None:
        """Write a large journal anew, with the steps of undo alone.

        Parameters
        ----------
        history
            The steps.
        corrections
            What is said of each frame now; all of it is in its file.
        digest
            Of the boxes file, which holds the boxes as they are now.
        """
        with self._lock:
            journal = self._journal
            if journal is None or self._pending:
                return
            if journal.size - journal.base_size <= JournalConfig().most_bytes:
                return
            with contextlib.suppress(InputError):
                self._renew(history, corrections)
                self.saved(digest)

    # ---- inside

    def _note(self, record: Record, *, sync: bool = True) -> None:
        """Keep a record that says nothing where there is no journal yet."""
        with self._lock:
            if self._journal is not None or self._pending:
                self._write([record], None, None, sync=sync)

    def _write(
        self,
        records: list[Record],
        before: Content | None,
        after: Content | None,
        *,
        sync: bool = True,
    ) -> None:
        """Write what waits and ``records``; a file that is not there begins with ``before``."""
        with self._lock:
            if self._path is None:
                return
            if self._journal is None and not self._pending:
                begun = before or after
                if begun is None or begun.tracks is None:
                    return
                records = [
                    base_record(begun.tracks, begun.selected, self._video),
                    open_record(),
                    *(records if before is not None else []),
                ]
                self._opened = True
            elif not self._opened:
                records, self._opened = [open_record(), *records], True
            self._pending += records
            try:
                if self._journal is None:
                    self._begin(self._pending)
                else:
                    self._journal.append(self._pending, sync=sync)
                self._pending, self.problem = [], ""
            except JournalGone:
                self._start_again(after)
            except InputError as error:
                self.problem = str(error)

    def _begin(self, records: list[Record]) -> None:
        assert self._path is not None
        if self._video is not None:
            make_folder(self._path.parent)
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        else:
            make_room(self._path)
        self._journal = Journal.begin(self._path, records)

    def _start_again(self, content: Content | None) -> None:
        """Begin with what is there now: somebody removed or changed the file."""
        if self._journal is not None:
            self._journal.close()
        self._journal, self._pending = None, []
        self._epoch += 1
        self._write([], None, content or self._content())

    def _renew(self, history: History[Content], corrections: Said) -> None:
        now = self._content()
        if now.tracks is not None:
            self._epoch += 1
            self._begin(list(steps(history, now, corrections, self._video)))
            self._opened = True
