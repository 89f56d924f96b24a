"""True masks in a file or folder of annotations, of any format that holds masks."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError, InputWarning
from maskfree.formats import get_format, read
from maskfree.formats.base import list_names, present
from maskfree.ignore_masks import IgnoreMasks
from maskfree.numbered_names import NumberedNames
from maskfree.truth_masks import TrueFrame

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from maskfree.formats.base import Annotations, VideoFacts

__all__ = ["AnnotatedTruth", "read_annotated"]


@dataclasses.dataclass(frozen=True)
class AnnotatedTruth:
    """True masks among annotations; a frame whose masks are not known is not scored.

    Other than in a folder of indexed PNGs masks may overlap here, tracks have classes (where the
    format holds ``classes``), and what lies in the annotations' own ignore regions does not count.
    """

    path: Path
    annotations: Annotations
    classes: bool = True

    @property
    def name(self) -> str:
        """See `maskfree.truth_masks.TrueMasks.name`."""
        return str(self.path)

    @property
    def labels(self) -> Mapping[int, str]:
        """See `maskfree.truth_masks.TrueMasks.labels`."""
        tracks = self.annotations.boxes.tracks
        return {track.id: track.label for track in tracks} if self.classes else {}

    def frames_beside(self, frame_names: Sequence[str]) -> list[str]:
        """Return the names of its frames that are none of ``frame_names``.

        Raises
        ------
        InputError
            Where none of its frames is one of those.
        """
        places = self._places(frame_names)
        own = self.annotations.frame_names
        if len(places) == len(own):
            return []
        found = set(places.values())
        return [name for frame, name in enumerate(own) if frame not in found]

    def walk(self, frame_names: Sequence[str], void: int | None) -> Iterator[tuple[int, TrueFrame]]:
        """See `maskfree.truth_masks.TrueMasks.walk`.

        Raises
        ------
        InputError
            Where the frames are not those of the video, and where no masks are known.
        """
        ignored, found = IgnoreMasks(self.annotations.boxes).at, False
        places = self._places(frame_names)
        if left := len(self.annotations.frame_names) - len(places):
            warnings.warn(
                f"{self.path}: {left} frames are none of those that are scored, and left out.",
                InputWarning,
                stacklevel=2,
            )
        for frame, own in places.items():
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
        if list(names) == list(frame_names):
            return {frame: frame for frame in range(len(names))}
        found = _by_name(names, frame_names)
        if not found and isinstance(names, NumberedNames):  # they are no names, but numbers
            return {frame: frame for frame in range(min(len(names), len(frame_names)))}
        if found is None or (len(found) < len(names) == len(frame_names)):
            if len(names) != len(frame_names):
                raise InputError(
                    f"{self.path}: several of its frames, or of those that are scored, have one "
                    "name, so they cannot be told apart. Give annotations of the same frames."
                )
            warnings.warn(
                f"{self.path}: its frames are named {list_names(names)}, those that are scored "
                f"{list_names(frame_names)}. They are compared in order.",
                InputWarning,
                stacklevel=2,
            )
            return {frame: frame for frame in range(len(names))}
        if not found:
            raise InputError(
                f"{self.path}: no frame of it is one that is scored. Its frames are named "
                f"{list_names(names)}, those {list_names(frame_names)}. Rename the frames."
            )
        return dict(sorted(found.items()))


def _by_name(names: Sequence[str], frame_names: Sequence[str]) -> dict[int, int] | None:
    """Return frame to place among ``names``: of the same name, else the same number.

    None where frames share a name, or a number.
    """
    frames = {name: frame for frame, name in enumerate(frame_names)}
    numbers = {int(name): frame for name, frame in frames.items() if name.isdecimal()}
    found: dict[int, int] = {}
    for place, name in enumerate(names):
        frame = frames.get(name)
        if frame is None and name.isdecimal():
            frame = numbers.get(int(name))
        if frame is None:
            continue
        if frame in found:
            return None
        found[frame] = place
    shared = len(frames) < len(frame_names) or len(set(names)) < len(names)
    return None if shared else found


def read_annotated(
    path: str | os.PathLike[str],
    format_name: str,
    *,
    video: VideoFacts | None = None,
) -> AnnotatedTruth:
    """Read true masks from annotations; ``video``: what is known of the video that is scored.

    Raises
    ------
    InputError
        For an unknown format, and where ``path`` cannot be read.
    """
    classes = get_format(format_name).holds_classes
    return AnnotatedTruth(Path(path), read(path, format_name, video=video), classes)
