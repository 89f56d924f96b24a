"""The corrections of the open session: in memory, and on disk with every change. No Qt here."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from maskfree.errors import InputError, InputWarning
from maskfree.frame_files import stamp_of
from napari_maskfree.elsewhere import put_aside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from maskfree.correction_store import CorrectionStore
    from maskfree.corrections import Correction

    Frame = Mapping[int, Correction]
    Stamps = dict[int, tuple[int, int]]

__all__ = ["CorrectionBook", "hand_frames"]

_OTHERS = (
    "Another window or program corrected this frame, meanwhile or before this window saved here. "
    "What it saved is kept in {}; that of this window was saved. Work on a session in one window "
    "at a time."
)


class CorrectionBook:
    """Corrections by frame and track id. ``changed`` tells the frames, after the change.

    ``wrote`` tells the frames whose files were written.
    """

    changed = Signal(tuple)
    wrote = Signal(tuple)

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}
        self._store: CorrectionStore | None = None
        self._unsaved: set[int] = set()
        self._stamps: Stamps = {}
        self._said: dict[int, tuple[int, int] | None] = {}
        self._folder: tuple[int, int] | None = None
        self._detached = False
        self.broken: list[str] = []
        self.unread: set[int] = set()

    def open(self, store: CorrectionStore | None, *, along: bool = False) -> bool:
        """Take over what a session has; False where these are the same corrections still.

        Those that were detached come along into a session that has none, and ``along`` into any:
        what only the session has is read beside them. A frame whose file is broken counts as
        uncorrected and is named in ``broken``, its number is in ``unread``; the file stays as it is
        until the frame is corrected again, and is then put aside.
        """
        known = self._store
        if (known and known.path) == (store and store.path) and not self._detached:
            return False
        stamps, folder = ({}, None) if store is None else _look(store)
        same = self._detached and store is not None and (along or not stamps)
        if not same:
            self._frames, self._unsaved = {}, set()
        self._store, self._detached, self._folder = store, False, folder
        self._stamps, self._said = {}, {}
        wanted = stamps.keys() - self._frames.keys()
        found, self.broken = self._read(stamps, wanted)
        self.unread = wanted - found.keys()
        self._frames.update(found)
        self._unsaved -= found.keys()
        if same and self.broken:  # nobody opens the session: the next look warns of them
            self._folder, self._said = None, {}
        self.changed.emit(tuple(self._frames))
        return not same

    def detach(self) -> None:
        """Keep them for a session that is yet to be made."""
        if self._store is not None:
            self._store, self._detached = None, True
            self._unsaved |= self._frames.keys()

    def copy(self) -> CorrectionBook:
        """Return what is said now, for a reader in another thread."""
        made = CorrectionBook()
        made._frames = dict(self._frames)
        return made

    def __getitem__(self, frame: int) -> Frame:
        return self._frames.get(frame, {})

    def read(self, frame: int) -> Frame:
        """Return a frame's corrections by track id, as the store on disk does."""
        return self[frame]

    def frames(self) -> list[int]:
        """Return the frames that have some, in order."""
        return list(self)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._frames))

    def __len__(self) -> int:
        return len(self._frames)

    def items(self) -> dict[int, Frame]:
        """Return all corrections by frame."""
        return dict(self._frames)

    def put(self, changes: Mapping[int, Frame]) -> None:
        """Replace the corrections of these frames; save them with :meth:`save`."""
        self._replace(changes)
        self._unsaved |= changes.keys()
        self._detached |= self._store is None
        self.changed.emit(tuple(changes))

    @property
    def unsaved(self) -> bool:
        """Whether some are in memory only."""
        return bool(self._unsaved)

    def doubt(self) -> None:
        """Count all as unsaved: the folder is gone."""
        self._unsaved |= self._frames.keys()

    def save(self) -> list[Path]:
        """Write what has changed; what cannot be written stays in memory and is tried again.

        Where there is no session yet they wait for it. Returns where files are kept that somebody
        else wrote since they were read here, and that would have been overwritten.

        Raises
        ------
        InputError
            Where the disk is full or read-only, or the session's folder is gone.
        """
        store = self._store
        aside: list[Path] = []
        if store is None or not self._unsaved:
            return aside
        if not store.path.parent.is_dir():
            raise InputError(f"The session's folder {store.path.parent} is not there any more.")
        before, waited = stamp_of(store.path), set(self._unsaved)
        try:
            for frame in sorted(waited):
                now = store.stamp(frame)
                if now is not None and now != self._stamps.get(frame) and not self._is_ours(frame):
                    aside.append(put_aside(store.path / f"{frame:05d}.json"))
                store.write(frame, self[frame])
                self._unsaved.discard(frame)
                self._see(frame)
        finally:
            self.wrote.emit(tuple(waited - self._unsaved))
        unseen = before != self._folder  # somebody else wrote as well: look again
        self._folder = None if unseen else stamp_of(store.path)
        return aside

    def try_save(self) -> list[str]:
        """Write what has changed, as :meth:`save`; return what there is to say of it."""
        try:
            return [_OTHERS.format(path) for path in self.save()]
        except InputError as error:
            return [f"The corrections are not saved yet. {error}"]

    def news(self) -> dict[int, Frame]:
        """Return what somebody else wrote since, by frame, for :meth:`take_over`.

        What is unsaved stays. A file that is broken is warned of once: what is said of its frame
        stays as well.
        """
        store = self._store
        if store is None or stamp_of(store.path) == self._folder:
            return {}
        stamps, self._folder = _look(store)
        both = {*stamps, *self._stamps} - self._unsaved
        changed = {f for f in both if stamps.get(f) != self._stamps.get(f)}
        found, broken = self._read(
            stamps, {f for f in changed if f not in stamps or stamps[f] != self._said.get(f)}
        )
        if broken:
            warnings.warn("\n".join(broken), InputWarning, stacklevel=2)
        return {frame: own for frame, own in found.items() if own != self[frame]}

    def take_over(self, news: Mapping[int, Frame]) -> None:
        """Say what somebody else saved, as :meth:`news` returned it."""
        self._replace(news)
        self.changed.emit(tuple(news))

    def _read(self, stamps: Stamps, frames: Iterable[int]) -> tuple[dict[int, Frame], list[str]]:
        """Read these frames' files, and remember what they are like; say which are broken."""
        found: dict[int, Frame] = {}
        broken = []
        for frame in sorted(frames):
            assert self._store is not None
            try:
                found[frame] = self._store.read(frame)
            except InputError as error:
                broken.append(str(error))
                self._said[frame] = stamps.get(frame)
                continue
            self._stamps.pop(frame, None)
            if frame in stamps:
                self._stamps[frame] = stamps[frame]
        return found, broken

    def _replace(self, changes: Mapping[int, Frame]) -> None:
        for frame, corrections in changes.items():
            if corrections:
                self._frames[frame] = dict(corrections)
            else:
                self._frames.pop(frame, None)

    def _see(self, frame: int) -> None:
        """Remember a frame's file as it is now."""
        stamp = self._store.stamp(frame) if self._store is not None else None
        if stamp is None:
            self._stamps.pop(frame, None)
        else:
            self._stamps[frame] = stamp

    def _is_ours(self, frame: int) -> bool:
        """Whether a frame's file says what is said here."""
        try:
            return self._store is not None and self._store.read(frame) == self[frame]
        except InputError:
            return False


def _look(store: CorrectionStore) -> tuple[Stamps, tuple[int, int] | None]:
    """Return the stamps of the files, and that of their folder."""
    folder = stamp_of(store.path)
    return store.stamps(), folder


def hand_frames(book: CorrectionBook) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return each track's corrected frames, int64 (K,), and which were accepted, bool (K,).

    What was carried to a frame is no person's word of it yet.
    """
    found: dict[int, list[tuple[int, bool]]] = {}
    for frame in book:
        for track_id, own in book[frame].items():
            if own.carried is not None:
                continue
            found.setdefault(track_id, []).append((frame, own.accepted))
    return {
        i: (np.array([f for f, _ in own], np.int64), np.array([a for _, a in own], bool))
        for i, own in found.items()
    }
