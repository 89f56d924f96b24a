"""The corrections of the open session: in memory, and on disk with every change. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maskfree.correction_store import CorrectionStore
    from maskfree.corrections import Correction

    Frame = Mapping[int, Correction]

__all__ = ["CorrectionBook", "hand_frames"]


class CorrectionBook:
    """Corrections by frame and track id. ``changed`` tells the frames, after the change."""

    changed = Signal(tuple)

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}
        self._store: CorrectionStore | None = None
        self._unsaved: set[int] = set()
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
        frames = store.frames() if store is not None else []
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

    def save(self) -> None:
        """Write what has changed; what cannot be written stays in memory and is tried again.

        Where there is no session yet they wait for it.

        Raises
        ------
        InputError
            Where the disk is full or read-only.
        """
        store = self._store
        for frame in sorted(self._unsaved) if store is not None else ():
            store.write(frame, self[frame])
            self._unsaved.discard(frame)


def hand_frames(book: CorrectionBook) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return each track's corrected frames, int64 (K,), and which were accepted, bool (K,)."""
    found: dict[int, list[tuple[int, bool]]] = {}
    for frame in book:
        for track_id, own in book[frame].items():
            found.setdefault(track_id, []).append((frame, own.accepted))
    return {
        i: (np.array([f for f, _ in own], np.int64), np.array([a for _, a in own], bool))
        for i, own in found.items()
    }
