"""CSV: a table for spreadsheets and statistics, one row a track and frame.

RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180), UTF-8, in order of frame, then of track. A track
has a row in the frames in which it has a box or a mask with a pixel:

- ``frame`` (from 0), ``frame_name``, ``track``, ``label`` (a name or label that a spreadsheet
  would compute, as "=1+1", has a ' before it);
- ``area`` (pixels of the mask; empty: no masks are known in this frame), ``centroid_x``,
  ``centroid_y`` (of the mask; pixels, a pixel's edges are whole numbers);
- ``x0``, ``y0``, ``x1``, ``y1``: the box (pixels, half-open; empty: none), ``mask_x0`` …
  the mask's;
- ``confidence``: the mask's score; ``occluded``: 1 or 0, of the box;
- ``source``: where the box comes from: "keyframe", "interpolated" (or held), "mask"
  (there is none).

What is read, boxes alone, is in `csv_reader.py`.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.formats.base import (
    DEFAULT_LABEL,
    Annotations,
    Compared,
    Format,
    list_names,
    present,
    tight_box,
)
from maskfree.formats.csv_reader import INTERPOLATED, read, read_of, shielded, table_rows
from maskfree.formats.label_images import has_extras
from maskfree.formats.limits import MOST_ID
from maskfree.tracks import BoxState, boxes_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from maskfree.types import InstanceMasks

__all__ = ["COLUMNS", "FORMAT", "read", "read_of", "write"]

COLUMNS = (
    "frame",
    "frame_name",
    "track",
    "label",
    "area",
    "centroid_x",
    "centroid_y",
    "x0",
    "y0",
    "x1",
    "y1",
    "mask_x0",
    "mask_y0",
    "mask_x1",
    "mask_y1",
    "confidence",
    "occluded",
    "source",
)
_AREA, _FRAME, _TRACK = COLUMNS.index("area"), COLUMNS.index("frame"), COLUMNS.index("track")
_KEYFRAME, _MASK = "keyframe", "mask"
_CENTRE = 0.5
"""Of a pixel, from its edge."""


@dataclasses.dataclass(frozen=True)
class _Reopened(Annotations):
    """What was read back; its rows are read again from ``path``."""

    path: Path | None = None


def write(annotations: Annotations, path: Path) -> None:
    """Write the table, a frame in memory at a time.

    Raises
    ------
    InputError
        When there is neither a box nor a mask, or a name or label is no text.
    """
    rows = _rows(annotations)
    first = next(rows, None)
    if first is None:
        raise InputError(
            "There is neither a box nor a mask to export. Draw a box, or run `maskfree predict`."
        )
    with path.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(COLUMNS)
        for row in itertools.chain([first], rows):
            try:
                table.writerow(row)
            except UnicodeEncodeError:
                raise InputError(
                    f"The name or the label in frame {row[_FRAME]} is no text that UTF-8 can hold: "
                    f"{row[1]!a}, {row[3]!a}. Rename it."
                ) from None


def _rows(annotations: Annotations) -> Iterator[list[str]]:
    """Yield the rows of the table as text."""
    labels = {track.id: track.label for track in annotations.boxes.tracks}
    for frame, name in enumerate(annotations.frame_names):
        masks, states = annotations.read_masks(frame), _states(annotations, frame)
        seen = {} if masks is None else present(masks)
        scores = _scores(masks)
        for track_id in sorted({*seen, *states}):
            yield [
                str(frame),
                shielded(name),
                str(track_id),
                shielded(labels.get(track_id, DEFAULT_LABEL)),
                *_shape(seen.get(track_id), known=masks is not None),
                *_box(states.get(track_id)),
                *_mask_box(seen.get(track_id)),
                scores.get(track_id, ""),
                *_told(states.get(track_id)),
            ]


def _states(annotations: Annotations, frame: int) -> dict[int, BoxState]:
    if annotations.read_boxes is None:
        return boxes_at(annotations.boxes, frame)
    boxes = annotations.read_boxes(frame).items()
    return {track_id: BoxState(box, True, False, 0) for track_id, box in boxes}


def _scores(masks: InstanceMasks | None) -> dict[int, str]:
    if masks is None:
        return {}
    pairs = zip(masks.track_ids, masks.scores, strict=True)
    return {track_id: repr(float(score)) for track_id, score in pairs}


def _shape(mask: np.ndarray | None, *, known: bool) -> list[str]:
    """Return area and centroid."""
    if mask is None:
        return ["0" if known else "", "", ""]
    ys, xs = np.nonzero(mask)
    centre = [repr(float(xs.mean()) + _CENTRE), repr(float(ys.mean()) + _CENTRE)]
    return [str(len(ys)), *centre]


def _box(state: BoxState | None) -> list[str]:
    return [""] * 4 if state is None else [repr(float(side)) for side in state.xyxy]


def _mask_box(mask: np.ndarray | None) -> list[str]:
    return [""] * 4 if mask is None else [repr(side) for side in tight_box(mask)]


def _told(state: BoxState | None) -> list[str]:
    """Return whether the object is occluded, and where its box comes from."""
    if state is None:
        return ["", _MASK]
    return [str(int(state.occluded)), _KEYFRAME if state.keyframe else INTERPOLATED]


def reopen(path: Path, written: Annotations) -> Annotations:
    """Return the table that :func:`write` made of ``written``, for comparing its rows."""
    video = dataclasses.replace(written.boxes, tracks=())
    return _Reopened(video, written.frame_names, lambda frame: None, path=path)


def losses(annotations: Annotations) -> list[str]:
    """Name what a table does not keep."""
    boxes, named = annotations.boxes, []
    rows, seen, masked = 0, set[str](), False
    for _, group in itertools.groupby(_rows(annotations), key=lambda row: row[_FRAME]):
        rows += 1
        for row in group:
            seen.add(row[_TRACK])
            masked = masked or row[_AREA] not in ("", "0")
    empty = len(annotations.frame_names) - rows
    if masked:
        named.append("masks are not kept, only their area, centroid and box")
    if empty:
        named.append(
            f"{empty} of {len(annotations.frame_names)} frames have no row: neither their names "
            "nor whether they were looked at are kept"
        )
    if unseen := [str(track.id) for track in boxes.tracks if str(track.id) not in seen]:
        named.append(f"tracks without a box and a mask are not kept: {list_names(unseen)}")
    named.append("the video's size, length and frame rate are not kept: reading takes --video PATH")
    if annotations.file_names:
        named.append("the frames' file names are not kept, only their stems")
    if any(keyframe.outside for track in boxes.tracks for keyframe in track.keyframes):
        named.append("'outside' is not kept as a keyframe: the track has no row there")
    if any(not track.label for track in boxes.tracks):
        named.append(f'empty labels are read as "{DEFAULT_LABEL}"')
    if any(track.parent is not None for track in boxes.tracks):
        named.append("parents (divisions) are not kept")
    if boxes.ignore:
        named.append("'ignore' regions are not kept")
    if has_extras(boxes):
        named.append("fields of the boxes file that we do not know are not kept")
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare the table row by row with what was to be written."""
    assert isinstance(back, _Reopened)
    assert back.path is not None
    masked, boxed, tracks = set[str](), set[str](), set[str]()
    wanted: Iterator[Sequence[str]] = itertools.chain([COLUMNS], _rows(annotations))
    pairs = itertools.zip_longest(wanted, table_rows(back.path))
    for number, (row, found) in enumerate(pairs):
        if row is None or found is None or list(row) != found:
            return Compared(f"row {number + 1} differs")
        if number:
            boxed.add(row[_FRAME])
            tracks.add(row[_TRACK])
            if row[_AREA] not in ("", "0"):
                masked.add(row[_FRAME])
    return Compared("", len(masked or boxed), len(tracks))


FORMAT = Format(
    name="csv",
    title="CSV: a table, one row a track and frame",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    reopen=reopen,
    read_of=read_of,
    needs_masks=False,
    most_id=MOST_ID,
)
