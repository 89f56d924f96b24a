"""The ignore regions in the window: drawn, moved, held over frames, deleted. No Qt here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree import ignore_regions as ir
from maskfree.errors import InputError
from maskfree.types import IgnoreRegion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from maskfree.types import BoxTracks
    from napari_maskfree.state import State

__all__ = ["Ignoring", "spans_of", "words_of"]

_LEAST = 2.0
"""Pixels: a smaller region is a click that slipped."""


def words_of(region: IgnoreRegion) -> str:
    """Say in which frames a region holds."""
    if region.until is None:
        return "all frames" if region.frame == 0 else f"from frame {region.frame} on"
    if region.until == region.frame:
        return f"frame {region.frame}"
    return f"frames {region.frame} to {region.until}"


def spans_of(regions: Sequence[IgnoreRegion], num_frames: int) -> list[tuple[int, int]]:
    """Return the stretches of frames in which some region holds: first and last, in order."""
    found: list[tuple[int, int]] = []
    last = num_frames - 1
    for first, end in sorted((r.frame, last if r.until is None else r.until) for r in regions):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((first, end))
    return found


class Ignoring:
    """The ignore regions of the state's video; each change is one step of undo.

    A region is named by its place in ``all``, counted from 0; a person sees it counted from 1.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def all(self) -> tuple[IgnoreRegion, ...]:
        """All regions, in the order in which they were drawn."""
        tracks = self._state.tracks
        return tracks.ignore if tracks is not None else ()

    def here(self) -> dict[int, IgnoreRegion]:
        """Return the regions that hold in the shown frame, by their place."""
        return self.at(self._state.frame)

    def at(self, frame: int) -> dict[int, IgnoreRegion]:
        """Return the regions that hold in a frame, by their place."""
        tracks = self._state.tracks
        return ir.regions_at(tracks, frame) if tracks is not None else {}

    def said(self, frame: int) -> str:
        """Say after a frame's number which regions hold in it; empty text where none does."""
        places = [str(place + 1) for place in self.at(frame)]
        many = "s" * (len(places) > 1)
        where = f" · ignore region{many} {', '.join(places)}: no loss and no score looks there"
        return where if places else ""

    def draw(self, corners: Sequence[tuple[float, float]], frame: int | None = None) -> None:
        """Add a region that holds in a frame (by default the shown one) alone.

        ``corners``: (x, y) in pixels of the video; what reaches beyond the frame is cut.

        Raises
        ------
        InputError
            For one that is too small, flat, or wholly outside the frame.
        """
        frame = self._state.frame if frame is None else frame
        _check_size(corners)
        region = IgnoreRegion(tuple(corners), frame, frame)
        self._apply(f"ignore region at frame {frame}", ir.add_region(self._tracks(), region))

    def reshape(self, place: int, corners: Sequence[tuple[float, float]]) -> None:
        """Give a region another outline, in all frames in which it holds.

        Raises
        ------
        InputError
            As :meth:`draw`.
        """
        _check_size(corners)
        now = dataclasses.replace(self._region(place), polygon=tuple(corners))
        changed = ir.replace_region(self._tracks(), place, now)
        self._apply(f"move ignore region {place + 1}", changed)

    def remove(self, places: Iterable[int]) -> None:
        """Delete regions, in all frames in which they hold."""
        gone = sorted(set(places))
        if gone:
            words = ", ".join(str(place + 1) for place in gone)
            self._apply(f"delete ignore region {words}", ir.remove_regions(self._tracks(), gone))

    def hold_everywhere(self, place: int) -> None:
        """Let a region hold in all frames, as a time stamp needs it."""
        self._hold(place, 0, None)

    def hold_to_here(self, place: int) -> None:
        """Let a region hold from its own frames up to the shown one, whichever side that is on."""
        region, frame = self._region(place), self._state.frame
        until = region.until
        if not ir.holds_at(region, frame):
            assert until is not None or frame < region.frame
            until = until if until is None else max(until, frame)
            self._hold(place, min(region.frame, frame), until)

    def hold_here_alone(self, place: int) -> None:
        """Let a region hold in the shown frame alone."""
        self._hold(place, self._state.frame, self._state.frame)

    def _hold(self, place: int, frame: int, until: int | None) -> None:
        now = dataclasses.replace(self._region(place), frame=frame, until=until)
        changed = ir.replace_region(self._tracks(), place, now)
        self._apply(f"ignore region {place + 1} in {words_of(now)}", changed)

    def _region(self, place: int) -> IgnoreRegion:
        if not 0 <= place < len(self.all):
            raise InputError("Choose an ignore region in the list first, or draw one.")
        return self.all[place]

    def _tracks(self) -> BoxTracks:
        if self._state.tracks is None:
            self._state.start_boxes()
        assert self._state.tracks is not None
        return self._state.tracks

    def _apply(self, name: str, tracks: BoxTracks) -> None:
        self._state.apply(name, tracks)


def _check_size(corners: Sequence[tuple[float, float]]) -> None:
    x, y = zip(*corners, strict=True) if corners else ((0.0,), (0.0,))
    across, down = max(x) - min(x), max(y) - min(y)
    if across < _LEAST or down < _LEAST:
        raise InputError(
            f"An ignore region must be at least {_LEAST:g} x {_LEAST:g} pixels, got "
            f"{across:.1f} x {down:.1f}. Drag a larger rectangle, or draw a polygon (P)."
        )
