"""A Shapes layer as a view of the state: shows the current frame, tells what a person did to it.

napari counts (y, x) with whole numbers at pixel *centres*; the engine counts (x, y) in pixel
*edges*. What is drawn goes to the state once the mouse is released.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskfree import constants as c

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.layers import Image, Shapes

    from napari_maskfree.state import State

__all__ = ["PIXEL_CENTRE", "ShapesView", "empty_shapes"]

PIXEL_CENTRE = 0.5
_FINISHED = ("added", "changed", "removed", "ActionType.ADDED", "ActionType.CHANGED")


class ShapesView(abc.ABC):
    """Keeps one Shapes layer and a part of the state the same.

    Parameters
    ----------
    state
        Listened to and changed.
    layer
        An empty 2-D Shapes layer, shown in every frame.
    defer
        Calls a function once the current mouse event is over.
    notify
        Shows a sentence to the person.
    """

    def __init__(
        self,
        state: State,
        layer: Shapes,
        *,
        defer: Callable[[Callable[[], None]], None],
        notify: Callable[[str], None],
    ) -> None:
        self.state, self.layer = state, layer
        self._defer, self._notify = defer, notify
        self._updating = False
        self._pending: int | None = None
        self._drag_frame: int | None = None
        self._zoom = 0.0
        layer.events.data.connect(self._on_data)
        layer.mouse_drag_callbacks.append(self._follow_drag)
        layer.bind_key("Control-Z", lambda _: state.undo(), overwrite=True)
        layer.bind_key("Control-Shift-Z", lambda _: state.redo(), overwrite=True)
        state.tracks_changed.connect(self.refresh)
        state.frame_changed.connect(self._on_frame)
        self.refresh()

    def close(self) -> None:
        """Stop following layer and state; what was drawn stays in the state."""
        self.state.tracks_changed.disconnect(self.refresh, missing_ok=True)
        self.state.frame_changed.disconnect(self._on_frame, missing_ok=True)
        self.layer.events.data.disconnect(self._on_data)
        for key in ("Control-Z", "Control-Shift-Z"):
            self.layer.bind_key(key, None, overwrite=True)
        if self._follow_drag in self.layer.mouse_drag_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._follow_drag)

    @abc.abstractmethod
    def _draw(self, keep_selection: bool) -> None:
        """Put the shapes of the state's frame on the layer."""

    @abc.abstractmethod
    def _take_over(self, frame: int) -> None:
        """Bring what was drawn, moved or deleted in ``frame`` into the state."""

    def _still_edited(self) -> bool:
        """Whether the selected shape stays selected after a change."""
        return False

    def fit_zoom(self, zoom: float) -> None:
        """Take the canvas's zoom: its pixels per unit of the world, which says what a slip is."""
        self._zoom = zoom * float(self.layer.scale[-1])

    def _slipped(self, vertices: np.ndarray) -> bool:
        """Whether a new shape, (N, 2) in (y, x), is but a click: too small on the screen."""
        sides = np.ptp(np.asarray(vertices)[:, -2:], axis=0)
        return bool(self._zoom) and float(sides.max()) * self._zoom < c.SLIP

    # ---- state to layer

    def refresh(self, *, keep_selection: bool = False) -> None:
        """Show what is in the state's frame; waits while a shape is being dragged."""
        if self._updating or self._drag_frame is not None:
            return
        self._updating = True
        try:
            self._draw(keep_selection)
        finally:
            self._updating = False

    def _on_frame(self) -> None:
        if self._pending is not None:
            self.commit()
        self.refresh()

    # ---- layer to state

    def _follow_drag(self, _layer: Shapes, event: Any) -> Generator[None, None, None]:
        self._drag_frame = self.state.frame
        yield
        while event.type == "mouse_move":
            yield
        self._defer(self._end_drag)

    def _end_drag(self) -> None:
        if self._pending is not None:
            self.commit()
        elif self._drag_frame not in (None, self.state.frame):
            self._drag_frame = None
            self.refresh()
        self._drag_frame = None

    def _on_data(self, event: Any) -> None:
        if self._updating or str(getattr(event, "action", "")) not in _FINISHED:
            return
        if self._pending is None:
            self._pending = self.state.frame if self._drag_frame is None else self._drag_frame
            self._defer(self.commit)

    def commit(self) -> None:
        """Take over what a person drew, moved or deleted, then show the result."""
        if self._pending is None or self._updating:
            return
        frame, self._pending = self._pending, None
        self._updating = True
        try:
            self._take_over(frame)
        finally:
            self._updating = False
            self._drag_frame = None
        self.refresh(keep_selection=self._still_edited())


def empty_shapes(image: Image, name: str, column: str, text: dict[str, Any]) -> Shapes:
    """Return an empty Shapes layer that lies on the image's (y, x) plane in every frame.

    Parameters
    ----------
    column
        What tells which shape is which: a feature of whole numbers.
    text
        How the feature ``text``, which is written beside each shape, looks.
    """
    from napari.layers import Shapes

    return Shapes(
        None,
        ndim=2,
        name=name,
        opacity=1.0,
        scale=image.scale[-2:],
        translate=image.translate[-2:],
        features={column: np.zeros(0, dtype=int), "text": np.zeros(0, dtype=str)},
        text={"string": "{text}", "size": c.TEXT_SIZE, **text},
    )
