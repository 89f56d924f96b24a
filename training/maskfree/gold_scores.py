"""How good each run is on the gold frames: those that a person vouched for and no run was told of.

A run's own masks are scored, as it predicted them, against what the person vouched for. That a gold
frame is one of the video's frames, and has its boxes, every run knows; boxes are no masks.

What a run could know is left out of its score: frames whose corrections it learnt from before they
became gold. So are masks of before it trained, and what it could not know: tracks that it knew
elsewhere or not at all, because they were drawn, split, merged or swapped since. And pixels in an
ignore region, as the regions are now.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.corrections import is_gold
from maskfree.errors import InputError
from maskfree.ignore_masks import IgnoreMasks
from maskfree.kept_masks import run_masks, runs_with_masks, shown_run
from maskfree.mask_place import is_where_boxed
from maskfree.metrics import Scores, TrackScores, boundary_f, region_similarity
from maskfree.storage import atomic_write, read_json
from maskfree.told_frames import boxes_of_masks, told_frames, untrained_frames
from maskfree.tracks import box_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from maskfree.corrections import Correction
    from maskfree.mask_store import MaskStore
    from maskfree.run import Run
    from maskfree.session import Session
    from maskfree.types import BoxTracks, InstanceMasks, Track

    Truth = Mapping[int, Mapping[int, Correction]]
    Pairs = dict[int, tuple[float, float]]

__all__ = [
    "GoldScores",
    "compared",
    "gold_frames",
    "gold_json",
    "gold_scores",
    "gold_text",
    "is_scored",
]

_VERSION = 1
"""Of the way in which a run is scored: what another one wrote is not read."""
_FILE = "gold.json"
_UNKNOWN = "it was made by an earlier version, which did not note what it learnt from"


@dataclasses.dataclass(frozen=True)
class GoldScores:
    """One run on the gold frames.

    ``scores``: means over the frames of each track, and over the tracks; None where nothing could
    be scored. ``frames``: those that were scored. ``left_out``: what was not, and why, in words;
    scores of runs that leave out different things are not of the same frames.
    """

    run: str
    scores: Scores | None
    frames: tuple[int, ...]
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return ``{"run", "J", "F", "JF", "tracks", "frames", "left_out"}``; null: no score."""
        none: dict[str, Any] = {"J": None, "F": None, "JF": None, "tracks": {}}
        numbers = none if self.scores is None else self.scores.to_json()
        rest = {"frames": list(self.frames), "left_out": list(self.left_out)}
        return {"run": self.run, **numbers, **rest}


def gold_frames(corrections: Truth) -> list[int]:
    """Return the gold frames among corrections by frame and track id, in order."""
    return sorted(frame for frame, own in corrections.items() if is_gold(own))


def gold_scores(
    session: Session,
    corrections: Truth | None = None,
    *,
    check: Callable[[], None] = lambda: None,
) -> list[GoldScores]:
    """Score every run whose masks are kept, oldest first; none where no frame is gold.

    What was scored is kept in the run's folder, ``gold.json``, and only what has changed since is
    scored again.

    Parameters
    ----------
    corrections
        By frame and track id; by default those of the session.
    check
        Called between two frames; what it raises ends the work.

    Raises
    ------
    InputError
        Where a file of the corrections is broken.
    """
    known = session.corrections.read_all() if corrections is None else corrections
    truth = {
        frame: {i: own for i, own in sorted(known[frame].items()) if own.gold}
        for frame in gold_frames(known)
    }
    if not truth:
        for run in session.runs():
            with contextlib.suppress(OSError):
                (run.path / _FILE).unlink(missing_ok=True)
        return []
    names = runs_with_masks(session)
    ignore = IgnoreMasks(session.boxes)
    return [
        _score_run(run, run_masks(session, run, shown_run(session)), truth, ignore, check)
        for run in session.runs()
        if run.name in names
    ]


def gold_text(found: Sequence[GoldScores], name: str | None, frames: int) -> str:
    """Say in a line how good a run is on so many gold frames, and how good the one before was."""
    counted = f"{frames} gold frame{'s' * (frames != 1)}"
    names = [each.run for each in found]
    if name not in names:
        return f"{counted}: no masks to score"
    place = names.index(name)
    own = found[place]
    if own.scores is None:
        return f"{counted}: no score (run {name}: {'; '.join(own.left_out)})"
    before = next((each for each in reversed(found[:place]) if each.scores is not None), None)
    text = f"{counted}: J {own.scores.j:.3f}, F {own.scores.f:.3f} (run {name}"
    if before is not None and before.scores is not None:
        text += f"; run {before.run}: J {before.scores.j:.3f}, F {before.scores.f:.3f}"
    left = f"; left out: {'; '.join(own.left_out)}" if own.left_out else ""
    return f"{text}{left})"


def gold_json(found: Sequence[GoldScores], frames: Sequence[int]) -> dict[str, Any]:
    """Return the gold frames and every run's scores as plain values."""
    return {"frames": list(frames), "runs": [each.to_json() for each in found]}


# ---- one run


def _score_run(
    run: Run, store: MaskStore, truth: Truth, ignore: IgnoreMasks, check: Callable[[], None]
) -> GoldScores:
    told, boxes, first = told_frames(run), boxes_of_masks(run), untrained_frames(run)
    if told is None or boxes is None:
        return GoldScores(run.name, None, (), (_UNKNOWN,))
    kept, now = _kept(run.path / _FILE), dict[int, dict[str, Any]]()
    missing = []
    for frame, own in truth.items():
        check()
        stamp = store.stamp(frame)
        if frame in told or (frame in first and stamp is not None):
            continue
        if stamp is None:
            missing.append(frame)
            continue
        key = _key(stamp, own, boxes, frame, ignore)
        pairs = kept.get(frame, {}).get(key)
        if pairs is None:
            try:
                pairs = _score_frame(store, frame, own, boxes, ignore.at(frame))
            except InputError:  # a damaged file of masks, or one that went just now
                missing.append(frame)
                continue
            if store.stamp(frame) != stamp:  # another run's took its place meanwhile
                missing.append(frame)
                continue
        now[frame] = {key: pairs}
    scored = {frame: pairs for frame, by_key in now.items() for pairs in by_key.values()}
    left = _left_out(truth, told, first - set(missing), missing, scored)
    result = _sum_up(run.name, scored, left)
    _keep(run.path / _FILE, result, now)
    return result


def _score_frame(
    store: MaskStore,
    frame: int,
    truth: Mapping[int, Correction],
    boxes: BoxTracks,
    ignored: np.ndarray | None,
) -> dict[int, tuple[float, float] | None]:
    """Return J and F by track; None where neither has a mask; tracks known elsewhere are absent."""
    masks = store.read(frame)
    if masks is None:
        raise InputError(
            f"Frame {frame} has no masks any more. Predict again: maskfree predict DIR"
        )
    pairs: dict[int, tuple[float, float] | None] = {}
    for track_id, mask, true, hidden in compared(masks, truth, boxes, frame, ignored):
        pairs[track_id] = None
        if is_scored(mask, true, hidden):
            f = boundary_f(mask, true, ignored=hidden)
            pairs[track_id] = region_similarity(mask, true, hidden), f
    return pairs


def is_scored(mask: np.ndarray, true: np.ndarray, hidden: np.ndarray | None) -> bool:
    """Say whether either mask has a pixel that counts; bool ``(H, W)`` all."""
    either = mask | true
    return bool(either.any() if hidden is None else (either & ~hidden).any())


def compared(
    masks: InstanceMasks,
    truth: Mapping[int, Correction],
    boxes: BoxTracks,
    frame: int,
    ignored: np.ndarray | None,
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray | None]]:
    """Yield each track of a frame's truth with its mask, its true one, and what does not count.

    All bool ``(H, W)``; the last is None where everything counts. Tracks that were boxed elsewhere
    than the truth lies, or not known, are left out.
    """
    predicted = dict(zip(masks.track_ids, masks.masks, strict=True))
    tracks: dict[int, Track] = {track.id: track for track in boxes.tracks}
    for track_id, own in truth.items():
        if own.size != masks.masks.shape[1:] or track_id not in tracks:
            continue
        true = own.is_object
        if true.any() and not is_where_boxed(tracks[track_id], frame, true):
            continue
        hidden = None if ignored is None or ignored.shape != own.size else ignored
        yield track_id, predicted.get(track_id, np.zeros(own.size, bool)), true, hidden


def _left_out(
    truth: Truth,
    told: frozenset[int],
    first: frozenset[int],
    missing: Sequence[int],
    scored: Mapping[int, Mapping[int, object]],
) -> tuple[str, ...]:
    learnt = [frame for frame in truth if frame in told]
    elsewhere = sum(len(truth[frame].keys() - pairs.keys()) for frame, pairs in scored.items())
    words = []
    if learnt:
        words.append(f"it was told about {_listed(learnt)}")
    if untrained := [frame for frame in truth if frame in first - told]:
        words.append(f"its masks of {_listed(untrained)} are of before it trained")
    if missing:
        words.append(f"it has no masks of {_listed(missing)}")
    if elsewhere:
        some = "1 mask of a track" if elsewhere == 1 else f"{elsewhere} masks of tracks"
        words.append(f"{some} that it knew elsewhere or not at all")
    return tuple(words)


def _listed(frames: Sequence[int]) -> str:
    return f"frame{'s' * (len(frames) > 1)} {', '.join(map(str, frames))}"


def _sum_up(
    name: str, scored: Mapping[int, Mapping[int, Any]], left_out: tuple[str, ...]
) -> GoldScores:
    by_track: dict[int, list[tuple[float, float]]] = {}
    frames = []
    for frame, pairs in scored.items():
        counted = {i: pair for i, pair in pairs.items() if pair is not None}
        frames += [frame] if counted else []
        for track_id, pair in counted.items():
            by_track.setdefault(track_id, []).append(pair)
    tracks = {i: TrackScores(*np.mean(by_track[i], axis=0).tolist()) for i in sorted(by_track)}
    scores = Scores(tracks, len(frames)) if tracks else None
    return GoldScores(name, scores, tuple(frames), left_out)


# ---- what is kept


def _key(
    stamp: tuple[int, int],
    truth: Mapping[int, Correction],
    boxes: BoxTracks,
    frame: int,
    ignore: IgnoreMasks,
) -> str:
    """Return what changes whenever a frame's score could."""
    counts = [(i, own.size, own.object_counts) for i, own in truth.items()]
    known = [t for t in boxes.tracks if t.id in truth and t.keyframes]
    tracks = [(t.id, box_at(t, frame), t.keyframes[-1].frame) for t in known]
    text = repr((_VERSION, frame, stamp, counts, tracks, *ignore.polygons(frame)))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _kept(path: Path) -> dict[int, dict[str, Any]]:
    """Return the scores by frame, key and track that were kept; none where they are damaged."""
    try:
        frames = read_json(path, "scores file")["frames"].items() if path.is_file() else ()
        return {int(frame): {own["key"]: _pairs(own["tracks"])} for frame, own in frames}
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        return {}


def _pairs(tracks: Mapping[str, Mapping[str, Any] | None]) -> dict[int, Any]:
    return {
        int(i): None if pair is None else (float(pair["J"]), float(pair["F"]))
        for i, pair in tracks.items()
    }


def _keep(path: Path, result: GoldScores, now: Mapping[int, Mapping[str, Any]]) -> None:
    """Write what was scored; where that cannot be it is scored again the next time."""
    frames = {
        str(frame): {"key": key, "tracks": dict(_plain(pairs))}
        for frame, by_key in now.items()
        for key, pairs in by_key.items()
    }
    content = {"version": _VERSION, **result.to_json(), "frames": frames}
    data = (json.dumps(content, indent=1) + "\n").encode()
    with contextlib.suppress(InputError, OSError):
        if not path.is_file() or path.read_bytes() != data:
            atomic_write(path, data)


def _plain(pairs: Mapping[int, Any]) -> Iterable[tuple[str, dict[str, float] | None]]:
    for track_id, pair in pairs.items():
        yield str(track_id), None if pair is None else {"J": pair[0], "F": pair[1]}
