"""``maskfree info``: what a session holds, and whether its video is still the one it was."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError, InputWarning
from maskfree.frame_check import frame_news
from maskfree.frame_prints import file_digest, read_prints
from maskfree.gold_scores import gold_frames, gold_json, gold_scores, gold_text
from maskfree.journal_waiting import warn_of_waiting
from maskfree.kept_masks import shown_run
from maskfree.session import Session
from maskfree.terminal import table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["gold_of", "info_of"]

_NO_BOX = "none drawn yet; draw one on at least one frame before a fine-tuning"


def info_of(folder: str) -> tuple[dict[str, Any], str]:
    """Return what the session in ``folder`` holds: as plain values, and as text.

    The values are those of `Session.info`, ``gold`` (of `gold_json`) and ``frames_now``: None where
    the video's frames are known to be those that the boxes were drawn on, or nothing is known, else
    what became of them (``kind`` of `FrameMatch`, ``words``).

    Raises
    ------
    InputError
        Where there is no session, or its boxes are broken.
    """
    session = Session.open(folder)
    warn_of_waiting(session)
    info = session.info()
    try:
        gold = gold_of(session)
    except InputError as error:  # a broken correction: the rest is still worth telling
        gold = None
        warnings.warn(str(error), InputWarning, stacklevel=2)
    info["gold"] = gold["json"] if gold else {"frames": [], "runs": []}
    info["frames_now"] = _frames_now(session)
    return info, _text(info, gold["text"] if gold else "")


def gold_of(session: Session) -> dict[str, Any] | None:
    """Return every run's scores on the gold frames, ``json`` and ``text``; None: no frame is gold.

    Raises
    ------
    InputError
        Where a file of the session is broken.
    """
    corrections = session.corrections.read_all()
    frames = gold_frames(corrections)
    if not frames:
        return None
    found = gold_scores(session, corrections)
    text = gold_text(found, shown_run(session), len(frames))
    return {"json": gold_json(found, frames), "text": text}


def _frames_now(session: Session) -> dict[str, str] | None:
    prints, source = read_prints(session.path), session.video_source
    digest = file_digest(source)
    if prints is None or source is None or (digest is not None and digest == prints.file):
        return None
    try:
        with session.open_video() as video:
            news = frame_news(session, video)
    except InputError as error:
        return {"kind": "unread", "words": str(error)}
    if news is None or news.match.exact:
        return None
    return {"kind": news.match.kind, "words": news.words}


def _text(info: Mapping[str, Any], gold: str) -> str:
    height, width = info["size"]
    rate = "" if info["fps"] is None else f", {info['fps']:g} frames a second"
    lines = [
        f"session  {info['path']}",
        f"video    {info['video'] or 'frames in memory'}",
        f"         {info['frames']} frames, {width}x{height} (width x height){rate}",
    ]
    if info["frames_now"]:
        lines.append(f"         {info['frames_now']['words']}")
    if not info["boxes"]:
        lines.append(f"boxes    {_NO_BOX}")
    lines.append(
        f"masks    {info['masks']['frames']} of {info['frames']} frames, "
        f"{info['corrections']['frames']} corrected"
    )
    if gold:
        lines.append(f"gold     {gold}")
    if info["tracks"]:
        rows = [[t["id"], t["label"], t["keyframes"]] for t in info["tracks"]]
        lines += ["", table(["track", "label", "keyframes"], rows)]
    if info["runs"]:
        rows = [
            [r["name"], r["preset"], r["status"], r["steps"], "yes" if r["checkpoint"] else "no"]
            for r in info["runs"]
        ]
        lines += ["", table(["run", "preset", "status", "steps", "checkpoint"], rows)]
    return "\n".join(lines)
