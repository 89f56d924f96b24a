"""True masks in a file or folder of annotations, of any format that holds masks."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError, InputWarning
from maskfree.formats import read
from maskfree.formats.base import list_names, present
from maskfree.ignore_masks import IgnoreMasks
from maskfree.numbered_names import NumberedNames
from maskfree.truth_masks import TrueFrame, match_frame_names

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from maskfree.formats.base import Annotations, VideoFacts

__all__ = ["AnnotatedTruth", "read_annotated"]


@dataclasses.dataclass(frozen=True)
class AnnotatedTruth:
    """True masks among annotations; a frame whose masks are not known is not scored.

    Other than in a folder of indexed PNGs masks may overlap here, tracks have classes, and what
    lies in the annotations' own ignore regions does not count.
    """

    path: Path
    annotations: Annotations

    @property
    def name(self) -> str:
        """See `maskfree.truth_masks.TrueMasks.name`."""
        return str(self.path)

    @property
    def labels(self) -> Mapping[int, str]:
        """See `maskfree.truth_masks.TrueMasks.labels`."""
        return {track.id: track.label for track in self.annotations.boxes.tracks}

    def walk(self, frame_names: Sequence[str], void: int | None) -> Iterator[tuple[int, TrueFrame]]:
        """See `maskfree.truth_masks.TrueMasks.walk`.

        Raises
        ------
        InputError
            Where the frames are not those of the video, and where no masks are known.
        """
        ignored, found = IgnoreMasks(self.annotations.boxes).at, False
        for frame, own in self._places(frame_names).items():
            masks = self.annotations.read_masks(own)
            if masks is None:
                continue
            found = True
            shown = dict(sorted(present(masks).items()))
            hidden = ignored(own)
            if void is not None and void in shown:
                beyond = shown.pop(void)
                hidden = beyond if hidden is None else hidden | beyond
            source = f"{self.path}, frame {own},"
            yield frame, TrueFrame(shown, masks.masks.shape[1:], hidden, source)
        if not found:
            raise InputError(
                f"{self.path} holds no masks of the video's frames. Give annotations with masks: "
                "boxes are not scored."
            )

    def _places(self, frame_names: Sequence[str]) -> dict[int, int]:
        """Return the video's frame to the annotations' own: by name, else in order."""
        names = self.annotations.frame_names
        in_order = {frame: frame for frame in range(len(names))}
        if isinstance(names, NumberedNames) and len(names) <= len(frame_names):
            return in_order  # it has no names: they are its frames' numbers
        places = {name: place for place, name in enumerate(names)}
        if len(names) == len(frame_names) and any(name not in places for name in frame_names):
            warnings.warn(
                f"{self.path}: its frames are named {list_names(names)}, those that are scored "
                f"{list_names(frame_names)}. They are compared in order.",
                InputWarning,
                stacklevel=2,
            )
            return in_order
        matched = match_frame_names(places, frame_names, self.name)
        return {frame: places[name] for frame, name in matched.items()}


def read_annotated(
    path: str | os.PathLike[str], format_name: str, *, video: VideoFacts | None = None
) -> AnnotatedTruth:
    """Read true masks from annotations; ``video``: what is known of the video that is scored.

    Raises
    ------
    InputError
        For an unknown format, and where ``path`` cannot be read.
    """
    return AnnotatedTruth(Path(path), read(path, format_name, video=video))
