"""Every action as Python: the same through the engine, on the saved session. No Qt here."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from napari_maskfree.python_of_boxes import BOXES
from napari_maskfree.python_of_masks import MASKS
from napari_maskfree.python_of_runs import RUNS
from napari_maskfree.python_situation import Situation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_maskfree.python_situation import Code

__all__ = ["NAMES", "Situation", "as_python", "why_none"]

_MADE: Mapping[str, Callable[[Situation], Code]] = {**BOXES, **MASKS, **RUNS}

NAMES = tuple(_MADE)
"""The actions that have Python: those of :data:`.keys.KEYS`, and others that have no key."""

_MOVES = "it only moves about in the window"
_LOOKS = "it only changes how the window looks"
_STEPS = "files hold no steps of undo"
_NONE = {
    **dict.fromkeys(("next_track", "previous_track", "next_keyframe", "previous_keyframe"), _MOVES),
    **dict.fromkeys(("timeline", "zoom_in", "zoom_out", "outlines", "onion_skin"), _LOOKS),
    **dict.fromkeys(("range_start", "range_end"), _MOVES),
    **dict.fromkeys(("undo", "redo"), _STEPS),
    "keep_inside": "it only changes what brush, eraser and fill reach",
    **dict.fromkeys(("guide", "show_keys"), "it only explains the window"),
}


def why_none(name: str) -> str:
    """Say why an action has no Python; empty text where it has."""
    return _NONE.get(name, "") if name not in _MADE else ""


def as_python(name: str, now: Situation) -> str | None:
    """Return Python that does what the action ``name`` of the window does; None: it has none.

    The code works on the session as it is saved; open it again in the window to see what it did.
    """
    make = _MADE.get(name)
    if make is None:
        return None
    imports, body = make(now)
    start, opened = _opened(now)
    lines = sorted({"from maskfree.session import Session", *start, *imports}, key=_order)
    return "\n".join([*lines, "", opened, textwrap.dedent(body).strip(), ""])


def _order(line: str) -> tuple[bool, str]:
    """Put ``import x`` before ``from x import y``, else by the alphabet."""
    return line.startswith("from"), line


def _opened(now: Situation) -> Code:
    if now.saved:
        return (), f"session = Session.open({now.session!r})"
    video, boxes = now.video or "video.mp4", 'read_boxes("boxes.json")'
    return ("from maskfree.session import is_session", "from maskfree.tracks import read_boxes"), (
        f"path = {now.session!r}\n"
        "if is_session(path):\n"
        "    session = Session.open(path)\n"
        "else:  # its boxes: saved from section 2\n"
        f"    session = Session.create(path, video_source={video!r}, boxes={boxes})"
    )
