"""Whether work survives: a process that edits, saves, trains and exports is killed again and again.

Each time a process of its own (`survival_child.py`) goes on with the same session: it draws,
paints, undoes and redoes, saves, and in some of the rounds trains, predicts or exports. It is
ended with SIGKILL: after a random while, or by itself at a random write, flush or rename, in the
middle of that write. Then the session is opened as the window does, and compared with what the
process had said was done: boxes, corrections, and the steps of undo and redo. The edit in flight
may be there or not; every other one must be. A third of the rounds is about a video that has no
session yet.

usage: python training/benchmarks/survival.py [--kills 200] [--seed 0] [--light] [--json FILE]
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.formats import get_format
from maskfree.session import Session
from maskfree.tracks import add_track, empty_tracks, set_keyframe
from maskfree.types import InstanceMasks, Keyframe
from napari_maskfree.saving import save_session_boxes
from report import markdown
from result_file import write_result
from survival_child import EXPORT, FRAMES, HEIGHT, VIDEO, WIDTH, digest_of, work_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_maskfree.state import State

__all__ = ["Kill", "main", "new_session", "survive"]

CHILD = Path(__file__).with_name("survival_child.py")
PHASES = ("edit", "train", "predict", "export")
WEIGHTS = (16, 2, 1, 1)
DELAYS = {"edit": 0.4, "train": 3.0, "predict": 3.0, "export": 1.0}
"""Seconds after the phase began within which it is killed."""
MOST_CALLS = {"edit": 120, "train": 150, "predict": 150, "export": 150}
"""Writes, flushes and renames within which it kills itself."""
PATIENCE = 120.0
"""Seconds after which a process that has not been killed is."""


@dataclasses.dataclass(frozen=True)
class Kill:
    """One kill and what came of it.

    ``phase``: what the process was at; ``by``: "time" or "call"; ``session``: whether there was
    one; ``done``: edits that it said were done; ``lost``: those of them that are not there;
    ``in_flight``: whether the edit in flight is there; ``fault``: what else is wrong, "" for
    nothing.
    """

    phase: str
    by: str
    session: bool
    done: int
    lost: int
    in_flight: bool
    fault: str


def new_session(folder: Path, *, session: bool) -> None:
    """Make a clip, and with ``session`` a session of two tracks that has masks."""
    import tifffile

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    folder.mkdir(parents=True)
    tifffile.imwrite(folder / VIDEO, frames, photometric="rgb", metadata={"axes": "TYXS"})
    if not session:
        return
    tracks = empty_tracks(FRAMES, HEIGHT, WIDTH, None)
    for left in (4.0, 50.0):
        tracks, track_id = add_track(tracks, "car")
        tracks = set_keyframe(tracks, track_id, Keyframe(0, (left, 4.0, left + 30, 50.0)))
    made = Session.create(folder / "session", video_source=folder / VIDEO, boxes=tracks)
    masks = rng.random((2, HEIGHT, WIDTH)) < 0.4
    for frame in range(FRAMES):
        made.mask_store().write(frame, InstanceMasks((1, 2), masks, (0.5, 0.6)))


def survive(folder: Path, seed: int, *, light: bool = False) -> Kill:
    """Let a process work on what is in ``folder``, kill it, and look what is left.

    ``light``: without torch, so it neither trains nor predicts.
    """
    chance = random.Random(seed)
    phase = chance.choices(PHASES, WEIGHTS)[0]
    if not (folder / "session").exists() or (light and phase in ("train", "predict")):
        phase = "edit"
    itself = chance.random() < 0.5
    words = [sys.executable, str(CHILD), str(folder), "--seed", str(seed), "--phase", phase]
    words += ["--before", str(chance.randrange(12))]
    if itself:
        words += ["--die", str(chance.randrange(1, MOST_CALLS[phase]))]
    said = _said(words, phase, None if itself else chance.uniform(0, DELAYS[phase]))
    return _look(folder, said, phase, "call" if itself else "time")


def _said(words: Sequence[str], phase: str, delay: float | None) -> list[dict[str, Any]]:
    """Run the process until it is killed; return the whole lines that it has said.

    Raises
    ------
    RuntimeError
        Where it ended by itself.
    """
    said: list[dict[str, Any]] = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        late = threading.Timer(PATIENCE if delay is None else delay, process.kill)
        if delay is None:
            late.start()
        for line in process.stdout:
            if line.endswith(b"\n"):
                said.append(json.loads(line))
                if delay is not None and "phase" in said[-1] and not late.is_alive():
                    late.start()
        errors = process.stderr.read().decode("utf-8", "replace")
        code = process.wait()
        late.cancel()
    if code >= 0:
        raise RuntimeError(f"The process ended with code {code} before it was killed: {errors}")
    return said


def _look(folder: Path, said: list[dict[str, Any]], phase: str, by: str) -> Kill:
    """Open what is left and compare it with what was said to be done."""
    done = [line["done"] for line in said if "done" in line]
    doing = said[-1].get("doing") if said else None
    own = (folder / "session").exists()
    state, _ = work_on(folder)
    assert not state.read_only, "a hold ends with its process"
    try:
        lost, in_flight = _compare(state, done, doing)
        fault = _fault(folder, state) if own else ""
    finally:
        state.journal.close()
        state.let_go()
    return Kill(phase, by, own, max(len(done) - 1, 0), lost, in_flight, fault)


def _compare(state: State, done: list[dict[str, Any]], doing: str | None) -> tuple[int, bool]:
    """Return how many of the edits that were done are lost, and if that in flight is there."""
    now = digest_of(state)
    if not done or now == done[-1]:
        return 0, False
    if doing is not None:
        back, forth = (state.redo, state.undo) if doing == "undo" else (state.undo, state.redo)
        back()
        before = digest_of(state)
        same = before["digest"] == done[-1]["digest"]
        steps = before["steps"] if doing != "edit" else [before["steps"][0], 0]
        wanted = done[-1]["steps"] if doing != "edit" else [done[-1]["steps"][0], 0]
        forth()
        if same and steps == wanted:
            return 0, True
    for number, earlier in enumerate(reversed(done)):
        if earlier["digest"] == now["digest"]:
            return number or 1, False
    return len(done), False


def _fault(folder: Path, state: State) -> str:
    """Say what is wrong with the files once all that was done is saved; "" for nothing."""
    session = state.session
    assert session is not None
    save_session_boxes(state)
    if state.corrections.unsaved or session.corrections.read_all() != state.corrections.items():
        return "the corrections on the disk are not those shown"
    if session.boxes != (state.boxed() or state.tracks):
        return "the boxes on the disk are not those shown"
    store = session.mask_store()
    for frame in store.frames():
        store.read(frame)
    for run in session.runs():
        _ = run.config, run.steps_done
    if (folder / EXPORT).exists():
        get_format("npz").read(folder / EXPORT)
    left = [p.name for p in session.path.iterdir() if "damaged" in p.name or "other" in p.name]
    return f"put aside: {', '.join(left)}" if left else ""


def _run(kills: int, seed: int, folder: Path, *, light: bool) -> list[Kill]:
    """Kill so many times, two of three in a session, the third before there is one."""
    found = []
    places = [folder / "with", folder / "without"]
    for place, session in zip(places, (True, False), strict=True):
        new_session(place, session=session)
    for number in range(kills):
        place = places[number % 3 == 2]
        found.append(survive(place, seed + number, light=light))
        _tell(number + 1, kills, found[-1])
    return found


def _tell(number: int, kills: int, kill: Kill) -> None:
    words = f"{kill.done} edits, {kill.lost} lost{', ' + kill.fault if kill.fault else ''}"
    print(f"{number}/{kills} {kill.phase} by {kill.by}: {words}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill and print what survived; exit code 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--light", action="store_true", help="neither train nor predict")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result for bench.py")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        os.environ["HOME"] = os.environ["USERPROFILE"] = folder
        kills = _run(options.kills, options.seed, Path(folder), light=options.light)
    text, rows = _report(kills, time.monotonic() - started)
    write_result(options.json, "Work that survives a kill", rows, text)
    print(text)
    return int(any(kill.lost or kill.fault for kill in kills))


def _report(kills: list[Kill], seconds: float) -> tuple[str, list[dict[str, Any]]]:
    groups: dict[tuple[str, str, str], list[Kill]] = collections.defaultdict(list)
    for kill in kills:
        where = "session" if kill.session else "no session yet"
        groups[where, kill.phase, kill.by].append(kill)
    lines = [[*key, *_numbers(own)] for key, own in sorted(groups.items())]
    lines.append(["**all**", "", "", *_numbers(kills)])
    header = ["where", "while it", "killed by", "kills", "survived", "edits acknowledged"]
    table = markdown([*header, "edits lost", "edit in flight there"], lines, words=3)
    faults = [f"{kill.phase}: {kill.fault}" for kill in kills if kill.fault]
    told = f"\n\n{len(kills)} kills in {seconds / 60:.0f} minutes."
    lost = sum(kill.lost for kill in kills)
    survived = sum(not kill.lost and not kill.fault for kill in kills)
    row = {
        "what": "edits that were said to be done and are not there after a kill",
        "target": f"0 in {len(kills)} kills",
        "measured": f"{lost} of {sum(kill.done for kill in kills)} edits; {survived} of "
        f"{len(kills)} kills survived",
        "met": lost == 0 and not faults,
        "why": "; ".join(faults[:4]),
    }
    return table + told + "".join(f"\n- {fault}" for fault in faults), [row]


def _numbers(kills: list[Kill]) -> list[str]:
    good = sum(not kill.lost and not kill.fault for kill in kills)
    flight = sum(kill.in_flight for kill in kills)
    done, lost = sum(kill.done for kill in kills), sum(kill.lost for kill in kills)
    return [str(len(kills)), str(good), str(done), str(lost), str(flight)]


if __name__ == "__main__":
    raise SystemExit(main())
