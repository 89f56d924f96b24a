"""What a journal's records come to: boxes, corrections, the steps of undo. No Qt here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from maskfree.journal_records import (
    base_record,
    edit_record,
    open_record,
    read_base,
    read_edit,
    read_id,
)
from maskfree.json_checks import as_list, as_whole
from napari_maskfree.content import Content, cost_of
from napari_maskfree.history import History

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from maskfree.corrections import Correction
    from maskfree.types import BoxTracks
    from napari_maskfree.content import Corrections
    from napari_maskfree.correction_book import CorrectionBook

    Frame = Mapping[int, Correction]

__all__ = ["Remembered", "SavedBoxes", "steps"]


@dataclasses.dataclass(frozen=True)
class SavedBoxes:
    """Boxes that a file may hold: its SHA-256 and the boxes, those without a box among them."""

    digest: str
    tracks: BoxTracks


class Remembered:
    """Where the records of a journal lead, one after the other.

    ``tracks``, ``selected``, ``history``: as they were at the end. ``saves``: what the boxes file
    may be that was saved last, the newest last. ``waits``: whether anything was changed since it
    was kept somewhere. ``fault``: why the records after some are not made use of.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]], where: str) -> None:
        self.history: History[Content] = History()
        self.saves: list[SavedBoxes] = []
        self.waits, self.fault = False, ""
        self._where = where
        self._frames: dict[int, Frame] = {}
        self._stories: dict[int, list[Frame]] = {}
        self._open: set[int] = set()
        self._states: dict[int, BoxTracks] = {}
        rest = iter(records)
        self.tracks, self.selected = read_base(next(rest, {"n": 1}), where)
        self._states[1] = self.tracks
        self.saves.append(SavedBoxes("", self.tracks))
        try:
            for record in rest:
                self._take(record)
                self._states[record["n"]] = self.tracks
        except InputError as error:
            self.fault = str(error)

    @property
    def corrections(self) -> Corrections:
        """The corrections of the frames that were changed, by track id, at the end."""
        return dict(self._frames)

    def file_may_be(self, frame: int) -> list[Frame]:
        """Return what a changed frame's file may say that was written here, the newest last."""
        return self._stories[frame]

    def wrote(self, frame: int) -> bool:
        """Whether a changed frame was written as it is."""
        return frame not in self._open

    def _take(self, record: Mapping[str, Any]) -> None:
        kind, here = record.get("kind"), f"{self._where}: record {record['n']}"
        if kind in ("edit", "loaded"):
            self._edit(record, undoable=kind == "edit")
        elif kind == "forget":
            self.history.clear()
        elif kind in ("undo", "redo"):
            self._travel(kind, read_id(record.get("selected"), here), here)
        elif kind in ("saving", "saved"):
            at = as_whole(record.get("at"), here, "at", low=1)
            if at not in self._states:
                raise InputError(f"{here}: it is about a record that is not there.")
            self.saves = self.saves if kind == "saving" else []
            self.saves.append(SavedBoxes(str(record.get("digest")), self._states[at]))
            if kind == "saved":
                self._states = {n: tracks for n, tracks in self._states.items() if n >= at}
        elif kind == "wrote":
            for item in as_list(record.get("frames"), here, "frames"):
                frame = as_whole(item, here, "frame", low=0)
                if frame in self._frames:
                    self._stories[frame] = [self._frames[frame]]
                    self._open.discard(frame)
        elif kind == "kept":
            self.waits = False

    def _edit(self, record: Mapping[str, Any], *, undoable: bool) -> None:
        edit = read_edit(record, self.tracks, self._where)
        before = Content(self.tracks, edit.selected[0], edit.before)
        after = Content(edit.tracks, edit.selected[1], edit.after)
        if undoable:
            self.history.record(edit.name, before, cost=cost_of(before, after))
        else:
            self.history.clear()
        for frame, own in edit.before.items():
            self._stories.setdefault(frame, [own])
        self._bring(after)

    def _travel(self, kind: str, selected: int | None, here: str) -> None:
        there = self.history.before if kind == "undo" else self.history.after
        if there is None:
            raise InputError(f"{here}: there is nothing to {kind}.")
        now = Content(self.tracks, selected, {f: self._frames[f] for f in there.corrections})
        (self.history.undo if kind == "undo" else self.history.redo)(now)
        self._bring(there)

    def _bring(self, there: Content) -> None:
        assert there.tracks is not None
        self.tracks, self.selected, self.waits = there.tracks, there.selected, True
        for frame, own in there.corrections.items():
            self._frames[frame] = own
            self._stories.setdefault(frame, []).append(own)
            self._open.add(frame)


def steps(
    history: History[Content],
    now: Content,
    corrections: CorrectionBook | Corrections,
    video: Mapping[str, Any] | None,
) -> Iterator[dict[str, Any]]:
    """Yield the records of a new journal that lead through all steps of undo and redo to ``now``.

    Parameters
    ----------
    corrections
        What is said of each frame now.
    video
        Whose boxes they are, where no session says so.
    """
    done, undone = history.steps
    ahead = undone[::-1]
    line = [*(there for _, there in done), now, *(there for _, there in ahead)]
    known = {frame: corrections[frame] for there in line for frame in there.corrections}
    after, pairs = dict(known), []
    for _, there in reversed(done):
        pairs.append((there.corrections, {f: known[f] for f in there.corrections}))
        known.update(there.corrections)
    pairs.reverse()
    for _, there in ahead:
        pairs.append(({f: after[f] for f in there.corrections}, there.corrections))
        after.update(there.corrections)
    assert line[0].tracks is not None
    yield base_record(line[0].tracks, line[0].selected, video)
    yield open_record()
    for (name, _), here, there, pair in zip(
        [*done, *ahead], line[:-1], line[1:], pairs, strict=True
    ):
        assert here.tracks is not None and there.tracks is not None
        ends = here.selected, there.selected
        yield edit_record("edit", name, (here.tracks, there.tracks), ends, pair)
    for _ in undone:
        yield {"kind": "undo", "selected": now.selected}
    if known:
        yield {"kind": "wrote", "frames": sorted(known)}
