"""Matches of frame pairs that were matched before.

Matching depends on the frames' Lab alone, not on instances, weights or the step. So what was found
for a pair of frames holds whenever a training clip shows the same two again, or both mirrored. A
frame is known by its content: what is served is what would be found.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

import torch

from maskfree.correspondence import directed_pairs, list_matches, match_clip
from maskfree.kernels.nearest import nearest
from maskfree.search_window import candidate_offsets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import TemporalKNNConfig
    from maskfree.types import Matches

__all__ = ["MatchCache"]

_Key: TypeAlias = tuple[bytes, bytes]
_Found: TypeAlias = tuple[torch.Tensor, torch.Tensor]
_DIGEST = 16
"""Bytes of a frame's digest."""
_MEGABYTE = 10**6


class MatchCache:
    """Matches clips, each pair of frames once; the pairs used longest ago are dropped first.

    Parameters
    ----------
    config
        As for :func:`maskfree.correspondence.match_clip`; ``kept_matches`` bounds the memory.

    Notes
    -----
    A pair and its mirror image are one entry, searched in one of the two orientations (whichever
    digest is smaller, so that it does not depend on what came before). In the other one the search
    itself would add up each patch from the other side and meet equally distant candidates in
    another order: distances may differ in the last place, and of candidates that are equally far
    and equally displaced the mirrored one may be taken. Nothing else differs.
    """

    def __init__(self, config: TemporalKNNConfig) -> None:
        self.config = config
        self.hits = self.misses = 0
        self._limit = config.kept_matches * _MEGABYTE
        self._bytes = 0
        self._kept: OrderedDict[_Key, _Found] = OrderedDict()
        self._mirror = _mirrored_offsets(config)

    def match_clip(self, lab: torch.Tensor) -> list[tuple[tuple[int, int], Matches]]:
        """Return what :func:`maskfree.correspondence.match_clip` returns for ``lab``.

        On a GPU nothing is kept: there matching is sooner done than a frame is known.
        """
        pairs = directed_pairs(len(lab), self.config)
        if lab.device.type != "cpu" or not pairs:
            return match_clip(lab, config=self.config)
        lab = lab.detach()
        turned = lab.flip(-1)
        known, known_turned = _digests(lab), _digests(turned)
        keys, frames, mirrored = [], [], []
        for a, b in pairs:
            key, other = (known[a], known[b]), (known_turned[a], known_turned[b])
            mirrored.append(other < key)
            keys.append(min(key, other))
            frames.append((turned[a], turned[b]) if other < key else (lab[a], lab[b]))
        found = [
            (self._mirror[index.flip(-1).long()], distance.flip(-1))
            if other
            else (index.long(), distance)
            for other, (index, distance) in zip(mirrored, self._find(keys, frames), strict=True)
        ]
        index, distance = (torch.stack(each) for each in zip(*found, strict=True))
        return list(zip(pairs, list_matches(index, distance, self.config), strict=True))

    def _find(
        self, keys: Sequence[_Key], frames: Sequence[tuple[torch.Tensor, torch.Tensor]]
    ) -> list[_Found]:
        """Return what was found for each key; search at once for all that are not kept."""
        missing = {
            key: pair for key, pair in zip(keys, frames, strict=True) if key not in self._kept
        }
        self.hits += len(keys) - len(missing)
        self.misses += len(missing)
        found = {key: self._kept[key] for key in keys if key in self._kept}
        if missing:
            source, target = (torch.stack(each) for each in zip(*missing.values(), strict=True))
            index, distance = nearest(source, target, self.config)
            small = index.to(torch.int16)
            found.update(zip(missing, zip(small, distance, strict=True), strict=True))
        for key in keys:
            self._keep(key, found[key])
        return [found[key] for key in keys]

    def _keep(self, key: _Key, found: _Found) -> None:
        if key not in self._kept:
            self._kept[key] = found[0].clone(), found[1].clone()  # not the whole clip's memory
            self._bytes += _size(found)
        self._kept.move_to_end(key)
        while self._bytes > self._limit:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


def _size(found: _Found) -> int:
    return sum(each.nbytes for each in found)


def _digests(lab: torch.Tensor) -> list[bytes]:
    """Return what each frame is known by: size, type and every value."""
    about = f"{tuple(lab.shape[1:])} {lab.dtype}".encode()
    return [
        hashlib.blake2b(frame.numpy().tobytes(), digest_size=_DIGEST, key=about).digest()
        for frame in lab
    ]


def _mirrored_offsets(config: TemporalKNNConfig) -> torch.Tensor:
    """Return for each candidate the place of the one mirrored left and right; none stays none."""
    offsets = candidate_offsets(config)
    place = {offset: i for i, offset in enumerate(offsets)}
    return torch.tensor([*(place[y, -x] for y, x in offsets), len(offsets)])
