"""True masks: a folder of indexed PNGs, and which frame of a video each of them belongs to."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import list_names
from maskfree.formats.indexed_png import list_pngs, read_ids

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Mapping, Sequence

__all__ = ["TrueFrame", "TrueMasks", "Truth", "match_frame_names", "match_names", "read_truth"]


@dataclasses.dataclass(frozen=True)
class TrueFrame:
    """The true masks of one frame.

    ``masks``: bool ``(H, W)`` by id, each with a pixel; ``shape``: ``(H, W)``; ``hidden``: pixels
    that do not count, bool ``(H, W)``, None where all do; ``source``: where it comes from, for
    messages.
    """

    masks: Mapping[int, np.ndarray]
    shape: tuple[int, ...]
    hidden: np.ndarray | None
    source: str

    def shown(self, ignored: np.ndarray | None) -> tuple[dict[int, np.ndarray], np.ndarray | None]:
        """Return the masks without the pixels that do not count, and those pixels.

        ``ignored``: more of them, bool ``(H, W)``, None where there are none. A mask without a
        pixel left is left out.
        """
        hidden = self.hidden if ignored is None else ignored
        if ignored is not None and self.hidden is not None:
            hidden = ignored | self.hidden
        if hidden is None:
            return dict(self.masks), None
        left = {i: mask & ~hidden for i, mask in self.masks.items()}
        return {i: mask for i, mask in left.items() if mask.any()}, hidden


class TrueMasks(Protocol):
    """What predicted masks are scored against."""

    @property
    def name(self) -> str:
        """What messages call it: the path of the folder or file."""

    @property
    def labels(self) -> Mapping[int, str]:
        """The class of each track; one that is left out has that of the predicted track."""

    def walk(self, frame_names: Sequence[str], void: int | None) -> Iterator[tuple[int, TrueFrame]]:
        """Yield frame number and masks of each frame that has them, in order.

        ``frame_names``: of the video's frames; ``void``: the id that stands for what does not
        count, None: none does.
        """


@dataclasses.dataclass(frozen=True)
class Truth:
    """A folder of true masks: the stem of each file, in natural order, to its path."""

    folder: Path
    files: Mapping[str, Path]

    def ids(self, name: str) -> np.ndarray:
        """Return the ids of one file, uint8 or uint16 ``(H, W)``; 0 is background."""
        return read_ids(self.files[name])

    @property
    def name(self) -> str:
        """See `TrueMasks.name`."""
        return str(self.folder)

    @property
    def labels(self) -> Mapping[int, str]:
        """See `TrueMasks.labels`: a picture of ids has no classes."""
        return {}

    def walk(self, frame_names: Sequence[str], void: int | None) -> Iterator[tuple[int, TrueFrame]]:
        """See `TrueMasks.walk`."""
        for frame, name in match_names(self, frame_names).items():
            ids = self.ids(name)
            values = np.flatnonzero(np.bincount(ids.ravel())).tolist()
            masks = {value: ids == value for value in values if value}
            hidden = None if void is None else masks.pop(void, None)
            yield frame, TrueFrame(masks, ids.shape, hidden, str(self.files[name]))


def read_truth(folder: str | os.PathLike[str]) -> Truth:
    """Find the true masks in a folder of indexed PNGs named by frame.

    Raises
    ------
    InputError
        When the folder is missing or holds no PNG.
    """
    place = Path(folder)
    return Truth(place, {stem: place / name for stem, name in list_pngs(place).items()})


def match_names(truth: Truth, frame_names: Sequence[str]) -> dict[int, str]:
    """Return frame number to the name of its true mask, in order of frame.

    See `match_frame_names`.
    """
    return match_frame_names(truth.files, frame_names, str(truth.folder))


def match_frame_names(
    names: Collection[str], frame_names: Sequence[str], where: str
) -> dict[int, str]:
    """Return frame number to the one of ``names`` that belongs to it, in order of frame.

    A mask belongs to the frame of its name; where none has it and the name is a number, to the
    frame whose name is the same number (``7`` and ``00007``). Masks that fit no frame are left out
    with a warning. ``where``: what the masks are in, for messages.

    Raises
    ------
    InputError
        When no mask fits a frame, two fit the same one, or frames share a name.
    """
    by_name = {name: frame for frame, name in enumerate(frame_names)}
    if len(by_name) < len(frame_names):
        raise InputError(
            f"Several frames have one name ({list_names(frame_names)}), so masks in {where} cannot "
            "be told apart by it. Give true masks as annotations of the same frames."
        )
    by_number = {int(name): frame for name, frame in by_name.items() if name.isdecimal()}
    matched: dict[int, str] = {}
    unmatched = []
    for name in names:
        frame = by_name.get(name)
        if frame is None and name.isdecimal():
            frame = by_number.get(int(name))
        if frame is None:
            unmatched.append(name)
        elif frame in matched:
            raise InputError(
                f'{where}: "{matched[frame]}" and "{name}" are both masks of frame '
                f'"{frame_names[frame]}". Remove one.'
            )
        else:
            matched[frame] = name
    if not matched:
        raise InputError(
            f"{where}: no mask is named after a frame. The masks are named "
            f"{list_names(unmatched)}, the frames {list_names(frame_names)}. Rename the masks."
        )
    if unmatched:
        warnings.warn(
            f"{where}: {len(unmatched)} masks are named after no frame and are left out: "
            f"{list_names(unmatched)}.",
            InputWarning,
            stacklevel=2,
        )
    return dict(sorted(matched.items()))
