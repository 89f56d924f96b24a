"""Which frames a run was told about by a person: there its masks are no test of it.

A run learns from corrections, and its predictions keep to them. Against the truth of the same frame
it would be marked on what it was told. So a run notes, in ``told.json``, the frames whose
corrections it learnt from (``trained``) and those whose masks are not its own alone (``masks``: a
person's pixels are in them, or another run made them), and those whose masks are of before any
training (``first``, see :mod:`maskfree.first_masks`). Beside that it keeps the boxes that its masks
were predicted from (``masks.boxes.json``) and a digest of the corrections that it learnt from
(``taught.sha256``): with it one can tell whether there are others now.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from maskfree.boxes_file import read_boxes, write_boxes
from maskfree.errors import InputError
from maskfree.json_checks import as_list, as_object, as_whole
from maskfree.kept_masks import shown_run
from maskfree.storage import atomic_write, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from maskfree.corrections import Correction
    from maskfree.run import Run
    from maskfree.session import Session
    from maskfree.types import BoxTracks

__all__ = [
    "MasksNote",
    "boxes_of_masks",
    "note_training",
    "taught_digest",
    "told_digest",
    "told_frames",
    "trained_frames",
    "untrained_frames",
    "untrained_masks",
    "untrained_words",
]

_KEYS = ("trained", "masks")
_FIRST = "first"


def told_frames(run: Run) -> frozenset[int] | None:
    """Return the frames that a run was told about.

    None where that is not known: an earlier version made it, or its file is damaged.
    """
    known = _read(run)
    if not known.keys() >= set(_KEYS):
        return None
    return frozenset().union(*(known[key] for key in _KEYS))


def trained_frames(run: Run) -> frozenset[int]:
    """Return the frames whose corrections a run learns from, or learnt from, as far as it noted."""
    return frozenset(_read(run).get(_KEYS[0], ()))


def untrained_frames(run: Run) -> frozenset[int]:
    """Return the frames whose masks are of before any training, as far as it is noted."""
    return frozenset(_read(run).get(_FIRST, ()))


def untrained_masks(session: Session) -> frozenset[int]:
    """Return the frames of which a session shows masks of before any training."""
    name, frames = shown_run(session), frozenset(session.mask_store().frames())
    first = (untrained_frames(run) for run in session.runs() if run.name == name)
    return frames & next(first, frozenset())


def untrained_words(session: Session) -> str:
    """Say of how many frames a session's masks are of before any training; nothing: of none."""
    count = len(untrained_masks(session))
    if not count:
        return ""
    return (
        f"The masks of {count} frame{'s' * (count > 1)} are first masks, made before a network was "
        "trained. Let a run end and predict for better ones."
    )


def boxes_of_masks(run: Run) -> BoxTracks | None:
    """Return the boxes that a run's masks were predicted from; None where that is not known."""
    try:
        return read_boxes(_boxes_path(run), allow_empty=True)
    except InputError:
        return None


def note_training(
    run: Run,
    corrections: Mapping[int, Mapping[int, Correction]],
    *,
    resumed: bool,
    before: Run | None = None,
) -> None:
    """Note what a run learns from; a resumed one has learnt from what was noted before as well.

    ``before``: the run that it goes on from, whose weights know what that one was told.

    Raises
    ------
    InputError
        Where the disk is full or the folder may not be written.
    """
    if not resumed:
        atomic_write(_digest_path(run), taught_digest(corrections) + "\n")
    known = _read(run)
    if not resumed or "trained" in known:
        inherited = frozenset() if before is None else trained_frames(before)
        trained = known.get("trained", set()) | inherited | _taught(corrections)
        _write(run, {**known, "trained": trained})


def taught_digest(corrections: Mapping[int, Mapping[int, Correction]]) -> str:
    """Return a digest of the corrections that a run learns from."""
    taught = [
        [frame, i, *c.size, c.object_counts, c.other_counts]
        for frame, own in sorted(corrections.items())
        for i, c in sorted(own.items())
        if not c.gold
    ]
    return hashlib.sha256(json.dumps(taught).encode()).hexdigest()


def told_digest(run: Run) -> str | None:
    """Return the digest of what a run learnt from; None: an earlier version made it."""
    try:
        return _digest_path(run).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        return None


class MasksNote:
    """Notes whose masks a session has while a run predicts them.

    It is made before the first frame is written; what is noted then holds if the process is killed.

    Parameters
    ----------
    session, run
        Who predicts, and where.
    boxes, corrections
        What the prediction works with.
    first
        Frames whose masks are written before any training.

    Raises
    ------
    InputError
        Where the disk is full or the folder may not be written.
    """

    def __init__(
        self,
        session: Session,
        run: Run,
        boxes: BoxTracks,
        corrections: Mapping[int, Mapping[int, Correction]],
        *,
        first: Iterable[int] = (),
    ) -> None:
        self._run, self._taught, self._first = run, _taught(corrections), frozenset(first)
        self._written: set[int] = set()
        known, shown = _read(run).get("masks"), shown_run(session)
        own = known is not None and shown == run.name and boxes_of_masks(run) == boxes
        self._foreign = known if own and known is not None else set(session.mask_store().frames())
        self._left = frozenset().union(
            *(untrained_frames(each) for each in session.runs() if each.name == shown)
        )
        self._save(self._foreign | self._taught, self._left | self._first)
        write_boxes(_boxes_path(run), boxes)

    def add(self, frame: int) -> None:
        """Note that the run has written a frame's masks."""
        self._written.add(frame)

    def close(self) -> None:
        """Save it."""
        frames = (self._foreign - self._written) | (self._taught & self._written)
        self._save(frames, (self._left - self._written) | (self._first & self._written))

    def _save(self, frames: set[int], first: frozenset[int]) -> None:
        known = {key: own for key, own in _read(self._run).items() if key != _FIRST}
        _write(self._run, {**known, "masks": frames, **({_FIRST: first} if first else {})})


def _taught(corrections: Mapping[int, Mapping[int, Correction]]) -> set[int]:
    """Return the frames with a correction that is learnt from: one that is not gold.

    What was carried to a frame came from another one, which is learnt from too.
    """
    taught = {f for f, own in corrections.items() if any(not c.gold for c in own.values())}
    carried = {c.carried for own in corrections.values() for c in own.values()}
    return taught | {f for f in carried if f is not None}


def _path(run: Run) -> Path:
    return run.path / "told.json"


def _digest_path(run: Run) -> Path:
    return run.path / "taught.sha256"


def _boxes_path(run: Run) -> Path:
    return run.path / "masks.boxes.json"


def _read(run: Run) -> dict[str, set[int]]:
    where = str(_path(run))
    if not _path(run).is_file():
        return {}
    try:
        fields: dict[str, Any] = as_object(read_json(where, "note"), where, "a note", "trained")
        return {
            key: {as_whole(frame, where, key, low=0) for frame in as_list(fields[key], where, key)}
            for key in (*_KEYS, _FIRST)
            if key in fields
        }
    except InputError:
        return {}


def _write(run: Run, known: Mapping[str, Iterable[int]]) -> None:
    content = {key: sorted(frames) for key, frames in known.items()}
    atomic_write(_path(run), json.dumps(content) + "\n")
