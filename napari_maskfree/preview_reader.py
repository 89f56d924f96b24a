"""What a session's newest run says of its chosen frames, read anew when it has changed. No Qt."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.errors import InputError
from maskfree.preview_files import MOMENTS
from napari_maskfree.constants import PREVIEW_HEM, PREVIEW_LINE, PREVIEW_SMOOTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.preview_files import Shot
    from maskfree.run import Run
    from maskfree.session import Session
    from maskfree.types import InstanceMasks

    RGB = tuple[int, int, int]

__all__ = ["PreviewReader", "Previews", "draw_preview", "score_words"]

_COVERED = 0.5
_UNKNOWN = (255, 255, 255)
"""RGB of a track that is no more."""


@dataclasses.dataclass(frozen=True)
class Previews:
    """The previews of a run: each moment's, and each frame's picture, uint8 ``(h, w, 3)``.

    ``keeps_best``: predictions use its best weights; ``has_last``: there are its last ones.
    """

    run: Run
    shots: Mapping[str, Shot]
    pictures: Mapping[int, np.ndarray]
    keeps_best: bool
    has_last: bool

    @property
    def frames(self) -> list[int]:
        """The frames of the last preview; before the first those that it will show."""
        shot = self.shots.get("now") or self.shots.get("before")
        return sorted(set(shot.masks) & set(self.pictures)) if shot is not None else []

    @property
    def best_is_earlier(self) -> bool:
        """Whether there are best weights, of another step than the last."""
        now, best = self.shots.get("now"), self.shots.get("best")
        earlier = now is not None and best is not None and best.step < now.step
        return earlier and self.has_last and self.run.best_path.is_file()

    @property
    def best_is_left(self) -> bool:
        """Whether the best weights are all that a run that was killed has left, and not in use."""
        left = not self.has_last and "best" in self.shots and self.run.best_path.is_file()
        return left and not self.keeps_best


Look = tuple[tuple[object, ...] | None, Previews | None]
"""What tells one state of a run's previews from another, and the previews."""


class PreviewReader:
    """Reads the newest run's previews; ``found`` is what was read last."""

    def __init__(self) -> None:
        self.found: Previews | None = None
        self._key: tuple[object, ...] | None = None

    def refresh(self, session: Session | None) -> bool:
        """Look again; return whether something has changed."""
        look = self.look(session)
        if look is not None:
            self.take(look)
        return look is not None

    def look(self, session: Session | None) -> Look | None:
        """Return what :meth:`take` takes over, None where nothing has changed; in any thread."""
        runs = session.runs() if session is not None else []
        run = runs[-1] if runs else None
        key = None if run is None else (run.path, run.previews.stamp(), *_weights(run))
        return None if key == self._key else (key, None if run is None else _read(run))

    def take(self, look: Look) -> None:
        """Take over what was read."""
        self._key, self.found = look


def _read(run: Run) -> Previews | None:
    files, shots = run.previews, dict[str, "Shot"]()
    for moment in MOMENTS:
        try:
            shot = files.read(moment)
        except InputError:  # damaged: the next preview writes it anew
            shot = None
        if shot is not None:
            shots[moment] = shot
    if "best" in shots:  # written first: caught between the two, the best is the last one too
        shots.setdefault("now", shots["best"])
    frames = {frame for shot in shots.values() for frame in shot.masks}
    pictures = {f: p for f in frames if (p := files.picture(f)) is not None}
    return Previews(run, shots, pictures, *_weights(run)) if pictures else None


def _weights(run: Run) -> tuple[bool, bool]:
    return run.keeps_best, run.weights_path.is_file()


def score_words(found: Previews) -> str:
    """Say what the previews are scored by, and what the scores are."""
    now, best = found.shots.get("now"), found.shots.get("best")
    if now is None or now.measure is None:
        return "The first preview comes after some steps."
    frames = ", ".join(map(str, now.measure.frames))
    some = "frames" if len(now.measure.frames) > 1 else "frame"
    if now.measure.kind == "gold":
        what = f"J on gold {some} {frames}"
    else:
        what = f"The network's confidence in {some} {frames} (no frame is gold)"
    if best is None or best.score is None:
        return f"{what}: no score yet."
    here = "" if now.score is None else f"now {now.score:.3f}, "
    return f"{what}: {here}best {best.score:.3f} at step {best.step}."


def draw_preview(
    picture: np.ndarray,
    masks: InstanceMasks | None,
    colours: Mapping[int, RGB],
    *,
    width: int,
) -> np.ndarray:
    """Return a picture with its masks' outlines, uint8 RGB ``(h, width, 3)``.

    Parameters
    ----------
    picture
        uint8 ``(h, w, 3)``.
    masks
        At the picture's size; None for none.
    colours
        RGB of each track.
    """
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    large = (width * PREVIEW_SMOOTH, height * PREVIEW_SMOOTH)
    how = cv2.INTER_AREA if large[0] < picture.shape[1] else cv2.INTER_LINEAR
    drawn = np.ascontiguousarray(cv2.resize(picture, large, interpolation=how))
    if masks is not None and masks.masks.shape[1:] == picture.shape[:2]:
        outlines = [_outline(mask, large) for mask in masks.masks]
        for outline in outlines:
            cv2.drawContours(drawn, outline, -1, (0, 0, 0), PREVIEW_HEM, cv2.LINE_AA)
        for track_id, outline in zip(masks.track_ids, outlines, strict=True):
            colour = colours.get(track_id, _UNKNOWN)
            cv2.drawContours(drawn, outline, -1, colour, PREVIEW_LINE, cv2.LINE_AA)
    return np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA))


def _outline(mask: np.ndarray, size: tuple[int, int]) -> Sequence[np.ndarray]:
    """Return the outlines of a mask, bool ``(h, w)``, enlarged to ``size`` (width, height)."""
    enlarged = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    inside = (enlarged >= _COVERED).astype(np.uint8)
    return cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
