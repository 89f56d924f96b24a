"""``maskfree preflight``: time and memory of a run before it is begun, and what makes it fit."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from maskfree.fallbacks import FALLBACKS
from maskfree.finetune_command import DEFAULT_PRESET, check_input, check_start
from maskfree.json_log import JsonLog
from maskfree.preflight import Preflight, gigabytes, preflight
from maskfree.preflight_process import Child
from maskfree.presets import preset
from maskfree.session import Session, is_session
from maskfree.settings import override
from maskfree.terminal import clock, say, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maskfree.config import Config
    from maskfree.preflight import Attempt
    from maskfree.preflight_figures import Exhausted, Measured
    from maskfree.start import StartFrom

__all__ = ["as_text", "preflight_source"]


def preflight_source(
    source: str,
    *,
    boxes: str | None,
    preset_name: str | None,
    settings: Mapping[str, str],
    steps: str | None,
    device: str,
    order: Sequence[str] | None,
    start: StartFrom = "auto",
    log: str | None = None,
    child: Callable[[dict[str, str]], Callable[[Config, str], Measured | Exhausted]] = Child,
) -> Preflight:
    """Estimate a run on a video or a session; nothing of either is changed.

    Parameters
    ----------
    source
        A video, or the folder of a session.
    boxes
        The boxes file; None: those of the session.
    start
        What the run begins with, see :func:`maskfree.start.plan_start`; of a video that has no
        session yet it is fresh weights.
    log
        A file for those who follow: one JSON object a line, the result in the last one.
    child
        Makes what measures; for tests.

    Raises
    ------
    InputError
        Where a run would refuse.
    """
    config = override(preset(preset_name or DEFAULT_PRESET), settings)
    if steps is not None:
        config = override(config, {"optimiser.steps": steps})
    session = Session.open(source) if is_session(source) else None
    if session is None and boxes is None:
        raise InputError(
            f"{source} is not a session, so its boxes are missing. Run: maskfree preflight "
            f"{source} --boxes boxes.json"
        )
    tracks = check_input(session, source, None if session else source, boxes, config)
    if start == "last":
        check_start(session, source, config, tracks)
    what = {"video": source} if session is None else {"session": source, "start": start}
    if boxes is not None:
        what["boxes"] = str(boxes)
    written = None if log is None else JsonLog(log)
    if written is not None:
        written.clear()
        written.append({"status": "running"})

    def report(next_one: str) -> None:
        say("", f"measuring a step: {next_one}")
        if written is not None:
            written.append({"preparing": next_one})

    try:
        found = preflight(config, device, child(what), order=order, report=report)
    except BaseException as error:
        if written is not None:
            with contextlib.suppress(InputError):
                written.append({"status": "failed", "message": str(error)})
        raise
    if written is not None:
        written.append({"status": "done", "preflight": found.to_json()})
    return found


def as_json(found: Preflight) -> dict[str, Any]:
    """Return the result for scripts: with the words that make a run of it."""
    taken = found.taken
    return {
        **found.to_json(),
        "set": list(taken.settings) if taken else [],
        "device": taken.device if taken else None,
        "start": taken.measured.start if taken and taken.measured else None,
    }


def as_text(found: Preflight) -> str:
    """Return the result as a table, and what to do with it."""
    rows: list[list[str]] = []
    for attempt in found.attempts:
        name = attempt.fallback and FALLBACKS[attempt.fallback].title.lower()
        seconds = attempt.measured.seconds if attempt.measured else None
        needed = gigabytes(attempt.measured.needed) if attempt.measured else "-"
        times = (
            [clock(t) for t in (seconds.prepare, seconds.train, seconds.predict, seconds.total)]
            if seconds
            else ["-"] * 4
        )
        rows.append([name or "as it is", attempt.device, *times, needed, attempt.verdict])
    header = ["settings", "device", "look", "train", "masks", "total", "memory", "result"]
    lines = [table(header, rows), ""]
    lines += [
        f"{row[0]}: {attempt.why}{_goes_on(attempt)}"
        for row, attempt in zip(rows, found.attempts, strict=True)
    ]
    return "\n".join([*lines, "", _next(found)])


def _goes_on(attempt: Attempt) -> str:
    found = attempt.measured
    if found is None or found.start is None:
        return ""
    return f"; it goes on from run {found.start}, in {found.steps} steps"


def _next(found: Preflight) -> str:
    taken = found.taken
    if taken is None:
        return (
            "Nothing of this fits. Take a smaller preset, close other programs, or shorten the "
            "clip and the frame further with --set."
        )
    if found.as_given:
        return "It fits as it is."
    words = f"--set {' '.join(taken.settings)} " if taken.settings else ""
    return f"It fits with: {words}--device {taken.device}"
