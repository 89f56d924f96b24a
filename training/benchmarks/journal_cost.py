"""What keeping every edit on the disk costs: bytes and time an edit, among 50,000 boxes.

An edit moves one box. It is timed with the journal and without, in turns, in computing time of the
process; the flush to the disk, which depends on the disk, stands on its own on the clock. The first
edit of all writes the boxes that the journal begins with. Opening is timed with a journal of all
these edits and without one.

usage: python training/benchmarks/journal_cost.py [--boxes 50000] [--edits 60] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from maskfree.session import Session
from maskfree.types import BoxTracks, Keyframe, Track
from napari_maskfree.edit_journal import EditJournal
from napari_maskfree.reopening import reopen
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo
from report import markdown
from result_file import write_result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main", "measure"]

HEIGHT, WIDTH = 480, 854
TRACKS = (1, 200)
MOST_BYTES, MOST_MS = 1000, 10.0
"""What an edit may cost: hundreds of bytes, milliseconds."""


def many_boxes(tracks: int, boxes: int) -> BoxTracks:
    """Return so many keyframes, shared out among the tracks."""
    each = boxes // tracks
    keyframes = tuple(
        Keyframe(n, (1.5 + n % 7, 2.25, 90.125 + n % 13, 90.0 + n % 5)) for n in range(each)
    )
    ids = range(1, tracks + 1)
    return BoxTracks(each, HEIGHT, WIDTH, 25.0, tuple(Track(i, "car", keyframes) for i in ids))


def measure(folder: Path, tracks: int, boxes: int, edits: int) -> dict[str, Any]:
    """Return the bytes of an edit, its milliseconds with and without, those of the first one.

    ``flush``: milliseconds of a flush on the clock; ``open``, ``open_plain``: seconds.
    """
    content = many_boxes(tracks, boxes)
    session = Session.create(folder / "session", video_source=folder, boxes=content)
    path = session.path / "journal.jsonl"
    plain_open, state = _seconds(lambda: _opened(session, content))
    first, _ = _seconds(lambda: _move(state, 0, 0))
    real, flushes = os.fsync, list[float]()

    def timed(descriptor: int) -> None:
        start = time.perf_counter()
        real(descriptor)
        flushes.append(1e3 * (time.perf_counter() - start))

    kept, plain, sizes = list[float](), list[float](), list[int]()
    with mock.patch.object(os, "fsync", timed):
        for number in range(1, edits + 1):
            size = path.stat().st_size
            kept.append(_seconds(lambda n=number: _move(state, n, 0))[0])  # type: ignore[misc]
            sizes.append(path.stat().st_size - size)
            with mock.patch.object(EditJournal, "_write", lambda *_, **__: None):
                plain.append(_seconds(lambda n=number: _move(state, n, 1))[0])  # type: ignore[misc]
                state.undo()
    state.journal.close()
    opening, state = _seconds(lambda: _opened(session, content))
    steps = len(state.history_steps[0])
    if steps != edits + 1:
        raise RuntimeError(f"expected {edits + 1} steps of undo after opening, got {steps}")
    state.journal.close()
    return {
        "tracks": tracks,
        "bytes": statistics.median(sizes),
        "ms": 1e3 * statistics.median(kept),
        "plain_ms": 1e3 * statistics.median(plain),
        "spread": [1e3 * min(kept), 1e3 * max(kept)],
        "flush": statistics.median(flushes),
        "first_ms": 1e3 * first,
        "open": opening,
        "open_plain": plain_open,
    }


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _opened(session: Session, content: BoxTracks) -> State:
    state = State()
    size = content.num_frames, HEIGHT, WIDTH
    state.set_video(VideoInfo("clip", str(session.video_source), *size))
    reopen(state, session)
    return state


def _move(state: State, number: int, step: int) -> None:
    frames = len(state.tracks.tracks[0].keyframes) if state.tracks else 1
    box = (5.0 + step, 5.25, 50.0 + number, 60.5)
    state.set_box(1, box, number * 97 % frames)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--boxes", type=int, default=50_000, help="keyframes (default: 50000)")
    parser.add_argument("--edits", type=int, default=60, help="of each kind (default: 60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result for bench.py")
    options = parser.parse_args(arguments)
    found = []
    for tracks in TRACKS:
        with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
            with mock.patch.dict(os.environ, {"HOME": folder, "USERPROFILE": folder}):
                found.append(measure(Path(folder), tracks, options.boxes, options.edits))
    text, rows = _report(found, options.boxes)
    write_result(options.json, "What keeping every edit costs", rows, text)
    print(text)
    return 0


def _report(found: list[dict[str, Any]], boxes: int) -> tuple[str, list[dict[str, Any]]]:
    lines = [
        [
            str(each["tracks"]),
            f"{each['bytes']:.0f}",
            f"{each['ms']:.1f} ({each['spread'][0]:.1f} to {each['spread'][1]:.1f})",
            f"{each['plain_ms']:.1f}",
            f"{each['flush']:.1f}",
            f"{each['first_ms']:.0f}",
            f"{each['open']:.2f} / {each['open_plain']:.2f}",
        ]
        for each in found
    ]
    header = ["tracks", "bytes an edit", "ms an edit", "ms without", "ms a flush (clock)"]
    table = markdown([*header, "ms the first edit", "s opening with / without"], lines)
    rows = [
        {
            "what": f"an edit among {boxes} boxes in {each['tracks']} tracks",
            "target": f"under {MOST_BYTES} bytes and {MOST_MS:.0f} ms more than without",
            "measured": f"{each['bytes']:.0f} bytes, {each['ms'] - each['plain_ms']:.1f} ms more",
            "met": each["bytes"] < MOST_BYTES and each["ms"] - each["plain_ms"] < MOST_MS,
            "why": "",
        }
        for each in found
    ]
    return table, rows


if __name__ == "__main__":
    raise SystemExit(main())
