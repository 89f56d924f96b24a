"""The corrections of the open session: in memory, and on disk with every change. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from maskfree.errors import InputError
from maskfree.frame_files import stamp_of
from napari_maskfree.elsewhere import put_aside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from maskfree.correction_store import CorrectionStore
    from maskfree.corrections import Correction

    Frame = Mapping[int, Correction]

__all__ = ["CorrectionBook", "hand_frames"]

_OTHERS = (
    "Another window or program corrected this frame meanwhile. What it saved is kept in {}; that "
    "of this window was saved. Work on a session in one window at a time."
)


class CorrectionBook:
    """Corrections by frame and track id. ``changed`` tells the frames, after the change."""

    changed = Signal(tuple)

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}
        self._store: CorrectionStore | None = None
        self._unsaved: set[int] = set()
        self._stamps: dict[int, tuple[int, int]] = {}
        self._folder: tuple[int, int] | None = None
        self._detached = False
        self.broken: list[str] = []

    def open(self, store: CorrectionStore | None) -> bool:
        """Take over what a session has; False where these are the same corrections still.

        Those that were detached come along into a session that has none. A frame whose file is
        broken counts as uncorrected and is named in ``broken``; the file stays as it is until the
        frame is corrected again.
        """
        known = self._store
        if (known and known.path) == (store and store.path) and not self._detached:
            return False
        self._stamps, self._folder = ({}, None) if store is None else _look(store)
        frames = sorted(self._stamps)
        if self._detached and store is not None and not frames:
            self._store, self._detached = store, False
            self.changed.emit(tuple(self._frames))
            return False
        self._store, self._frames, self._unsaved, self._detached = store, {}, set(), False
        self.broken.clear()
        for frame in frames:
            try:
                self._frames[frame] = store.read(frame)  # type: ignore[union-attr]
            except InputError as error:
                self.broken.append(str(error))
        self.changed.emit(tuple(self._frames))
        return True

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
        for frame, corrections in changes.items():
            if corrections:
                self._frames[frame] = dict(corrections)
            else:
                self._frames.pop(frame, None)
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
        for frame in sorted(self._unsaved):
            now = store.stamp(frame)
            if now is not None and now != self._stamps.get(frame) and not self._is_ours(frame):
                aside.append(put_aside(store.path / f"{frame:05d}.json"))
            store.write(frame, self[frame])
            self._unsaved.discard(frame)
            self._see(frame)
        self._folder = stamp_of(store.path)
        return aside

    def try_save(self) -> list[str]:
        """Write what has changed, as :meth:`save`; return what there is to say of it."""
        try:
            return [_OTHERS.format(path) for path in self.save()]
        except InputError as error:
            return [f"The corrections are not saved yet. {error}"]

    def take_over(self) -> list[int]:
        """Read again what somebody else wrote since; return the frames. What is unsaved stays."""
        store = self._store
        if store is None or stamp_of(store.path) == self._folder:
            return []
        stamps, self._folder = _look(store)
        both = {*stamps, *self._stamps} - self._unsaved
        frames = sorted(f for f in both if stamps.get(f) != self._stamps.get(f))
        for frame in frames:
            try:
                found = store.read(frame)
            except InputError as error:
                self.broken.append(str(error))
                continue
            self._frames.pop(frame, None)
            if found:
                self._frames[frame] = found
            self._see(frame)
        if frames:
            self.changed.emit(tuple(frames))
        return frames

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


def _look(
    store: CorrectionStore,
) -> tuple[dict[int, tuple[int, int]], tuple[int, int] | None]:
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
