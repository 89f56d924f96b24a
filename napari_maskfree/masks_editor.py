"""Keeps the masks layer and the state's corrections the same while a person paints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.tracks import next_track_id
from napari_maskfree import correct
from napari_maskfree.given_labels import why_no_masks
from napari_maskfree.inside_box import keep_inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels

    from napari_maskfree.state import State

__all__ = ["MasksEditor"]

_NEW_LABEL, _PLANE = "M", 2


class MasksEditor:
    """What napari's tools paint on the layer goes to the state; what the state says is shown.

    Parameters
    ----------
    state
        Listened to and changed.
    layer
        A Labels layer over a :class:`~.masks_layer.MaskStack`.
    defer
        Calls a function once the current event is over.
    notify
        Shows a sentence to the person.
    """

    def __init__(
        self,
        state: State,
        layer: Labels,
        *,
        defer: Callable[[Callable[[], None]], None],
        notify: Callable[[str], None],
    ) -> None:
        self.state, self.layer = state, layer
        self._defer, self._notify = defer, notify
        self._said: tuple[int, set[int]] | None = None
        self._stack = layer.data
        layer.events.data.connect(self._on_data)
        layer.mouse_drag_callbacks.append(self._begin)
        layer.events.paint.connect(self._on_paint)
        layer.events.selected_label.connect(self._on_label)
        layer.events.n_edit_dimensions.connect(self._on_dimensions)
        for key, action in (
            ("Control-Z", state.undo),
            ("Control-Shift-Z", state.redo),
            (_NEW_LABEL, self._new_label),
        ):
            layer.bind_key(key, lambda _, call=action: call(), overwrite=True)
        state.corrections.changed.connect(self._on_corrections)
        state.selection_changed.connect(self._on_track)
        self._on_track()

    def close(self) -> None:
        """Stop following layer and state; the layer can be looked at, and painted on no more."""
        if self.state.tracks is not None:
            self.commit()
        for key in ("Control-Z", "Control-Shift-Z", _NEW_LABEL):
            self.layer.bind_key(key, None, overwrite=True)
        self.layer.editable = False
        if self._begin in self.layer.mouse_drag_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._begin)
        self.layer.events.data.disconnect(self._on_data)
        self.layer.events.n_edit_dimensions.disconnect(self._on_dimensions)
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.selected_label.disconnect(self._on_label)
        self.state.corrections.changed.disconnect(self._on_corrections, missing_ok=True)
        self.state.selection_changed.disconnect(self._on_track, missing_ok=True)

    def _begin(self, _layer: Labels, _event: Any) -> None:
        """Begin a stroke: what was said of the last one may be said again."""
        self._said = None

    def _on_data(self, _event: Any = None) -> None:
        """Take other labels that somebody put into the layer for painted ones, where they can be.

        The layer always shows the session's masks; labels that cannot be taken leave them alone.
        """
        if self.layer.data is self._stack:
            return
        given, self.layer.data = self.layer.data, self._stack
        tracks = self.state.tracks.tracks if self.state.tracks is not None else ()
        why = why_no_masks(given, self._stack.shape, {t.id for t in tracks})
        if why:
            self._notify(why)
            return
        for frame in range(self._stack.num_frames):
            place = self._stack.place(frame)
            if not np.array_equal(given[place], self._stack[place]):
                self._stack[place] = given[place]
        self.commit()

    def _on_paint(self, _event: Any = None) -> None:
        """Take over soon: napari says so before it writes where it fills or paints one dab."""
        self._defer(self.commit)

    def commit(self) -> None:
        """Take over what was painted since the last time."""
        painted, cut = {}, []
        for frame, (before, drawn) in self.layer.data.edits().items():
            after = self._inside(frame, before, drawn) if self.state.keep_inside_box else drawn
            painted[frame] = before, after
            if after is not drawn:
                cut.append(frame)
        for track_id in correct.paint_frames(self.state, painted):
            self._notify(f"What was painted is the new track {track_id}.")
        if cut:
            self._on_corrections(tuple(cut))

    def _inside(self, frame: int, before: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return what was painted in the boxes; say once a stroke of which tracks there is none."""
        tracks = self.state.tracks.tracks if self.state.tracks is not None else ()
        states = {t.id: self.state.box_state(t.id, frame) for t in tracks}
        boxes = {i: s.xyxy if s is not None else None for i, s in states.items()}
        after, boxless = keep_inside(before, drawn, boxes)
        if boxless and (frame, boxless) != self._said:
            ids = ", ".join(map(str, sorted(boxless)))
            self._notify(
                f"Track {ids} has no box in frame {frame}, so nothing of it was changed there. "
                "Draw one, or untick Keep inside the box."
            )
        self._said = (frame, boxless)
        return after

    def _on_corrections(self, frames: tuple[int, ...]) -> None:
        self.layer.data.forget(frames)
        self.layer.refresh()

    def _new_label(self) -> None:
        """Take the next free label: what is painted with it becomes a track of its own."""
        tracks = self.state.tracks
        if tracks is not None:
            self.layer.selected_label = next_track_id(tracks)

    def _on_dimensions(self, _event: Any = None) -> None:
        if self.layer.n_edit_dimensions != _PLANE:
            self.layer.n_edit_dimensions = _PLANE
            self._notify("Masks are painted in one frame at a time.")

    def _on_label(self, _event: Any = None) -> None:
        track_id = int(self.layer.selected_label)
        if self.state.track(track_id) is not None:
            self.state.select(track_id)

    def _on_track(self) -> None:
        if self.state.selected is not None and self.layer.selected_label != self.state.selected:
            self.layer.selected_label = self.state.selected
