"""Reads the residuals of a session's frames, each once for as long as its masks stay the same."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from napari_maskfree.constants import RESIDUAL_CACHE

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.corrected_masks import CorrectedMasks
    from maskfree.tk_residual import Residual
    from maskfree.types import BoxTracks
    from maskfree.video import Video

    Key = tuple[Any, ...]

__all__ = ["ResidualReader", "residual_key"]


def residual_key(frame: int, shown: CorrectedMasks) -> Key:
    """Return what changes whenever the masks of a frame or of its neighbours do."""
    return (
        frame,
        *(
            (shown.predicted.stamp(f), tuple(sorted(shown.corrections.read(f).items())))
            for f in (frame - 1, frame, frame + 1)
            if f >= 0
        ),
    )


class ResidualReader:
    """The residuals of one video: :meth:`job` returns the work, ``known`` keeps what it found.

    What is kept is a residual, None for a frame without masks, or a text that says what is wrong.
    """

    def __init__(self, video: Video, tracks: BoxTracks | None) -> None:
        self._video, self._tracks = video, tracks
        self._maker: Any = None
        self._known: OrderedDict[Key, Residual | str | None] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._known

    def __getitem__(self, key: Key) -> Residual | str | None:
        return self._known[key]

    def keep(self, key: Key, found: Residual | str | None) -> None:
        """Remember a frame's residual; the oldest ones are forgotten."""
        self._known[key] = found
        while len(self._known) > RESIDUAL_CACHE:
            self._known.popitem(last=False)

    def job(self, frame: int, shown: CorrectedMasks) -> Callable[[], Residual | None]:
        """Return a function that finds a frame's residual; call it in a thread (it needs torch).

        One at a time: they share what they have read of the video.
        """

        def find() -> Residual | None:
            from maskfree.tk_residual import ResidualMaker

            if self._maker is None:
                self._maker = ResidualMaker(self._video, self._tracks)
            found: Residual | None = self._maker.of(frame, shown.read)
            return found

        return find
