"""What an action is about when it is copied as Python, and the pieces its code is made of."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskfree.types import Box

__all__ = ["Code", "Situation", "joined", "tracks_code"]

_NOWHERE = "clip.maskfree"

Code = tuple[tuple[str, ...], str]
"""Lines that import, and lines that follow once ``session`` is open."""


@dataclasses.dataclass(frozen=True)
class Situation:
    """What an action is about, as it stands in the window.

    ``session``, ``video``, ``target``: paths; ``video`` is None where there is no file of it, and
    matters until the session is ``saved``. ``frames``: how many the video has; ``range``: first and
    last frame of the selected ones, the shown one where none is. ``box``, ``last_box``: where the
    track is in the shown frame and in the one before; ``outside``: whether it is said there that it
    is not; ``absent_until``: the last frame before its next keyframe. ``other_id``, ``name``,
    ``old_name``: another track, a class or label, the one that it had. ``region``, ``until``: the
    place of an ignore region, and until when it holds. ``proposed``: the frames in which a box is
    proposed, from ``proposed_from`` on. ``yx``: the pixel in question; ``clicks``: y, x and whether
    it belongs, of the track's clicks in the shown frame that count still. ``size``: of the largest
    hole or speck; ``all_tracks``: not of the selected one only. ``gold``: whether the shown frame
    is. ``source``: the frame that was carried to others. ``run``: the other run. ``settings``:
    ``key=value`` of the next run beside the form's; ``start``: what it begins with; ``previews``:
    the frames that it redraws;
    ``training``: whether one is at work; ``fallbacks``: tried in turn. ``each_side``, ``tube``:
    frames that a pixel is compared with, and those of its tube.
    """

    session: str = _NOWHERE
    saved: bool = True
    video: str | None = None
    frames: int = 1
    frame: int = 0
    range: tuple[int, int] = (0, 0)
    track_id: int = 1
    label: str = "object"
    other_id: int = 2
    name: str = "object"
    old_name: str = "object"
    box: Box | None = None
    last_box: Box | None = None
    occluded: bool = False
    last_occluded: bool = False
    outside: bool = False
    absent_until: int = 0
    region: int = 0
    until: int | None = None
    proposed_from: int = 0
    forward: bool = True
    yx: tuple[int, int] = (0, 0)
    clicks: tuple[tuple[int, int, bool], ...] = ()
    size: int | None = None
    all_tracks: bool = False
    gold: bool = False
    source: int | None = None
    run: str | None = None
    settings: tuple[str, ...] = ()
    preset: str = "tiny"
    steps: int = 1
    device: str = "auto"
    seed: int = 0
    start: str = "auto"
    previews: tuple[int, ...] = ()
    training: bool = False
    keeps_best: bool = False
    fallbacks: tuple[str, ...] = ()
    each_side: int = 1
    tube: int = 0
    format: str = "davis"
    target: str = "masks"


def tracks_code(imports: tuple[str, ...], change: str) -> Code:
    """Return code that changes ``tracks``, the boxes of the session, and saves them."""
    return imports, f"tracks = session.boxes\n{change}\nsession.save_boxes(tracks)"


def joined(*codes: Code) -> Code:
    """Return code that does one thing after the other."""
    imports = tuple(line for lines, _ in codes for line in lines)
    return imports, "\n".join(body.strip("\n") for _, body in codes)
