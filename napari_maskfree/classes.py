"""The classes in the window: which one a new track gets, and what has which colour. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from maskfree import track_classes as tc
from maskfree.colours import track_colour
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.types import BoxTracks
    from napari_maskfree.state import State

    RGB = tuple[int, int, int]

__all__ = ["DIGITS", "Classes"]

DIGITS = 9
"""Classes that have a digit key."""
_FIRST = "object"


class Classes:
    """The classes of the state's tracks. Signals fire after the change; all changes can be undone.

    ``active_changed``: another class is chosen. ``colouring_changed``: by track or by class.
    """

    active_changed = Signal()
    colouring_changed = Signal()

    def __init__(self, state: State) -> None:
        self._state = state
        self._chosen: str | None = None
        self.by_class = False
        self._known: tuple[BoxTracks | None, bool] | None = None
        self._colours: dict[int, RGB] = {}

    # ---- which there are

    @property
    def names(self) -> tuple[str, ...]:
        """All classes in order; the first nine have the digits 1 to 9."""
        tracks = self._state.tracks
        return tc.class_names(tracks) if tracks is not None else ()

    @property
    def active(self) -> str:
        """The class of the next new track: the chosen one, else that of the last track."""
        names, tracks = self.names, self._state.tracks
        if self._chosen in names:
            return str(self._chosen)
        if tracks is not None and tracks.tracks:
            return tracks.tracks[-1].label
        return names[0] if names else _FIRST

    def choose(self, name: str) -> None:
        """Let new tracks be of this class."""
        if name != self._chosen:
            self._chosen = name
            self.active_changed.emit()

    def count(self, name: str) -> int:
        """Return how many tracks are of a class."""
        tracks = self._state.tracks
        return sum(t.label == name for t in tracks.tracks) if tracks is not None else 0

    # ---- changes, each one step of undo

    def add(self, name: str) -> None:
        """Add a class and choose it.

        Raises
        ------
        InputError
            For a blank name or one that is taken.
        """
        name = name.strip()
        self._apply(f"add class {name}", tc.add_class(self._tracks(), name))
        self.choose(name)

    def rename(self, old: str, new: str) -> None:
        """Rename a class on all its tracks; with a name that is taken the two become one."""
        new, word = new.strip(), "merge" if new.strip() in self.names else "rename"
        if new == old:
            return
        was_active = self.active == old
        changed = tc.rename_class(self._tracks(), old, new)
        self._apply(f"{word} class {old} {'in' if word == 'merge' else ''}to {new}", changed)
        if was_active:
            self.choose(new)

    def remove(self, name: str) -> None:
        """Remove a class that no track has.

        Raises
        ------
        InputError
            Where a track has it.
        """
        self._apply(f"remove class {name}", tc.remove_class(self._tracks(), name))

    def give(self, track_id: int, name: str) -> None:
        """Put a track into a class."""
        track = self._state.track(track_id)
        if track is not None and track.label != name:
            changed = tc.reclass_track(self._tracks(), track_id, name)
            self._apply(f"re-class track {track_id} to {name}", changed)

    def press(self, digit: int) -> None:
        """Choose the class of a digit key, and put the selected track into it.

        Raises
        ------
        InputError
            Where no class has that digit.
        """
        names = self.names
        if not 1 <= digit <= min(len(names), DIGITS):
            raise InputError(f"There is no class {digit} yet. Add one in section 2.")
        self.choose(names[digit - 1])
        if self._state.selected is not None:
            self.give(self._state.selected, names[digit - 1])

    # ---- colours

    def set_by_class(self, on: bool) -> None:
        """Colour boxes, masks and timeline by class, or by track."""
        if on != self.by_class:
            self.by_class = on
            self.colouring_changed.emit()

    def class_colour(self, name: str) -> RGB:
        """Return a class's RGB colour (0 to 255)."""
        return track_colour(self.names.index(name) + 1)

    def colours(self) -> Mapping[int, RGB]:
        """Return the RGB colour (0 to 255) of every track by its id."""
        tracks = self._state.tracks
        if self._known is None or self._known[0] is not tracks or self._known[1] != self.by_class:
            if tracks is not None and self.by_class:
                self._colours = tc.class_colours(tracks)
            else:
                each = tracks.tracks if tracks is not None else ()
                self._colours = {t.id: track_colour(t.id) for t in each}
            self._known = tracks, self.by_class
        return self._colours

    def colour(self, track_id: int) -> RGB:
        """Return the RGB colour (0 to 255) of a track; by its id where there is none of it."""
        known = self.colours().get(track_id)
        return track_colour(track_id) if known is None else known

    # ---- inside

    def _tracks(self) -> BoxTracks:
        if self._state.tracks is None:
            raise InputError("There are no boxes yet. Press New boxes layer (section 2).")
        return self._state.tracks

    def _apply(self, name: str, tracks: BoxTracks) -> None:
        self._state.apply(name, tracks)
