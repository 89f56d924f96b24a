"""What a person said about a mask: pixels that are the object, pixels that are not, or all of it.

A correction stands above every prediction: whatever a later run makes of the frame, these pixels
stay as the person left them. Most teach the next run. Those of a *gold* frame do not: they are the
truth that runs are scored against.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from maskfree import rle
from maskfree.errors import InputError
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Correction",
    "apply_corrections",
    "from_labels",
    "is_gold",
    "rename_tracks",
    "without_track",
]

ACCEPTED_SCORE, CARRIED_SCORE = 1.0, 0.0
"""Score of a mask that a person vouches for, and of one that was carried here and not predicted."""


@dataclasses.dataclass(frozen=True)
class Correction:
    """One track in one frame. Two of them are equal when they say the same.

    ``size``: (height, width) of the frame; ``object_counts``, ``other_counts``: the pixels that a
    person said are the object, and those that are not, as COCO run lengths; no pixel is in both.
    ``accepted``: the person vouches for the whole mask, so every pixel is in one of the two.
    ``carried``: the frame from which the pixels were carried here, while nobody has looked at them
    yet (see :mod:`maskfree.carry`); None: a person's own word.
    ``gold``: it is kept out of training, and runs are scored against it; only what was accepted is.
    """

    size: tuple[int, int]
    object_counts: str
    other_counts: str
    accepted: bool = False
    gold: bool = False
    carried: int | None = None

    @classmethod
    def make(
        cls, is_object: np.ndarray, is_other: np.ndarray, *, carried: int | None = None
    ) -> Correction:
        """Make one of two bool ``(H, W)``; it is accepted where they leave no pixel open.

        Raises
        ------
        ValueError
            Where they differ in shape or share a pixel.
        """
        if is_object.shape != is_other.shape or is_object.ndim != 2:
            raise ValueError(
                f"expected two masks (H, W) of one shape, got {is_object.shape} and "
                f"{is_other.shape}. Pass the masks of one frame."
            )
        if (is_object & is_other).any():
            raise ValueError("a pixel is the object or it is not, got some that are both. Choose.")
        one, other = rle.encode(np.stack([is_object, is_other]))
        whole = bool((is_object | is_other).all())
        height, width = is_object.shape
        return cls((height, width), one, other, accepted=whole and carried is None, carried=carried)

    @classmethod
    def from_counts(
        cls,
        size: tuple[int, int],
        object_counts: str,
        other_counts: str,
        *,
        gold: bool = False,
        carried: int | None = None,
    ) -> Correction:
        """Make one of run lengths as they are on disk, without decoding a mask.

        Raises
        ------
        ValueError
            Where they do not fill the frame, or share a pixel, or leave one open that is gold.
        """
        area, taken, spans = size[0] * size[1], 0, []
        for counts in (object_counts, other_counts):
            runs = rle.run_lengths(counts)
            rle.check_runs(runs, *size)
            ends = np.cumsum(runs)
            spans.append(np.stack([ends[0::2][: len(ends) // 2], ends[1::2]], 1))
            taken += int(runs[1::2].sum())
        both = np.concatenate(spans)
        both = both[both[:, 0] < both[:, 1]]
        both = both[np.argsort(both[:, 0])]
        if (both[1:, 0] < both[:-1, 1]).any():
            raise ValueError("a pixel is the object or it is not, got some that are both. Choose.")
        if gold and carried is not None:
            raise ValueError("a gold mask was looked at, got a carried one.")
        if gold and taken != area:
            raise ValueError(f"a gold mask leaves no pixel open, got {area - taken} open ones.")
        whole = taken == area and carried is None
        return cls(size, object_counts, other_counts, accepted=whole, gold=gold, carried=carried)

    @classmethod
    def whole(cls, mask: np.ndarray, *, gold: bool = False) -> Correction:
        """Vouch for a mask, bool ``(H, W)``, as it is."""
        return dataclasses.replace(cls.make(mask, ~mask), gold=gold)

    @property
    def is_object(self) -> np.ndarray:
        """The pixels that a person said are the object: bool ``(H, W)``."""
        return rle.decode(self.object_counts, *self.size)

    @property
    def is_other(self) -> np.ndarray:
        """The pixels that a person said are not the object: bool ``(H, W)``."""
        return rle.decode(self.other_counts, *self.size)

    @functools.cached_property
    def has_object(self) -> bool:
        """Whether a person said of any pixel that it is the object."""
        return len(rle.run_lengths(self.object_counts)) > 1

    @property
    def is_reviewed(self) -> bool:
        """Whether a person looked at the mask: it only lost pixels to another track otherwise.

        Nobody looked at what was carried here.
        """
        return self.accepted or (self.has_object and self.carried is None)

    def apply(self, mask: np.ndarray) -> np.ndarray:
        """Return a mask, bool ``(H, W)``, with this correction."""
        corrected: np.ndarray = (mask | self.is_object) & ~self.is_other
        return corrected

    def painted(self, on: np.ndarray, off: np.ndarray) -> Correction:
        """Return this correction with ``on`` made the object and ``off`` not; both bool (H, W).

        What was carried counts as looked at then.
        """
        made = Correction.make((self.is_object | on) & ~off, (self.is_other | off) & ~on)
        return dataclasses.replace(made, gold=self.gold)


def is_gold(corrections: Mapping[int, Correction]) -> bool:
    """Whether a person marked a frame, by its corrections by track id, as gold."""
    return any(own.gold for own in corrections.values())


def from_labels(
    before: np.ndarray, after: np.ndarray, known: Mapping[int, Correction]
) -> dict[int, Correction]:
    """Return a frame's corrections once a person has painted on its labels.

    A pixel that went from one track to another is taken from the one and given to the other. In a
    gold frame a track that was not gold becomes so, with the mask that it has now.

    Parameters
    ----------
    before, after
        Track ids by pixel, integer ``(H, W)``, 0 for none.
    known
        The frame's corrections by track id so far.

    Returns
    -------
    dict
        The corrections by track id, those of other tracks as they were.
    """
    changed = before != after
    result = dict(known)
    for track_id in np.unique(np.concatenate([before[changed], after[changed]])):
        if track_id:
            on, off = changed & (after == track_id), changed & (before == track_id)
            own = result.get(int(track_id))
            made = own.painted(on, off) if own is not None else Correction.make(on, off)
            if own is not None and not on.any() and not (off & (after == 0)).any():
                made = dataclasses.replace(made, carried=own.carried)  # only lost to another track
                made = dataclasses.replace(made, accepted=made.accepted and made.carried is None)
            if is_gold(known) and not made.gold:
                made = Correction.whole(after == track_id, gold=True)
            result[int(track_id)] = made
    return result


def without_track(
    frames: Mapping[int, Mapping[int, Correction]],
    track_id: int,
    first: int = 0,
    last: int | None = None,
) -> dict[int, dict[int, Correction]]:
    """Return those of the frames ``first`` to ``last``, both included, that lose a track's word."""
    return {
        frame: {i: c for i, c in known.items() if i != track_id}
        for frame, known in frames.items()
        if frame >= first and (last is None or frame <= last) and track_id in known
    }


def rename_tracks(
    frames: Mapping[int, Mapping[int, Correction]], ids: Mapping[int, int], first: int
) -> dict[int, dict[int, Correction]]:
    """Return the frames that change where the tracks ``ids`` have other ids from ``first`` on.

    Parameters
    ----------
    frames
        Corrections by frame and track id.
    ids
        New id by old; where one is taken by a track that keeps it, the newcomer's pixels win,
        unless all that is said of the newcomer is that it is nowhere.
    first
        The first frame that is meant.
    """
    changed = {}
    for frame, known in frames.items():
        if frame < first or not ids.keys() & known.keys():
            continue
        now = {i: c for i, c in known.items() if i not in ids}
        for old, new in ids.items():
            if old in known:
                own, there = known[old], now.get(new)
                now[new] = own if there is None else _joined(there, own)
        changed[frame] = now
    return changed


def _joined(there: Correction, newcomer: Correction) -> Correction:
    """Return both in one; what nobody looked at gives way to a person's word."""
    if (there.carried is None) != (newcomer.carried is None):
        return there if there.carried is None else newcomer
    if there.carried is not None:
        is_object = there.is_object | newcomer.is_object
        is_other = (there.is_other | newcomer.is_other) & ~is_object
        return Correction.make(is_object, is_other, carried=there.carried)
    if there.accepted and not there.has_object:
        made = newcomer
    elif newcomer.accepted and not newcomer.has_object:
        made = there
    else:
        made = there.painted(newcomer.is_object, newcomer.is_other)
    return dataclasses.replace(made, gold=made.accepted and (there.gold or newcomer.gold))


def apply_corrections(
    masks: InstanceMasks | None, corrections: Mapping[int, Correction]
) -> InstanceMasks | None:
    """Return a frame's masks as a person left them.

    What a person said is one track's pixel is no other's, unless a person said that too. A track
    that only the person drew comes last. What was accepted has the score 1; what was corrected
    keeps the prediction's, and 1 where there is none (0 where it was carried here). A track of
    which no pixel is left has no mask.

    Raises
    ------
    InputError
        Where they are for frames of another size.
    """
    if not corrections:
        return masks
    size = next(iter(corrections.values())).size
    if masks is not None and masks.masks.shape[1:] != size:
        height, width = masks.masks.shape[1:]
        raise InputError(
            f"The corrections are for frames of {size[1]} x {size[0]} pixels (width x height), the "
            f"masks are {width} x {height}. Move the folder corrections out of the session, or "
            "open the session with the video that they were made on."
        )
    predicted = {} if masks is None else dict(zip(masks.track_ids, masks.masks, strict=True))
    scores = {} if masks is None else dict(zip(masks.track_ids, masks.scores, strict=True))
    ids = [*predicted, *(i for i in corrections if i not in predicted)]
    everyone = np.any([own.is_object for own in corrections.values()], axis=0)
    found = []
    for track_id in ids:
        own = corrections.get(track_id)
        mask = predicted.get(track_id, np.zeros(size, bool)) & ~everyone
        if own is not None:
            mask = own.apply(mask)
            if own.accepted or track_id not in scores:
                scores[track_id] = ACCEPTED_SCORE if own.carried is None else CARRIED_SCORE
        if mask.any():
            found.append((track_id, mask, scores[track_id]))
    return InstanceMasks(
        tuple(i for i, _, _ in found),
        np.stack([m for _, m, _ in found]) if found else np.zeros((0, *size), bool),
        tuple(s for _, _, s in found),
    )
