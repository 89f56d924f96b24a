"""Everything of a session that is about frames moves along with the frames of its video.

Boxes, ignore regions, corrections and masks, those of its runs too, get the frames' new numbers.
What cannot move is put aside: what a run learnt of the video frame by frame, so that its masks are
a little coarser until the next run; and the journal of edits, which is about the old numbers. What
was there stays in ``shifted/0001`` of the session, and :func:`unshift_session` brings it back.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from maskfree.errors import InputError
from maskfree.frame_files import FrameFiles
from maskfree.frame_prints import PRINTS_FILE, make_prints, write_prints
from maskfree.json_checks import as_list, as_object, as_whole
from maskfree.masks_lock import masks_lock
from maskfree.session_hold import holding
from maskfree.shifted_boxes import shifted_boxes, shifted_frames
from maskfree.storage import atomic_write, make_folder, read_json, writing
from maskfree.swap import swap, swap_waits
from maskfree.tracks import read_boxes, write_boxes
from maskfree.video_link import VideoLink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maskfree.session import Session
    from maskfree.types import BoxTracks
    from maskfree.video import Video

    Counts = tuple[int, int, int]

__all__ = ["Shifted", "shift_session", "unshift_session"]

_KEPT, _STAGED, _NOTE = "shifted", ".shifting", "shift.json"
_VERSION = 1
_SHIFT, _UNDO, _REDO = "shift", "undo", "redo"
"""What put a folder of ``shifted`` there."""
_BOXES, _LINK = "boxes.json", "session.json"
_ASIDE = ("journal.jsonl",)
"""Of the session: is about the old numbers, and nobody needs it to go on."""
_RUN_ASIDE = (
    "state.pt",
    "boxes.npz",
    "best.boxes.npz",
    "consensus.npz",
    "best.consensus.npz",
    "gold.json",
    "previews",
)
"""Of a run: what it knows of its video frame by frame."""
_TOLD = "told.json"


@dataclasses.dataclass(frozen=True)
class Shifted:
    """What a shift did.

    ``offset``: added to every frame's number; ``num_frames``: of the video now; ``keyframes``,
    ``corrections``, ``masks``: how many are left, and ``lost_…`` how many lay beyond the video.
    ``kept``: where what was there is.
    """

    offset: int
    num_frames: int
    keyframes: int
    corrections: int
    masks: int
    lost_keyframes: int
    lost_corrections: int
    lost_masks: int
    kept: Path


def shift_session(
    session: Session, video: Video, offset: int, *, program: str = "maskfree shift"
) -> Shifted:
    """Move a session's boxes, corrections and masks to the frames ``offset`` further on.

    The session knows the frames of ``video`` from then on, and is linked to it.

    Parameters
    ----------
    video
        The session's video as it is now, or another that takes its place; from a file or folder.
    program
        Who holds the session meanwhile.

    Raises
    ------
    InputError
        Where the video is of another size, no box would be left, the session is open elsewhere or a
        process trains or predicts in it, or the disk is full; all is as it was then.
    """
    with holding(session.path, program), masks_lock(session):
        _check_idle(session)
        boxes = session.boxes
        length, height, width, _ = video.shape
        if (height, width) != (boxes.height, boxes.width):
            raise InputError(
                f"The boxes are for frames of {boxes.width} x {boxes.height} pixels (width x "
                f"height), this video has {width} x {height}. Convert it to that size first."
            )
        staged, kept = session.path / _STAGED, _next(session.path / _KEPT)
        moved = shifted_boxes(boxes, offset, length, video.fps)
        if _drawn(boxes) and not _drawn(moved):
            raise InputError(
                f"No box would be left: by {offset} frames all of them move out of the video, "
                f"which has the frames 0 to {length - 1}. Check the number."
            )
        try:
            _clear(staged)
            make_folder(staged)
            write_boxes(staged / _BOXES, moved)
            write_prints(staged, make_prints(video))
            _stage_link(session, video, staged)
            names = [_BOXES, PRINTS_FILE, _LINK, *_ASIDE]
            names += _stage_frames(session, staged, offset, length)
            _write_note(kept, offset, names)
            counted = _count(session, boxes, moved, staged)
            swap(session.path, staged, kept, names)
        except BaseException:
            if not swap_waits(session.path):
                _clear(staged)
                _clear(kept)
            raise
    left, lost = counted
    return Shifted(offset, length, *left, *lost, kept)


def _drawn(boxes: BoxTracks) -> bool:
    return any(key.xyxy is not None for track in boxes.tracks for key in track.keyframes)


def unshift_session(
    session: Session, *, redo: bool = False, program: str = "maskfree shift"
) -> Path:
    """Bring back what the newest shift put aside; what is there now is put aside itself.

    Returns where that is. A second call brings back what was there before the shift before that.
    ``redo``: shift again what was undone last instead; nothing may have been shifted since.

    Raises
    ------
    InputError
        Where nothing is left to be undone, or redone, and as `shift_session`.
    """
    with holding(session.path, program), masks_lock(session):
        _check_idle(session)
        folders = _numbered(session.path / _KEPT)
        notes = {folder: _read_note(folder) for folder in folders}
        if redo:  # what was undone since the last shift of a person
            since = max((n for n, f in enumerate(folders) if notes[f].by == _SHIFT), default=-1)
            found = [folder for folder in folders[since + 1 :] if notes[folder].by == _UNDO]
        else:
            found = [folder for folder in folders if notes[folder].by != _UNDO]
        if not found:
            done, wanted = ("undone", "redone") if redo else ("shifted", "undone")
            raise InputError(f"Nothing was {done} in {session.path} that is left to be {wanted}.")
        last, note = found[-1], notes[found[-1]]
        names, kept = note.names, _next(session.path / _KEPT)
        _write_note(kept, -note.offset, names, by=_REDO if redo else _UNDO)
        swap(session.path, last, kept, names)
        with writing(last):
            (last / _NOTE).unlink(missing_ok=True)
            _clear(last)
    return kept


def _stage_frames(session: Session, staged: Path, offset: int, length: int) -> list[str]:
    """Stage what is kept frame by frame; return its names in the session."""
    names = []
    folders = ["masks", *(p.name for p in session.path.glob("masks.before*") if p.is_dir())]
    for run in session.runs():
        own = f"runs/{run.name}"
        folders.append(f"{own}/masks")
        names += [f"{own}/{name}" for name in _RUN_ASIDE]
        names += [f"{own}/{_TOLD}", f"{own}/masks.boxes.json"]
        make_folder(staged / own)
        _stage_told(run.path / _TOLD, staged / own / _TOLD, offset, length)
        boxes = run.path / "masks.boxes.json"
        if boxes.is_file():
            known = read_boxes(boxes, allow_empty=True)
            write_boxes(staged / own / boxes.name, shifted_boxes(known, offset, length))
    for folder in (*folders, "corrections"):
        for source, target in _moved(session.path / folder, staged / folder, offset, length):
            if folder == "corrections":
                _stage_correction(source, target, offset, length)
            else:
                _link(source, target)
    return [*names, *folders, "corrections"]


def _moved(source: Path, target: Path, offset: int, length: int) -> Iterator[tuple[Path, Path]]:
    """Yield each file of a folder of frames with its new path; other files keep their names."""
    if not source.is_dir():
        return
    make_folder(target)
    frames = {f"{frame:05d}.json": frame for frame in FrameFiles(source).frames()}
    for path in sorted(source.iterdir()):
        frame = frames.get(path.name)
        if frame is None:
            if path.is_file():
                yield path, target / path.name
        elif 0 <= frame + offset < length:
            yield path, target / f"{frame + offset:05d}.json"


def _stage_correction(source: Path, target: Path, offset: int, length: int) -> None:
    """Stage a frame's corrections; where pixels were carried from has another number as well.

    Where that frame is gone it is the nearest that is left: nobody has looked at them still.
    """
    try:
        data = read_json(source, "corrections file")
    except InputError:  # broken: it is nobody's to mend here
        data = None
    tracks = data.get("tracks") if isinstance(data, dict) else None
    carried = [t for t in tracks or () if isinstance(t, dict) and isinstance(t.get("carried"), int)]
    if not carried:
        _link(source, target)
        return
    for track in carried:
        track["carried"] = min(max(track["carried"] + offset, 0), length - 1)
    atomic_write(target, json.dumps(data) + "\n")


def _stage_told(source: Path, target: Path, offset: int, length: int) -> None:
    if not source.is_file():
        return
    fields = as_object(read_json(source, "note"), str(source), "a note", "trained")
    moved: dict[str, Any] = {
        key: shifted_frames(own, offset, length) if _is_frames(own) else own
        for key, own in fields.items()
    }
    atomic_write(target, json.dumps(moved) + "\n")


def _is_frames(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, int) for each in value)


def _stage_link(session: Session, video: Video, staged: Path) -> None:
    """Stage the session's own file, linked to the video, which may be another one now."""
    path = session.path / _LINK
    fields = as_object(read_json(path, "session file"), str(path), "a session", "version")
    if video.source is not None:
        link = VideoLink.from_json(fields.get("video"), str(path))
        fields["video"] = link.to(session.path, video.source).to_json()
    atomic_write(staged / _LINK, json.dumps(fields, indent=1) + "\n")


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; a copy where the disk has no links."""
    with writing(target):
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)


def _count(
    session: Session, before: BoxTracks, after: BoxTracks, staged: Path
) -> tuple[Counts, Counts]:
    """Return how many keyframes, corrections and masks are left, and how many are not."""
    was, now = (
        (
            sum(len(track.keyframes) for track in boxes.tracks),
            len(FrameFiles(folder / "corrections").frames()),
            len(FrameFiles(folder / "masks").frames()),
        )
        for boxes, folder in ((before, session.path), (after, staged))
    )
    return now, (max(0, was[0] - now[0]), was[1] - now[1], was[2] - now[2])


def _check_idle(session: Session) -> None:
    """Check that no run of the session is at work.

    Raises
    ------
    InputError
        Where one is.
    """
    for run in session.runs():
        pids = [r["pid"] for r in run.records() if isinstance(r.get("pid"), int)]
        if run.status == "running" and pids and _trains(pids[-1]):
            raise InputError(
                f"Run {run.name} of {session.path} is at work (process {pids[-1]}). Wait until it "
                "is done, or stop it, then try again."
            )


def _trains(pid: int) -> bool:
    """Whether a process of this computer is one of ours: a number may be another's by now."""
    try:
        return any("maskfree" in word for word in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


class _Note(NamedTuple):
    """What was put aside: how far frames moved then, what, and what put it there: ``by``."""

    offset: int
    names: list[str]
    by: str


def _read_note(kept: Path) -> _Note:
    where = str(kept / _NOTE)
    note = as_object(read_json(where, "note"), where, "a shift", "names")
    names = [str(name) for name in as_list(note.get("names"), where, "names")]
    by = str(note.get("by", _SHIFT))
    return _Note(as_whole(note.get("frames"), where, "frames"), names, by)


def _write_note(kept: Path, offset: int, names: list[str], *, by: str = _SHIFT) -> None:
    make_folder(kept)
    content = {"version": _VERSION, "frames": offset, "names": names, "by": by}
    atomic_write(kept / _NOTE, json.dumps(content) + "\n")


def _numbered(folder: Path) -> list[Path]:
    found = [p for p in folder.iterdir() if p.name.isdecimal()] if folder.is_dir() else []
    whole = [p for p in found if (p / _NOTE).is_file()]
    return sorted(whole, key=lambda path: int(path.name))


def _next(folder: Path) -> Path:
    taken = [int(p.name) for p in folder.glob("*") if p.name.isdecimal()]
    return folder / f"{max(taken, default=0) + 1:04d}"


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
